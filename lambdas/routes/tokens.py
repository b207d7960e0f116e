"""Routes about API tokens, on Nomad's paths: made, listed and revoked by callers that IAM knows."""

from __future__ import annotations

from typing import Any

from job_protocol.object_keys import Problem
from lambdas.errors import Refused, refused_fields
from lambdas.ports.api_tokens import ApiToken
from lambdas.routes.declared.parameters import NEXT_PAGE
from lambdas.routes.route import Answer, Call
from lambdas.rules import pagination
from lambdas.rules.identity import SCOPES
from lambdas.rules.status_document import iso

_MAX_NAME = 128
_FIELDS = ("Name", "Scopes", "Sites", "ExpirationTTL")
_MAX_TTL = 10 * 366 * 24 * 3600


def create(call: Call) -> Answer:
    """Make an API token; its secret is told once and kept nowhere."""
    token = _wanted(call)
    secret = call.services.new_secret()
    call.services.tokens.put(token, secret)
    return Answer(body={**_shown(token), "SecretID": secret})


def _wanted(call: Call) -> ApiToken:
    body, problems = call.body, []
    if not isinstance(body, dict):
        raise Refused(400, "the body must be a JSON object", "state a Name and Scopes")
    problems += [
        Problem(name, f"unknown field {name!r}", f"known are: {', '.join(_FIELDS)}")
        for name in body
        if name not in _FIELDS
    ]
    name = body.get("Name")
    scopes, sites = _texts(body.get("Scopes")), _texts(body.get("Sites", []))
    seconds = body.get("ExpirationTTL")
    if not isinstance(name, str) or not 0 < len(name) <= _MAX_NAME or not name.isprintable():
        problems.append(Problem("Name", f"it must be a text up to {_MAX_NAME}", "state it"))
    if not scopes or not SCOPES.issuperset(scopes):
        allowed = ", ".join(sorted(SCOPES))
        problems.append(Problem("Scopes", f"it must list some of: {allowed}", "state them"))
    if sites is None or not set(sites) <= set(call.services.sites):
        known = ", ".join(sorted(call.services.sites))
        problems.append(Problem("Sites", f"it must list some of: {known}", "or leave it out"))
    if seconds is not None and not (
        isinstance(seconds, int) and not isinstance(seconds, bool) and 60 <= seconds <= _MAX_TTL
    ):
        problems.append(
            Problem("ExpirationTTL", f"it must be seconds from 60 to {_MAX_TTL}", "or leave it out")
        )
    if problems:
        raise refused_fields(problems)
    now = call.services.clock()
    return ApiToken(
        accessor=call.services.new_id(),
        name=str(name),
        scopes=tuple(sorted(set(scopes or ()))),
        sites=tuple(sorted(set(sites or ()))),
        created=now,
        creator=call.identity.name,
        expires=None if seconds is None else now + seconds,
    )


def _texts(value: object) -> list[str] | None:
    texts = isinstance(value, list) and all(isinstance(one, str) for one in value)
    return value if isinstance(value, list) and texts else None


def list_tokens(call: Call) -> Answer:
    """The API tokens, without their secrets."""
    token = call.query.get("next_token")
    after = pagination.decode(token, 1)[0] if token else None
    tokens, position = call.services.tokens.page(after)
    headers = {NEXT_PAGE: pagination.encode(position)} if position else {}
    return Answer(body=[_shown(one) for one in tokens], headers=headers)


def revoke(call: Call) -> Answer:
    """Revoke an API token: from then on it is refused."""
    accessor = call.path["accessor"]
    if not call.services.tokens.revoke(accessor):
        raise Refused(404, "token not found", "GET /v1/acl/tokens lists the accessor ids")
    return Answer(body={"AccessorID": accessor})


def own(call: Call) -> Answer:
    """Who the caller is, and what that caller may do."""
    identity = call.identity
    return Answer(
        body={
            "AccessorID": identity.token,
            "Name": identity.name,
            "Scopes": sorted(identity.access),
            "Sites": sorted(identity.sites) if identity.sites is not None else [],
        }
    )


def _shown(token: ApiToken) -> dict[str, Any]:
    return {
        "AccessorID": token.accessor,
        "Name": token.name,
        "Type": "client",
        "Scopes": list(token.scopes),
        "Sites": list(token.sites),
        "CreateTime": iso(token.created),
        "Creator": token.creator,
        "ExpirationTime": iso(token.expires),
    }
