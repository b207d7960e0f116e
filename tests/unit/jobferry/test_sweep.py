"""A sweep in an upload, and the files of chosen elements."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from job_protocol.states import Word
from jobferry.element_choice import files_of
from jobferry.errors import UploadRefused, UsageError
from jobferry.job import Job
from jobferry.report import Report
from jobferry.stated_settings import Settings
from jobferry.sweep import place_of, with_sweep
from jobferry.upload_plan import Upload, plan_upload
from tests.unit.jobferry.memory_access import MemoryAccess

TABLE = "alpha,beta\n1,2\n3,4\n"


@pytest.fixture
def study(tmp_path: Path) -> Path:
    (tmp_path / "study/tables").mkdir(parents=True)
    (tmp_path / "study/aws-job-run.sh").write_text("#!/bin/sh\n")
    (tmp_path / "study/tables/in.csv").write_text(TABLE)
    (tmp_path / "values.csv").write_text(TABLE)
    return tmp_path / "study"


def _planned(source: Path, table: Path) -> Upload:
    place = place_of(source, table)
    return with_sweep(plan_upload("job", source, Settings(sweep=place)), table, place)


def test_a_table_of_the_directory_stays_where_it_is(study: Path) -> None:
    upload = _planned(study, study / "tables/in.csv")
    assert [file.path for file in upload.files] == ["aws-job-run.sh", "tables/in.csv"]
    assert json.loads(upload.settings or b"") == {"sweep": "tables/in.csv"}


@pytest.mark.parametrize("alone", [False, True])
def test_a_table_from_elsewhere_joins_the_upload(study: Path, alone: bool) -> None:
    source = study / "aws-job-run.sh" if alone else study
    upload = _planned(source, study.parent / "values.csv")
    assert "values.csv" in [file.path for file in upload.files]
    assert json.loads(upload.settings or b"") == {"sweep": "values.csv"}


def test_what_cannot_be_a_sweep_is_refused_before_the_upload(study: Path) -> None:
    (study / "values.csv").write_text("another")
    with pytest.raises(UploadRefused, match=r"another file is uploaded as values\.csv"):
        _planned(study, study.parent / "values.csv")
    (study.parent / "bad.csv").write_text("alpha\n1,2\n")
    with pytest.raises(UploadRefused, match="line 2: it has 2 values for 1 names"):
        _planned(study, study.parent / "bad.csv")
    with pytest.raises(UploadRefused, match="it cannot be read"):
        _planned(study, study.parent / "gone.csv")


def _report(array: dict[str, Any] | None, word: Word = Word.JOB_FAILED) -> Report:
    return Report("job", word, {"allocation": {"array": array}})


ARRAY = {"count": 6, "complete": 4, "failed": 2, "not_complete": "1,5"}


@pytest.mark.parametrize(
    ("chosen", "indexes"),
    [("failed", {1, 5}), ("complete", {0, 2, 3, 4}), ("0,2-3", {0, 2, 3}), ("5", {5})],
)
def test_elements_are_chosen_by_their_end_or_by_number(chosen: str, indexes: set[int]) -> None:
    wanted = files_of(chosen, _report(ARRAY))
    assert {n for n in range(6) if wanted(f"elements/{n}/out")} == indexes
    assert not wanted("aws-job-run.sh")


def test_elements_of_a_nomad_job_have_folders_named_by_group_and_index() -> None:
    wanted = files_of("failed", _report({**ARRAY, "groups": [["g", 4], ["h.1", 2]]}))
    assert wanted("g.1/alloc/logs/t.stdout.0")
    assert wanted("h.1.1/t/local/out")
    for other in ("g.0/x", "g.5/x", "h.1.0/x", "aws-job-run.sh"):
        assert not wanted(other)


@pytest.mark.parametrize(
    ("chosen", "report", "why"),
    [
        ("failed", _report(None), "is no array"),
        ("failed", _report(ARRAY, Word.JOB_RUNNING), "has not ended"),
        ("failed", _report({"count": 6, "complete": 4}), "does not tell all"),
        ("6", _report(ARRAY), "0 to 5"),
        ("x", _report(ARRAY), "write failed, complete, or indexes"),
        ("", _report(ARRAY), "write failed, complete, or indexes"),
        ("-1", _report(ARRAY), "write failed, complete, or indexes"),
    ],
)
def test_elements_that_are_not_there_are_an_error(chosen: str, report: Report, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        files_of(chosen, report)


def test_of_an_array_that_is_complete_no_element_failed() -> None:
    wanted = files_of("failed", _report({"count": 2, "complete": 2}, Word.JOB_COMPLETE))
    assert not wanted("elements/0/out")


def test_only_the_files_of_chosen_elements_are_fetched(tmp_path: Path) -> None:
    paths = ["aws-job-run.sh", "aws-job-stdout.1.txt", "elements/1/a", "elements/2/a"]
    access = MemoryAccess(dict.fromkeys(paths, (b"x", 1, None)))
    access.states = [_report(ARRAY)]
    Job(access, "job").get(tmp_path / "here", elements="failed")
    assert sorted(access.fetched) == ["aws-job-stdout.1.txt", "elements/1/a"]
    Job(access, "job").get(tmp_path / "there", elements="1-2", only=["a"])
    assert sorted(access.fetched[2:]) == ["elements/1/a", "elements/2/a"]
