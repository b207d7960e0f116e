"""A dispatch with a sweep: its table, Nomad's rules for each row, and what the real bash gets."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from job_protocol.sweep import SweepError
from lambdas.rules.dispatch import Dispatch
from lambdas.rules.dispatch_sweep import rows_of, sweep_problems
from lambdas.rules.task_groups import place_of
from nomad_jobs.run_script.run_facts import row_files
from nomad_jobs.swept_job import swept_job
from tests.unit.nomad_jobs.run_script.rendered import Run, facts, job, place, shell

PRINT = 'printf "%s|%s|%s" "$NOMAD_META_x" "$NOMAD_META_LABEL" "$NOMAD_META_both"'


def template(*tasks: dict[str, Any], **parameterized: Any) -> dict[str, Any]:
    stated = job(*(tasks or (shell(PRINT),)), Meta={"of-group": "g"})
    return {**stated, "Meta": {"label": "default"}, "ParameterizedJob": parameterized}


def problems(stated: dict[str, Any], table: str, **asked: Any) -> list[str]:
    wanted = Dispatch(**{"meta": {}, **asked})
    return [row.problem for row in sweep_problems(stated, wanted, table, most_elements=5)[1]]


def test_a_row_is_metadata_and_an_empty_cell_gives_none() -> None:
    rows = rows_of('x,label\n1,"a,b"\n2,\n')
    assert rows == ({"x": "1", "label": "a,b"}, {"x": "2"})
    with pytest.raises(SweepError, match="column 2 is named 'a=b', which is no key of metadata"):
        rows_of("x,a=b\n1,2\n")
    with pytest.raises(SweepError, match="two columns are named 'x'"):
        rows_of("x,x\n1,2\n")


def test_each_row_is_judged_as_nomad_judges_a_dispatch() -> None:
    stated = template(MetaRequired=["x"], MetaOptional=["label"], Payload="forbidden")
    assert problems(stated, "x,label\n1,a\n2,b\n") == []
    assert problems(stated, "x,label\n1,a\n,b\n,c\n") == [
        "row 2: Dispatch did not provide required meta keys: [x] (as 1 further rows)"
    ]
    assert problems(stated, "label\na\n", meta={"x": "1"}) == []
    assert problems(stated, "x,y\n1,2\n") == [
        "row 1: Dispatch request included unpermitted metadata keys: [y]"
    ]
    assert problems(stated, "x\n1\n", meta={"x": "2"}) == ["'x' is in Meta, too"]
    assert problems(stated, "x\n1\n", payload_size=1) == [
        "row 1: Payload provided but forbidden by parameterized job"
    ]
    assert problems(stated, "x\n" + "1\n" * 6) == [
        "it has 6 rows of values; this site takes at most 5"
    ]
    assert problems(stated, "x\n") == ["it has no row of values; the first row names the variables"]


def test_a_template_of_several_elements_takes_no_sweep() -> None:
    stated = {**template(MetaOptional=["x"])}
    stated["TaskGroups"] = [{**stated["TaskGroups"][0], "Count": 2}]
    assert problems(stated, "x\n1\n") == ["job 'job0001' has several elements itself"]


def test_an_artifact_that_depends_on_a_row_is_refused() -> None:
    artifact = {"GetterSource": "https://example.org/${NOMAD_META_X}.txt"}
    stated = template(shell(PRINT, Artifacts=[artifact]), MetaOptional=["x", "label"])
    assert problems(stated, "label\na\n") == []
    assert problems(stated, "x\n1\n") == [
        "an artifact of task 'main' uses ${NOMAD_META_X}, which every row has its own of"
    ]


def swept(root: Path, rows: tuple[dict[str, str], ...], **meta: str) -> Run:
    stated = swept_job(template(MetaOptional=["x", "label", "both"]), len(rows))
    return place(root, stated, facts(rows=rows, meta=meta))


def test_each_element_has_its_row_in_a_folder_of_its_own(tmp_path: Path) -> None:
    wild = '$(touch pwned) `id`, "q" \'\n|'
    run = swept(tmp_path / "job", ({"x": "1", "label": wild}, {"x": "2"}, {}), both="all")
    for index in range(3):
        code, said = run.run(index)
        assert code == 0, said
    logs = [run.log(folder=f"elements/{index}") for index in range(3)]
    assert logs == [f"1|{wild}|all", "2|default|all", "|default|all"]
    assert place_of(swept_job(template(), 3), 2).folder == "elements/2/"
    assert run.rendered.settings.count == 3
    assert run.rendered.settings.logs[0] == "elements/*/alloc/logs/*.std*"
    assert "elements/*/main/secrets" in run.rendered.settings.exclude
    code, said = run.run(3)
    assert code == 126
    assert "the sweep of the dispatch has no row for element 3" in said


def test_one_row_is_no_array(tmp_path: Path) -> None:
    run = swept(tmp_path / "job", ({"x": "1"},))
    assert run.run()[0] == 0
    assert (run.log(), run.rendered.settings.count) == ("1|default|", None)


def test_elements_behind_the_first_thousand_read_the_next_file(tmp_path: Path) -> None:
    rows = tuple({"x": str(number)} for number in range(2001))
    run = swept(tmp_path / "job", rows)
    for index in (999, 1000, 1999, 2000):
        assert run.run(index)[0] == 0
        assert run.log(folder=f"elements/{index}").startswith(f"{index}|")


VALUES = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1)


@settings(max_examples=100)
@given(st.lists(st.dictionaries(st.sampled_from(["x", "y z", "ü"]), VALUES), min_size=1))
def test_whatever_the_values_are_no_row_takes_those_of_another(rows: list[dict[str, str]]) -> None:
    (content,) = row_files(facts(rows=rows)).values()
    records = content.decode().split("\0")[:-1]
    read: list[dict[str, str]] = [{}]
    for record in records:
        if record:
            name, _, value = record.partition("=")
            read[-1][name] = value
        else:
            read.append({})
    assert read == [*rows, {}]
