"""A run that follows when the current one of a changed job has ended: written, begun, given up."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import ClientStatus
from lambdas.errors import Conflict
from lambdas.ports import allocation_stops, counters
from lambdas.ports.job_items import ABSENT, Asked, after, allocation_item, entering, put
from lambdas.ports.job_table import JobTable
from lambdas.rules.site_limits import Charge

REPLACED = "replaced by a newer version of the job before the site had claimed it"


def announce(
    table: JobTable,
    read: Job,
    new: Job,
    allocation: Allocation,
    current: Allocation | None,
    asked: Asked,
    *,
    ttl: int,
    charges: Sequence[Charge],
) -> None:
    """Stop the current run, and write the allocation of the one that follows.

    Conditions: the job is as it was read, its current allocation as it is stopped; the new one is
    absent; what was to follow until now has not begun.

    Args:
        table: the job table.
        read: the job as it was read.
        new: the job as it shall be.
        allocation: the allocation that follows; it enters the queue when the current run has ended.
        current: the current allocation.
        asked: who asks for it, and when.
        ttl: when what never runs may be deleted, in seconds since the epoch.
        charges: what the run adds to the counters of a day.

    Raises:
        Conflict: one of them failed.
        LimitReached: the run would exceed a limit.
    """
    writes: list[dict[str, Any]] = [
        {"Put": put(table.name, allocation_item(allocation, held_back=True), ABSENT)}
    ]
    if current is not None:
        writes.append(_stop(table.name, current, asked, ttl=ttl))
    writes += _given_up(table.name, read, asked, ttl=ttl)
    counters.charged(
        table,
        read,
        new,
        allocation,
        charges,
        lambda raised: table.replace_job_and(read, new, [*writes, *raised]),
    )


def _stop(table: str, current: Allocation, asked: Asked, *, ttl: int) -> dict[str, Any]:
    at = (table, current.site, current.id)
    if current.client_status.terminal:
        return allocation_stops.ended(*at)
    if current.token is None and current.client_status is ClientStatus.PENDING:
        return allocation_stops.unclaimed(*at, asked, ttl=ttl, reason=REPLACED)
    return allocation_stops.claimed(*at, asked)


def begin(table: JobTable, read: Job, new: Job) -> None:
    """Let the run that follows begin.

    Conditions: the job is as it was read; the allocation is pending, has no token, and shall run.

    Raises:
        Conflict: one of them failed.
    """
    allocation = table.allocation(new.site, new.current) if new.current else None
    if allocation is None:
        raise Conflict(f"the allocation of run {new.run} of job {new.id!r} is not there")
    before = table.allocation(read.site, read.current) if read.current else None
    table.replace_job_and(read, new, [entering(table.name, after(allocation, before))])


def give_up(table: JobTable, read: Job, new: Job, asked: Asked, *, ttl: int) -> None:
    """Let no run follow.

    Conditions: the job is as it was read; the run has not begun.

    Raises:
        Conflict: one of them failed.
    """
    table.replace_job_and(read, new, _given_up(table.name, read, asked, ttl=ttl))


def _given_up(table: str, read: Job, asked: Asked, *, ttl: int) -> list[dict[str, Any]]:
    if read.replacement is None:
        return []
    at = (table, read.site, read.replacement.allocation)
    return [allocation_stops.unclaimed(*at, asked, ttl=ttl, reason=REPLACED)]
