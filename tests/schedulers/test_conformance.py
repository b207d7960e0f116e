"""One suite for all schedulers, on replayed answers; the real ones have their own rows."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.errors import SchedulerUnavailable
from puller.schedulers.runner import Completed
from tests.schedulers.conformance import SCENARIOS, Column, Replayed, Scenario, answered, conclude
from tests.schedulers.conformance_columns import COLUMNS
from tests.schedulers.conformance_matrix import PROPERTY

NO_END = {"queued", "running", "live", "wait", "no evidence"}

each_column = pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS.keys())


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
@pytest.mark.parametrize("name", COLUMNS)
def test_every_scheduler_comes_to_the_conclusion(
    scenario: Scenario, name: str, record_property: Callable[[str, object], None]
) -> None:
    column = COLUMNS[name]
    if scenario.name in column.absent:
        record_property(PROPERTY, [scenario.name, name, "-"])
        return
    concluded = conclude(column, scenario, column.answers[scenario.name])
    record_property(PROPERTY, [scenario.name, name, concluded])
    expected, _ = column.differs.get(scenario.name, (scenario.concluded, ""))
    assert concluded == expected


@each_column
def test_every_scenario_is_answered_or_said_to_be_absent(column: Column) -> None:
    names = {scenario.name for scenario in SCENARIOS}
    assert set(column.answers) | set(column.absent) == names
    assert not set(column.answers) & set(column.absent)
    assert set(column.differs) <= set(column.answers)


@each_column
@pytest.mark.parametrize("name", ["waits", "runs"])
def test_an_answer_that_is_cut_anywhere_ends_no_live_job(column: Column, name: str) -> None:
    scenario = next(one for one in SCENARIOS if one.name == name)
    stale = replace(scenario, exit_code=0)
    whole = {
        command: answer
        for command, answer in column.answers[name].items()
        if isinstance(answer, Completed)
    }
    for length in range(max(len(answer.stdout) for answer in whole.values())):
        cut = {
            command: replace(answer, stdout=answer.stdout[:length])
            for command, answer in whole.items()
        }
        answers = {**column.answers["is unknown to all"], **cut}
        assert conclude(column, scenario, answers) in NO_END, length
        if length and not column.cut_unseen:
            assert conclude(column, stale, answers) in NO_END, length


@each_column
@given(text=st.text(), code=st.sampled_from([0, 1, 153, 255]))
def test_no_text_makes_an_adapter_raise_anything_else(column: Column, text: str, code: int) -> None:
    run = Replayed({"": answered(text, code=code, stderr=text)})
    scheduler = column.make(run)
    for call in (
        scheduler.list_mine,
        lambda: scheduler.detail(column.job_id),
        lambda: scheduler.cancel(column.job_id),
    ):
        with contextlib.suppress(SchedulerUnavailable):
            call()


@each_column
@given(data=st.data())
def test_no_damaged_answer_makes_an_adapter_raise_anything_else(
    column: Column, data: st.DataObject
) -> None:
    answers = column.answers[data.draw(st.sampled_from(sorted(column.answers)))]
    damaged = {}
    for command, answer in answers.items():
        if isinstance(answer, Completed) and answer.stdout:
            at = data.draw(st.integers(0, len(answer.stdout)))
            length = data.draw(st.integers(0, 40))
            text = (
                answer.stdout[:at] + data.draw(st.text(max_size=8)) + answer.stdout[at + length :]
            )
            damaged[command] = replace(answer, stdout=text)
    scheduler = column.make(Replayed({"": answered(code=1), **answers, **damaged}))
    for call in (scheduler.list_mine, lambda: scheduler.detail(column.job_id)):
        with contextlib.suppress(SchedulerUnavailable):
            call()
