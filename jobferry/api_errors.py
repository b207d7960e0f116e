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


def passing(status: int) -> bool:
    """Whether the same request may be granted a little later."""
    return status in _PASSING


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
    remedy = document.get("Remedy")
    sentence = f"cannot {doing}: {said}" + (f"; {remedy}" if remedy else "")
    if status in (401, 403) and "Error" not in document:
        return _not_let_in(sentence, said, token=token)
    if passing(status):
        return CloudUnreachable(f"{sentence}; try again later")
    problems = document.get("Problems") or []
    lines = [
        f"  {row.get('Key')}: {row.get('Problem')}; {row.get('Remedy')}"
        for row in problems[:_NAMED]
        if isinstance(row, dict) and f"{row.get('Key')}: {row.get('Problem')}" != said
    ]
    if len(problems) > _NAMED:
        lines.append(f"  and {len(problems) - _NAMED} more")
    message = "\n".join([sentence, *lines])
    if status == 404 and said == "job not found":
        return JobNotFound(message)
    if status == 409 and "still active" in str(said):
        return JobActive(message)
    return CloudRefused(message)


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
