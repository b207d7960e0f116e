"""The API's handler: what a cold start imports, and what a direct invocation fails with."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest

from job_protocol.states import JobStatus
from lambdas import api
from lambdas.direct import RequestRefused
from lambdas.errors import Conflict
from lambdas.ports.site_directory import Site
from lambdas.rules.upload import Limits
from lambdas.runs import Cause, Runs
from tests.unit.lambdas.examples import NOW, a_dead_job

HEAVY = ("pydantic", "hcl2", "lark", "aws_lambda_powertools.utilities.idempotency")


def test_a_cold_start_imports_nothing_that_few_requests_need() -> None:
    program = f"import lambdas.api, sys; print([m for m in {HEAVY} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_a_direct_invocation_that_is_refused_fails_by_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    context: Any = SimpleNamespace(aws_request_id="r1")
    monkeypatch.setattr(api, "services", lambda: None)
    with pytest.raises(RequestRefused, match="400 unknown action 'fly': known are: submit"):
        api.handler({"action": "fly"}, context)


def test_no_run_hides_an_end_that_a_workflow_has_not_been_told() -> None:
    ports: dict[str, Any] = {"table": None, "bucket": None}
    runs = Runs(site=Site("dc1", "b", Limits(9, 99), 7), clock=lambda: NOW, **ports)
    untold = a_dead_job(awaited=True, unpublished=True)
    cause = Cause(upload="v2", sequencer=None, time=NOW)
    with pytest.raises(Conflict, match="run 1 of job 'job0001' is still being published"):
        runs.stopped_at_once(untold, cause)
    told = a_dead_job(awaited=True)
    assert runs.stopped_at_once(told, cause).status is JobStatus.DEAD
