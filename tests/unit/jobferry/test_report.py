"""What the two status objects say together."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.states import Word
from jobferry.report import report_of


def _report(word: str, /, **details: Any) -> Any:
    return report_of("job0001", word.encode(), json.dumps(details).encode())


@pytest.mark.parametrize(
    ("word", "status", "outcome"),
    [
        ("FILE_UPLOAD", "pending", None),
        ("JOB_STOP", "pending", None),
        ("JOB_QUEUED", "pending", None),
        ("JOB_SUBMITTED", "pending", None),
        ("JOB_RUNNING", "running", None),
        ("JOB_COMPLETE", "dead", "complete"),
        ("JOB_FAILED", "dead", "failed"),
        ("JOB_STOPPED", "dead", "stopped"),
        ("JOB_LOST", "dead", "lost"),
        ("FILE_REJECTED", "dead", "rejected"),
    ],
)
def test_the_word_tells_status_and_outcome(word: str, status: str, outcome: str | None) -> None:
    report = report_of("job0001", f"{word}\n".encode(), None)
    assert (report.status, report.outcome) == (status, outcome)
    assert report.dead is (outcome is not None)


def test_details_that_are_newer_than_the_word_count() -> None:
    assert _report("JOB_RUNNING", word="JOB_COMPLETE").dead


def test_after_a_new_upload_the_details_of_the_earlier_run_do_not_count() -> None:
    report = _report("FILE_UPLOAD", word="JOB_FAILED", message="old")
    assert not report.dead
    assert report.message is None


def test_a_stop_that_was_asked_for_is_not_the_end() -> None:
    report = _report("JOB_STOP", word="JOB_RUNNING", status="running", site="dc1")
    assert report.status == "running"
    assert (report.word, report.dead, report.active) == (Word.JOB_STOP, False, True)
    assert report.details["site"] == "dc1"


@given(st.binary(max_size=80), st.binary(max_size=80))
def test_any_bytes_make_a_report(word: bytes, details: bytes) -> None:
    assert json.dumps(report_of("job0001", word, details).to_json())


def test_details_of_wrong_types_do_no_harm() -> None:
    report = _report("JOB_FAILED", allocation=[1], reasons="x", upload=3, word=7)
    assert report.exit_code is None
    assert report.reasons == ()
    assert report.identity == (None, None)
