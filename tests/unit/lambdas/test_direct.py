"""Direct invocations, the authorizer, and workflows that wait."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from job_protocol.states import ClientStatus
from lambdas.authorizer import decision, secret_of
from lambdas.direct import ACTIONS, asked_directly, refused_directly
from lambdas.errors import Refused
from lambdas.ports.api_tokens import ApiToken
from lambdas.ports.workflows import Workflows
from lambdas.routes.table import route_of
from tests.unit.lambdas.examples import NOW, a_job, an_allocation
from tests.unit.lambdas.memory_cloud import MemoryCloud


@pytest.mark.parametrize("action", ACTIONS)
def test_every_action_leads_to_a_route(action: str) -> None:
    asked = asked_directly({"action": action, "job": "a/b"}, "r1")
    route, values = route_of(asked.method, asked.path)
    assert values.get("job_id", "a/b") == "a/b"
    assert (route.body is None) or asked.body.startswith("{")


def test_a_task_token_goes_into_the_document() -> None:
    event = {"action": "submit", "document": {"Script": "#!"}, "task_token": "t"}
    assert json.loads(asked_directly(event, "r1").body) == {"Script": "#!", "TaskToken": "t"}


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({"action": "fly"}, "unknown action 'fly'"),
        ({"action": []}, "unknown action"),
        ({"action": "read"}, "job is missing"),
        ({"action": "read", "job": 7}, "job must be a text"),
        ({"action": "list", "colour": 1}, "unknown field 'colour'"),
        ({}, "action is missing"),
        ([], "the event must be an object"),
        ({"action": "list", "parameters": [1]}, "parameters must be an object"),
    ],
)
def test_a_wrong_event_is_refused(event: Any, problem: str) -> None:
    with pytest.raises(Refused, match=problem) as error:
        asked_directly(event, "r1")
    assert str(refused_directly(error.value)).startswith("400 ")


def test_a_secret_is_read_as_nomads_clients_or_bearers_show_it() -> None:
    assert secret_of({"x-nomad-token": "s"}) == "s"
    assert secret_of({"authorization": "Bearer s"}) == "s"
    assert secret_of({"authorization": "AWS4-HMAC-SHA256 x"}) is None
    assert secret_of({}) is None


def test_an_expired_or_unknown_token_is_refused() -> None:
    token = ApiToken(
        accessor="a", name="ci", scopes=("read",), created=NOW, creator="me", expires=NOW + 5
    )
    assert decision(token, NOW)["context"]["scopes"] == "read"
    assert decision(token, NOW + 5) == decision(None, NOW) == {"isAuthorized": False}


# ---- workflows ----


def waited_for(status: ClientStatus) -> MemoryCloud:
    cloud = MemoryCloud(
        a_job(awaited=True), an_allocation(client_status=status, ended_at=NOW, exit_code=1)
    )
    cloud.table.task_tokens[1] = "token"
    return cloud


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (ClientStatus.COMPLETE, None),
        (ClientStatus.FAILED, "Jobferry.JobFailed"),
        (ClientStatus.STOPPED, "Jobferry.JobStopped"),
        (ClientStatus.LOST, "Jobferry.JobLost"),
    ],
)
def test_a_workflow_is_told_the_end_once(status: ClientStatus, error: str | None) -> None:
    cloud = waited_for(status)
    cloud.publish()
    cloud.publish()
    assert cloud.workflows.told == [("token", error)]


def test_a_task_token_that_is_told_goes_with_the_job_and_soon_if_that_is_purged() -> None:
    cloud = waited_for(ClientStatus.COMPLETE)
    cloud.publish()
    assert cloud.table.token_ttl == cloud.job.ttl
    purged = waited_for(ClientStatus.COMPLETE)
    purged.table.jobs["job0001"] = replace(purged.job, purge=NOW)
    purged.publish()
    # DynamoDB passes over times that are years ago, such as 0.
    assert (purged.job.ttl, purged.table.token_ttl) == (None, NOW + 24 * 3600)


def test_a_workflow_is_told_nothing_before_the_end() -> None:
    cloud = waited_for(ClientStatus.RUNNING)
    cloud.publish()
    assert cloud.workflows.told == []


def test_a_workflow_is_told_after_the_event() -> None:
    cloud = waited_for(ClientStatus.COMPLETE)
    cloud.events.before_put = lambda: cloud.workflows.told.append(("event", None))
    cloud.publish()
    assert [who for who, _ in cloud.workflows.told] == ["event", "token"]


class StepFunctions:
    """Answers every task token with one error."""

    def __init__(self, code: str) -> None:
        self.exceptions = SimpleNamespace(ClientError=ClientError)
        self._error = ClientError({"Error": {"Code": code, "Message": ""}}, "SendTask")

    def send_task_success(self, **_arguments: str) -> None:
        raise self._error

    send_task_failure = send_task_success


@pytest.mark.parametrize("code", ["TaskTimedOut", "TaskDoesNotExist", "InvalidToken"])
def test_a_workflow_that_waits_no_more_is_a_normal_result(code: str) -> None:
    workflows = Workflows(StepFunctions(code))
    workflows.succeed("t", {})
    workflows.fail("t", "Jobferry.JobLost", "gone")


def test_any_other_failure_is_tried_again() -> None:
    with pytest.raises(ClientError):
        Workflows(StepFunctions("ThrottlingException")).succeed("t", {})
