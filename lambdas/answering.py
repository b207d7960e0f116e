"""Answers one request by its route: who may, what is asked, once for each key, and errors alike."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from lambdas.errors import Conflict, Refused
from lambdas.routes.route import Answer, Call, json_text
from lambdas.routes.services import Services
from lambdas.routes.table import route_of
from lambdas.rules.identity import Identity

MAX_KEY = 255
Repeatable = Callable[[str, str, str, Callable[[], dict[str, Any]]], dict[str, Any]]
"""Does a piece of work once: for a caller, a key and a body."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A request, whatever it came through.

    Attributes:
        method, path: what it asks for.
        query: its query parameters.
        body: the text of its body.
        idempotency_key: its `Idempotency-Key`.
        request_id: an id of its own.
    """

    method: str
    path: str
    query: Mapping[str, str]
    body: str
    idempotency_key: str | None
    request_id: str


def answer(asked: Asked, identity: Identity, services: Services, repeatable: Repeatable) -> Answer:
    """Answer a request.

    Args:
        asked: the request.
        identity: who calls.
        services: what the routes work with.
        repeatable: does a write once for each `Idempotency-Key`.

    Raises:
        Refused: the request cannot be granted.
    """
    route, path = route_of(asked.method, asked.path)
    identity.must(route.access)
    key = _key(asked, repeatable=route.repeatable)
    call = Call(
        path=path,
        query=route.read_query(asked.query),
        body=_json(asked.body) if route.body is not None else None,
        identity=identity,
        key=json_text([identity.name, key]) if key is not None else asked.request_id,
        repeatable=key is not None,
        services=services,
    )
    run, finish = route.runner(), route.finisher()
    try:
        found = run(call) if key is None else _once(call, key, asked, run, repeatable)
    except Conflict as error:
        raise Refused(409, str(error), "repeat the request") from error
    return found if finish is None else replace(found, body=finish(call, found.body))


def _once(
    call: Call, key: str, asked: Asked, run: Callable[[Call], Answer], repeatable: Repeatable
) -> Answer:
    def work() -> dict[str, Any]:
        first = run(call)
        return {"status": first.status, "body": first.body}

    # What the same key may not be used for again: another path, other parameters, another body.
    said = json_text([asked.method, asked.path, dict(asked.query), asked.body])
    kept = repeatable(call.identity.name, key, said, work)
    return Answer(body=kept["body"], status=int(kept["status"]))


def _key(asked: Asked, *, repeatable: bool) -> str | None:
    key = asked.idempotency_key
    if key is None or asked.method == "GET":
        return None
    if not repeatable:
        raise Refused(
            400,
            "this request answers with a secret, which is not kept for a repetition",
            "leave Idempotency-Key out; revoke a token whose secret got lost",
        )
    if not 0 < len(key) <= MAX_KEY:
        raise Refused(400, f"Idempotency-Key has no or over {MAX_KEY} characters", "use a UUID")
    return key


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text.strip() else None
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"the body is no valid JSON: {error}", "send JSON in UTF-8") from error


def error_body(error: Refused) -> dict[str, Any]:
    """The one shape of all errors."""
    return {
        "Error": str(error),
        "Remedy": error.remedy,
        "Problems": [
            {"Key": row.key, "Problem": row.problem, "Remedy": row.remedy} for row in error.problems
        ],
    }
