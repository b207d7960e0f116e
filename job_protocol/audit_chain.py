"""The event log of a job: who did what, when, as a chain of hashes over what its items say.

Nothing is written for it but who caused an allocation and how the chain stood before: every event
follows from attributes that never change once they are there. So whoever has an allocation can
compute its chain, the site as well as the cloud; `docs/decisions/0094` says what that proves.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from job_protocol.allocation import Allocation
from job_protocol.items import to_attributes

BEGIN = "0" * 64
"""What stands before the first event of a job."""

CREATED, CLAIMED, SUBMITTED = "created", "claimed", "submitted"
STARTED, ENDED, STOP_ASKED = "started", "ended", "stop asked"

CONTROL_PLANE = "control plane"
_MAX_PRINCIPAL = 200


def principal_text(principal: str) -> str:
    """A principal as it is kept: bounded, since an item is charged by its size."""
    return principal[:_MAX_PRINCIPAL]


def events_of(allocation: Allocation) -> list[dict[str, Any]]:
    """The events of an allocation, oldest first.

    A request to stop is the last, whenever it came: it comes from elsewhere than the others.
    """
    at_site = CONTROL_PLANE
    if allocation.installation is not None:
        at_site = f"puller {allocation.installation}"
    found = [_created(allocation)]
    if allocation.claimed_at is not None and allocation.installation is not None:
        found.append(_event(CLAIMED, allocation.claimed_at, at_site))
    if allocation.scheduler_id is not None:
        facts = {"scheduler": allocation.scheduler, "scheduler_id": allocation.scheduler_id}
        found.append(_event(SUBMITTED, allocation.submitted_at, at_site, **facts))
    if allocation.started_at is not None:
        found.append(_event(STARTED, allocation.started_at, at_site))
    if allocation.client_status.terminal:
        found.append(_ended(allocation, at_site))
    if allocation.stop_by is not None:
        found.append(_event(STOP_ASKED, allocation.stop_at, allocation.stop_by))
    return found


def _event(name: str, at: int | None, by: str, **facts: object) -> dict[str, Any]:
    known = {fact: value for fact, value in facts.items() if value is not None}
    return {"event": name, "at": at, "by": by, **known}


def _created(allocation: Allocation) -> dict[str, Any]:
    inputs = allocation.manifest_of
    if allocation.manifest is not None:
        inputs = hashlib.sha256(allocation.manifest).hexdigest()
    return _event(
        CREATED,
        allocation.created,
        allocation.principal or "unknown",
        site=allocation.site,
        job=allocation.job,
        allocation=allocation.id,
        run=allocation.run,
        attempt=allocation.attempt,
        inputs=inputs,
        settings=_digest(to_attributes(allocation.settings)),
    )


def _ended(allocation: Allocation, by: str) -> dict[str, Any]:
    results = allocation.results
    return _event(
        ENDED,
        allocation.ended_at,
        by,
        status=allocation.client_status.value,
        exit_code=allocation.exit_code,
        reason=allocation.reason,
        files=results.files if results is not None else None,
        bytes=results.size if results is not None else None,
        left_out=results.left_out if results is not None else None,
    )


def chained(previous: str, events: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Events, each with its hash over itself and the hash before.

    Args:
        previous: the hash before the first.
        events: the events, without hashes.
    """
    found = []
    for event in events:
        previous = _digest([previous, event])
        found.append({**event, "hash": previous})
    return found


def chain_of(allocation: Allocation) -> list[dict[str, Any]]:
    """The chain of an allocation."""
    return chained(allocation.previous or BEGIN, events_of(allocation))


def head_of(allocation: Allocation) -> str:
    """The hash of the last event of an allocation."""
    return str(chain_of(allocation)[-1]["hash"])


def head_of_created(allocation: Allocation) -> str:
    """The hash of the event by which an allocation was created: what a claim finds."""
    return str(chain_of(allocation)[0]["hash"])


def head_of_end(created: str, ended: Allocation) -> str:
    """The hash of the event by which an allocation ended.

    Args:
        created: `head_of_created`, as the claim found it.
        ended: the allocation as it ended; its settings, inputs and a request to stop do not count.
    """
    events = [one for one in events_of(ended)[1:] if one["event"] != STOP_ASKED]
    return str(chained(created, events)[-1]["hash"]) if events else created


def document_of(allocation: Allocation) -> dict[str, Any]:
    """The chain as it is shown."""
    shown = {"allocation": allocation.id, "previous": allocation.previous or BEGIN}
    if allocation.before is not None:
        shown["before"] = allocation.before
    return {**shown, "events": chain_of(allocation)}


def _digest(value: object) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
