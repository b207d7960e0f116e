"""What the elements of an array mean for the array."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.allocation import Allocation
from job_protocol.elements import Element, Elements, ElementsError, ElementState
from job_protocol.job_settings import JobSettings
from job_protocol.states import ClientStatus
from puller.array_state import (
    MOST_WORDS,
    ArrayState,
    conclude,
    follow,
    reason_of,
    state_of,
    tasks_of,
    with_state,
)
from puller.journal import End, Record, from_document, to_document
from puller.observation import Live, Over, Verdict, Wait
from puller.schedulers.array_tasks import ArrayTasks, TaskNumbers
from tests.unit.job_protocol.strategies import elements

S = ElementState
NUMBERS = TaskNumbers(first=1, any_list=False)


def state(*codes: tuple[ElementState, int | None]) -> ArrayState:
    return ArrayState(Elements(tuple(Element(s, code) for s, code in codes)), {}, {})


def over(status: ClientStatus, code: int | None = None, reason: str | None = None) -> Over:
    return Over(End(status=status, exit_code=code, reason=reason, time=5))


def an_array(count: int, packed: bytes | None = None) -> Allocation:
    settings = JobSettings(count=count)
    return Allocation(site="dc1", job="j", id="a", settings=settings, elements=packed)


DONE, BAD, GONE, CUT = (S.COMPLETE, 0), (S.FAILED, 3), (S.LOST, None), (S.STOPPED, 143)
KEPT, WAITS, RUNS = (S.KEPT, 0), (S.QUEUED, None), (S.RUNNING, None)


@pytest.mark.parametrize(
    ("known", "stop_asked", "status", "code"),
    [
        ([DONE, DONE], False, ClientStatus.COMPLETE, 0),
        ([DONE, KEPT], False, ClientStatus.COMPLETE, 0),
        ([DONE, BAD], False, ClientStatus.FAILED, 3),
        ([DONE, BAD, GONE, CUT], False, ClientStatus.FAILED, 143),
        ([DONE, GONE, CUT], False, ClientStatus.LOST, 143),
        ([DONE, CUT], False, ClientStatus.STOPPED, 143),
        ([BAD, CUT], True, ClientStatus.STOPPED, 143),
        ([BAD, DONE], True, ClientStatus.FAILED, 3),
        ([GONE], False, ClientStatus.LOST, None),
    ],
)
def test_the_end_of_an_array_follows_from_its_elements(
    known: list[tuple[ElementState, int | None]],
    stop_asked: bool,
    status: ClientStatus,
    code: int | None,
) -> None:
    concluded = conclude(state(*known), stop_asked=stop_asked, now=7.5)
    assert isinstance(concluded, Over)
    assert (concluded.end.status, concluded.end.exit_code, concluded.end.time) == (status, code, 7)


@pytest.mark.parametrize(
    ("known", "status"),
    [
        ([WAITS, WAITS], ClientStatus.QUEUED),
        ([WAITS, KEPT], ClientStatus.QUEUED),
        ([WAITS, RUNS], ClientStatus.RUNNING),
        ([WAITS, DONE], ClientStatus.RUNNING),
        ([RUNS, BAD], ClientStatus.RUNNING),
    ],
)
def test_an_array_runs_as_soon_as_one_element_has_begun(
    known: list[tuple[ElementState, int | None]], status: ClientStatus
) -> None:
    assert conclude(state(*known), stop_asked=False, now=0) == Live(status, "")


def test_a_reason_names_the_elements() -> None:
    known = [DONE] * 1000
    for index in (17, 203, 998):
        known[index] = BAD
    assert reason_of(state(*known)) == "3 of 1000 elements failed: 17, 203, 998"
    told = ArrayState(state(*known).elements, {}, {17: "TIMEOUT", 203: "TIMEOUT"})
    assert reason_of(told) == "3 of 1000 elements failed: 17, 203, 998; TIMEOUT: 17, 203"
    assert reason_of(state(DONE)) is None
    assert len(reason_of(state(*[BAD] * 10_000)) or "") < 200


def test_verdicts_change_their_elements_and_no_others() -> None:
    before = ArrayState(Elements.queued(6), {1: 5.0, 2: 5.0}, {})
    verdicts: dict[int, Verdict] = {
        0: Live(ClientStatus.RUNNING, "R"),
        1: Live(None, "?"),
        2: Wait(9.0),
        3: Wait(9.0),
        4: over(ClientStatus.FAILED, 137, "OUT_OF_MEMORY"),
    }
    after = follow(before, verdicts)
    states = [(e.state, e.exit_code) for e in after.elements.all]
    assert states == [RUNS, WAITS, WAITS, WAITS, (S.FAILED, 137), WAITS]
    assert after.missing == {2: 5.0, 3: 9.0}
    assert after.words == {4: "OUT_OF_MEMORY"}


def test_an_element_that_was_requeued_waits_again() -> None:
    before = state(RUNS, DONE)
    assert follow(before, {0: Live(ClientStatus.QUEUED, "PD")}).elements.open == (0,)


def test_the_words_of_many_elements_are_bounded() -> None:
    verdicts = {index: over(ClientStatus.FAILED, 1, f"words {index}") for index in range(100)}
    assert len(follow(ArrayState(Elements.queued(100), {}, {}), verdicts).words) == MOST_WORDS


@given(
    elements.filter(lambda vector: len(vector.all) > 1),
    st.dictionaries(st.integers(0, 1), st.floats(0, 9)),
    st.dictionaries(st.integers(0, 1), st.text(max_size=5)),
)
def test_the_state_survives_the_journal(
    vector: Elements, missing: dict[int, float], words: dict[int, str]
) -> None:
    record = Record(allocation=an_array(len(vector.all)), token="t")
    known = ArrayState(vector, missing, words)
    assert state_of(from_document(to_document(with_state(record, known)))) == known


def test_a_journal_of_a_thousand_elements_stays_small() -> None:
    record = Record(allocation=an_array(1000), token="t")
    lost = {index: over(ClientStatus.FAILED, 3, "TIMEOUT") for index in range(0, 1000, 7)}
    waiting = {index: Wait(1.0) for index in range(1, 1000, 2)}
    after = follow(ArrayState(Elements.queued(1000), {}, {}), {**waiting, **lost})
    assert len(to_document(with_state(record, after))) < 8000


def test_what_has_not_changed_is_not_written_again() -> None:
    record = Record(allocation=an_array(3), token="t")
    changed = with_state(record, follow(state_of(record), {0: Live(ClientStatus.RUNNING, "R")}))
    assert not changed.elements_told
    assert with_state(changed, state_of(changed)) is changed


def test_a_first_submission_runs_all_elements_with_the_scheduler_s_numbers() -> None:
    tasks = tasks_of(an_array(4), NUMBERS)
    assert tasks == ArrayTasks(count=4, indexes=(0, 1, 2, 3), max_running=None, numbers=NUMBERS)
    assert not tasks.renumbered
    assert tasks.tasks == (1, 2, 3, 4)


def test_a_further_attempt_is_numbered_anew_where_only_ranges_are_taken() -> None:
    packed = state(DONE, BAD, DONE, BAD).elements.again().pack()
    ranged = tasks_of(an_array(4, packed), NUMBERS)
    listed = tasks_of(an_array(4, packed), TaskNumbers(first=0, any_list=True))
    assert ranged is not None
    assert listed is not None
    assert (ranged.indexes, ranged.tasks) == ((1, 3), (1, 2))
    assert (listed.indexes, listed.tasks) == ((1, 3), (1, 3))


def test_a_single_job_has_no_tasks() -> None:
    assert tasks_of(Allocation(site="dc1", job="j", id="a"), NUMBERS) is None


@pytest.mark.parametrize(
    "packed", [b"x", Elements.queued(2).pack(), state(DONE, DONE, DONE).elements.again().pack()]
)
def test_an_allocation_that_contradicts_itself_is_an_error(packed: bytes) -> None:
    with pytest.raises(ElementsError):
        tasks_of(an_array(3, packed), NUMBERS)
