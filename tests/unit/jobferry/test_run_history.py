"""What the versions of a status object tell of a job's runs."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from jobferry.run_history import events_of


def _document(run: int, minute: int, **details: Any) -> bytes:
    allocation = {
        "id": f"alloc-{run}",
        "attempt": 1,
        "client_status": "pending",
        "created": f"2026-01-02T03:{minute:02}:00Z",
        **details.pop("allocation", {}),
    }
    document = {
        "run": run,
        "site": "dc1",
        "upload": {"time": f"2026-01-02T03:{minute:02}:00Z"},
        "allocation": allocation,
        **details,
    }
    return json.dumps(document).encode()


def test_each_run_is_told_by_its_last_document_and_each_attempt_by_its_own() -> None:
    failed = {
        "client_status": "failed",
        "exit_code": 3,
        "ended": "2026-01-02T03:01:09Z",
        "scheduler": "slurm",
        "scheduler_id": "17",
        "submitted": "2026-01-02T03:01:02Z",
    }
    second = {"id": "alloc-1b", "attempt": 2, **failed, "ended": "2026-01-02T03:03:00Z"}
    documents = [
        _document(1, 1),
        _document(1, 1, allocation=failed),
        _document(1, 1, allocation=second, finished="2026-01-02T03:03:00Z", message="no luck"),
        b"no document",
        _document(2, 9, submitter="token:ci"),
    ]
    told = [(one.run, one.type, one.allocation, one.message) for one in events_of(documents)]
    assert told == [
        (1, "Submitted", None, "run 1 was submitted by a mark in the bucket"),
        (1, "Created", "alloc-1", "attempt 1 waits for site dc1"),
        (1, "Created", "alloc-1b", "attempt 2 waits for site dc1"),
        (1, "Scheduled", "alloc-1", "slurm took it as job 17"),
        (1, "Scheduled", "alloc-1b", "slurm took it as job 17"),
        (1, "Ended", "alloc-1", "attempt 1: failed with exit code 3"),
        (1, "Ended", "alloc-1b", "attempt 2: failed with exit code 3"),
        (1, "Finished", None, "no luck"),
        (2, "Submitted", None, "run 2 was submitted by token:ci"),
        (2, "Created", "alloc-2", "attempt 1 waits for site dc1"),
    ]


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_any_bytes_are_told_of_or_passed_over(documents: list[bytes]) -> None:
    assert events_of(documents) == ()


@given(st.recursive(st.none() | st.integers() | st.text(), lambda inner: st.lists(inner)))
def test_what_is_no_status_document_is_passed_over(value: Any) -> None:
    assert events_of([json.dumps(value).encode()]) == ()
