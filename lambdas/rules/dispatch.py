"""Dispatching a parameterized job: Nomad's rules, limits and words, and the child's id.

Source: validateDispatchRequest in nomad/job_endpoint.go and DispatchedID in nomad/structs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from job_protocol.object_keys import job_id_problems

INLINE_PAYLOAD = 16 * 1024
"""Bytes of a payload in a request, Nomad's limit. A larger one goes through the bucket."""

MAX_PAYLOAD = 5 * 1024**3
"""Bytes of a payload in the bucket: the largest object of a single PUT."""

MAX_PRIORITY = 100
_RANDOM_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Dispatch:
    """A request to dispatch.

    Attributes:
        meta: metadata by key.
        payload_size: bytes; 0 means no payload, as in Nomad.
        in_bucket: whether the payload was put into the bucket, not sent in the request.
        id_prefix: words for the child's id (`IdPrefixTemplate`).
        idempotency_token: two requests of one parent with the same one are one dispatch.
        priority: 1 to 100, a higher one first; 0 is the parent's.
    """

    meta: Mapping[str, str]
    payload_size: int = 0
    in_bucket: bool = False
    id_prefix: str = ""
    idempotency_token: str = ""
    priority: int = 0


def refusal(job: Mapping[str, Any], dispatch: Dispatch, *, stopped: bool) -> str | None:
    """Why this job cannot be dispatched so, in Nomad's words; None if it can.

    Args:
        job: the parent's specification.
        dispatch: the request.
        stopped: whether the parent was stopped.
    """
    job_id = job["ID"]
    if job.get("ParameterizedJob") is None:
        return f'Specified job "{job_id}" is not a parameterized job'
    if stopped:
        return f'Specified job "{job_id}" is stopped'
    if dispatch.priority and not 1 <= dispatch.priority <= MAX_PRIORITY:
        return f"job priority must be between [1, {MAX_PRIORITY}]"
    parameterized = job["ParameterizedJob"]
    return _payload_refusal(parameterized, dispatch) or _meta_refusal(parameterized, dispatch.meta)


def _payload_refusal(parameterized: Mapping[str, Any], dispatch: Dispatch) -> str | None:
    wanted = parameterized.get("Payload") or "optional"
    if wanted == "required" and not dispatch.payload_size:
        return "Payload is not provided but required by parameterized job"
    if wanted == "forbidden" and dispatch.payload_size:
        return "Payload provided but forbidden by parameterized job"
    limit = MAX_PAYLOAD if dispatch.in_bucket else INLINE_PAYLOAD
    if dispatch.payload_size > limit:
        return f"Payload exceeds maximum size; {dispatch.payload_size} > {limit}"
    return None


def _meta_refusal(parameterized: Mapping[str, Any], meta: Mapping[str, str]) -> str | None:
    required = parameterized.get("MetaRequired") or []
    optional = parameterized.get("MetaOptional") or []
    if unpermitted := sorted(meta.keys() - {*required, *optional}):
        return f"Dispatch request included unpermitted metadata keys: [{' '.join(unpermitted)}]"
    if missing := sorted(set(required) - meta.keys()):
        return f"Dispatch did not provide required meta keys: [{' '.join(missing)}]"
    return None


def child_id(parent: str, dispatch: Dispatch, *, now: int, random_hex: str) -> str:
    """The id of the child: `PARENT/dispatch-SECONDS-RANDOM`, with the prefix before the seconds.

    Args:
        parent: the parameterized job's id.
        dispatch: the request.
        now: Unix seconds.
        random_hex: at least 8 hexadecimal digits, new for each dispatch; the same for one
            idempotency token, so that a repeated request finds the same child.

    Raises:
        ValueError: the parts make no job id; the message says why.
    """
    prefix = f"{dispatch.id_prefix}-" if dispatch.id_prefix else ""
    if "/" in prefix:
        raise ValueError(f"the id prefix {dispatch.id_prefix!r} must not contain a slash")
    child = f"{parent}/dispatch-{prefix}{now}-{random_hex[:_RANDOM_DIGITS]}"
    if problems := job_id_problems(child):
        raise ValueError(f"{problems[0].problem}; {problems[0].remedy}")
    return child


def child_job(parent: Mapping[str, Any], child: str, dispatch: Dispatch) -> dict[str, Any]:
    """The child's specification: the parent's, with the child's id and the merged metadata.

    As in Nomad the child keeps `ParameterizedJob` and is marked as dispatched.
    """
    meta = {**(parent.get("Meta") or {}), **dispatch.meta}
    marks = {"ID": child, "Name": child, "ParentID": parent["ID"], "Dispatched": True}
    token = dispatch.idempotency_token
    return {
        **parent,
        **marks,
        **({"Meta": meta} if meta else {}),
        **({"DispatchIdempotencyToken": token} if token else {}),
    }
