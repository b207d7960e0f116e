"""What the HTTP API refuses, as the client's own exceptions."""

from __future__ import annotations

import json
from typing import Any

from jobferry.errors import (
    CloudRefused,
    CloudUnreachable,
    ConfigurationError,
    JobActive,
    JobferryError,
    JobNotFound,
)

_PASSING = frozenset({429, 500, 502, 503, 504})
_NAMED = 20
_COMMANDS = {
    "DELETE /v1/job/ID": "job stop JOB",
    "GET /v1/acl/tokens": "token list",
    "GET /v1/job/ID/allocations": "job status JOB",
    "GET /v1/job/ID": "job status JOB",
    "GET /v1/jobs": "job status",
    "GET /v1/nodes": "site list",
    "GET /v1/sites": "site list",
    "client/fs/ls": "alloc fs ALLOC",
}
"""What a remedy asks for in the API's words, and the command that does it; longer ones first."""


def passing(status: int, body: bytes) -> bool:
    """Whether the same request may be granted a little later.

    Too many requests at once pass; a limit of the site, which the API tells in its own words, does
    not: somebody has to do something about it.
    """
    return status in _PASSING and not (status == 429 and "Error" in _document(body))


def typed_refusal(status: int, body: bytes, doing: str, *, token: bool) -> JobferryError:
    """The exception for an answer that is no success.

    Args:
        status: the HTTP status.
        body: the body of the answer.
        doing: what was asked for, as in "read job 'a'".
        token: whether an API token was shown, instead of a signature.
    """
    document = _document(body)
    said = document.get("Error") or document.get("message") or f"HTTP status {status}"
    remedy = _as_commands(str(document.get("Remedy") or ""))
    problems = [row for row in document.get("Problems") or [] if isinstance(row, dict)]
    if len(problems) > 1 and str(said).startswith(f"{len(problems)} problems; "):
        said = f"{len(problems)} problems"  # each is told below
    sentence = f"cannot {doing}: {said}" + (f"; {remedy}" if remedy else "")
    if status in (401, 403) and "Error" not in document:
        return _not_let_in(sentence, said, token=token)
    if passing(status, body):
        return CloudUnreachable(f"{sentence}; try again later")
    told = [_as_commands(_told(row, document)) for row in problems]
    lines = [
        f"  {text}"
        for row, text in list(zip(problems, told, strict=True))[:_NAMED]
        if not _is_said(row, document)
    ]
    if len(problems) > _NAMED:
        lines.append(f"  and {len(problems) - _NAMED} more")
    message = "\n".join([sentence, *lines])
    if status == 404 and said == "job not found":
        return JobNotFound(message)
    if status == 409 and "still active" in str(said):
        return JobActive(message)
    return CloudRefused(message, told)


def _as_commands(remedy: str) -> str:
    """A remedy that names requests, for those who type commands."""
    for request, command in _COMMANDS.items():
        remedy = remedy.replace(request, f"`jobferry {command}`")
    return remedy


def _told(row: dict[str, Any], document: dict[str, Any]) -> str:
    """A problem in one line; what the answer's own sentence asks for is not asked for again."""
    remedy = row.get("Remedy")
    asked = f"; {remedy}" if remedy and remedy != document.get("Remedy") else ""
    return f"{row.get('Key')}: {row.get('Problem')}{asked}"


def _is_said(row: dict[str, Any], document: dict[str, Any]) -> bool:
    """Whether a problem is what the answer's own sentence says already."""
    problem, said = row.get("Problem"), document.get("Error")
    alone = problem == said and row.get("Remedy") == document.get("Remedy")
    return alone or f"{row.get('Key')}: {problem}" == said


def _not_let_in(sentence: str, said: object, *, token: bool) -> JobferryError:
    if token:
        return ConfigurationError(
            f"{sentence}; the API token is unknown, revoked or expired, or this address is not "
            "the one for tokens: check JOBFERRY_TOKEN and the address"
        )
    if any(word in str(said).lower() for word in ("token", "signature", "credential")):
        return ConfigurationError(f"{sentence}; renew the AWS credentials, and check the region")
    return CloudRefused(
        f"{sentence}; the credentials do not have the right execute-api:Invoke, ask for it"
    )


def _document(body: bytes) -> dict[str, Any]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
