"""What a shell sees of a job that it has waited for."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest

from jobferry.job import Job
from jobferry.report import Report
from jobferry.state_commands import wait_for_end


def ended(word: str, exit_code: int | None) -> Job:
    """A job that has ended."""
    report: Any = SimpleNamespace(
        word=word,
        outcome={"JOB_COMPLETE": "complete", "JOB_FAILED": "failed"}.get(word, "stopped"),
        exit_code=exit_code,
        message=None,
        reasons=[],
    )

    def watch(_timeout: float | None) -> Iterator[Report]:
        yield report

    return cast("Job", SimpleNamespace(id="job0001", watch=watch))


@pytest.mark.parametrize(
    ("word", "exit_code", "expected"),
    [
        ("JOB_COMPLETE", 0, 0),
        ("JOB_FAILED", 7, 7),
        ("JOB_FAILED", 137, 137),
        ("JOB_FAILED", None, 1),
        ("JOB_FAILED", 0, 1),
        ("JOB_STOPPED", None, 1),
        ("JOB_STOPPED", 143, 143),
    ],
)
def test_the_exit_code_is_the_jobs(word: str, exit_code: int | None, expected: int) -> None:
    assert wait_for_end(ended(word, exit_code), None, as_json=False) == expected
