"""Requests of who invokes the API's function itself, such as Step Functions: an action by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lambdas.answering import Asked
from lambdas.errors import ControlPlaneError, Refused
from lambdas.routes.route import json_text

ACTIONS = {
    "submit": ("POST", "/v1/jobs/script"),
    "register": ("POST", "/v1/jobs"),
    "dispatch": ("POST", "/v1/job/{job}/dispatch"),
    "force": ("POST", "/v1/job/{job}/periodic/force"),
    "start": ("POST", "/v1/job/{job}/start"),
    "read": ("GET", "/v1/job/{job}"),
    "wait": ("GET", "/v1/job/{job}/wait"),
    "events": ("GET", "/v1/job/{job}/events"),
    "allocations": ("GET", "/v1/job/{job}/allocations"),
    "stop": ("DELETE", "/v1/job/{job}"),
    "list": ("GET", "/v1/jobs"),
    "sites": ("GET", "/v1/sites"),
}
_FIELDS = (
    "action",
    "job",
    "document",
    "parameters",
    "idempotency_key",
    "submitter",
    "task_token",
)


_EXAMPLE = 'as in {"action": "read", "job": "job0001"}'


class RequestRefused(ControlPlaneError):
    """What a direct invocation fails with; Step Functions catches it by this name."""


def asked_directly(event: object, request_id: str) -> Asked:
    """The request of an event such as `{"action": "read", "job": "job0001"}`.

    Args:
        event: the event: `action`, and as they apply `job`, `document` (the body of the route),
            `parameters` (its query), `idempotency_key`, `submitter` and `task_token`.
        request_id: the id of the invocation.

    Raises:
        Refused: the event is none that this API understands.
    """
    if not isinstance(event, Mapping):
        raise Refused(400, "the event must be an object", _EXAMPLE)
    _examine(event)
    method, path = ACTIONS[event["action"]]
    if "{job}" in path:
        if not event.get("job"):
            raise Refused(400, "job is missing", _EXAMPLE)
        path = path.replace("{job}", event["job"])
    document = dict(event.get("document") or {})
    if event.get("task_token") is not None:
        document["TaskToken"] = event["task_token"]
    return Asked(
        method=method,
        path=path,
        query={name: str(value) for name, value in (event.get("parameters") or {}).items()},
        body=json_text(document) if method == "POST" else "",
        idempotency_key=event.get("idempotency_key"),
        request_id=request_id,
    )


def _examine(event: Mapping[str, Any]) -> None:
    for name in event:
        if name not in _FIELDS:
            raise Refused(400, f"unknown field {name!r}", f"known are: {', '.join(_FIELDS)}")
    if "action" not in event:
        raise Refused(400, "action is missing", _EXAMPLE)
    if event["action"] not in list(ACTIONS):
        raise Refused(
            400, f"unknown action {event['action']!r}", f"known are: {', '.join(ACTIONS)}"
        )
    for name in ("job", "idempotency_key", "submitter", "task_token"):
        if not isinstance(event.get(name, ""), str):
            raise Refused(400, f"{name} must be a text", "correct the event")
    for name in ("document", "parameters"):
        if not isinstance(event.get(name) or {}, Mapping):
            raise Refused(400, f"{name} must be an object", "correct the event")


def refused_directly(error: Refused) -> RequestRefused:
    """The failure of the invocation: status, what is wrong and what to do, in one sentence each."""
    named = error.problems[:20] if len(error.problems) > 1 else ()  # one is the message itself
    problems = "".join(f"; {row.key}: {row.problem} ({row.remedy})" for row in named)
    return RequestRefused(f"{error.status} {error}: {error.remedy}{problems}")
