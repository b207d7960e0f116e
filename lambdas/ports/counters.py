"""Creates and ends runs where a site has limits: its counters change in the same transactions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from job_protocol import table_keys
from job_protocol.allocation import Allocation
from job_protocol.job import Job
from lambdas.errors import Conflict, LimitReached
from lambdas.ports.job_items import Birth, typed_key
from lambdas.ports.job_table import JobTable
from lambdas.rules.site_limits import Charge, exceeded


def create_run(
    table: JobTable,
    read: Job | None,
    new: Job,
    allocation: Allocation,
    *,
    task_token: str | None,
    charges: Sequence[Charge],
    birth: Birth | None = None,
) -> None:
    """Write a job item and its new current allocation, and charge the counters: all or nothing.

    Args:
        table: the job table.
        read: the job as it was read.
        new: the job as it shall be.
        allocation: its new current allocation.
        task_token: the task token of the workflow that waits for the end of this run.
        charges: what the run adds to the counters; none where there are no limits.
        birth: what goes with it, if the job is a template's new child.

    Raises:
        Conflict: the job changed meanwhile, or another run was counted at the same time.
        LimitReached: the run would exceed a limit.
    """
    charged(
        table,
        read,
        new,
        allocation,
        charges,
        lambda raised: table.create_allocation(
            read, new, allocation, task_token=task_token, birth=birth, further=raised
        ),
    )


def charged(
    table: JobTable,
    read: Job | None,
    new: Job,
    allocation: Allocation,
    charges: Sequence[Charge],
    write: Callable[[list[dict[str, Any]]], None],
) -> None:
    """Write a new allocation together with what it adds to the counters.

    Args:
        table: the job table.
        read: the job as it was read.
        new: the job as it shall be.
        allocation: the new allocation.
        charges: what the run adds to the counters; none where there are no limits.
        write: does it, all or nothing, with the writes that raise the counters.

    Raises:
        Conflict: the job changed meanwhile, or another run was counted at the same time.
        LimitReached: the run would exceed a limit.
    """
    try:
        write([_raised(table.name, charge) for charge in charges])
    except Conflict:
        # A repeated event finds its own run: that is no matter of limits.
        stands = charges and table.job(new.site, new.id) == read
        if not stands or table.allocation(allocation.site, allocation.id) is not None:
            raise
        problems = [
            problem
            for charge in charges
            for problem in exceeded(new.id, charge, table.numbers(charge.key))
        ]
        if problems:
            raise LimitReached(tuple(problems)) from None
        raise


def end_run(table: JobTable, read: Job, new: Job) -> None:
    """Write the item of a job that has ended, and count it no longer as active.

    Condition: the item is as it was read.

    Raises:
        Conflict: it is not.
    """
    keys = [table_keys.counter(read.site, sort_key) for sort_key in read.counted]
    table.replace_job_and(read, new, [_lowered(table.name, key) for key in keys])


def _raised(table: str, charge: Charge) -> dict[str, Any]:
    """Add a charge, on the condition that no limit is exceeded by it."""
    names = {f"#{name}": name for name in charge.adds}
    values = {f":{name}": {"N": str(number)} for name, number in charge.adds.items()}
    conditions = []
    for name, most in charge.most.items():
        room = most - charge.adds[name]
        values[f":{name}_room"] = {"N": str(room)}
        # An item that is not there yet has used nothing; there must be room even so.
        there = f"#{name} <= :{name}_room"
        absent = f"attribute_not_exists(#{name})"
        conditions.append(f"({absent} OR {there})" if room >= 0 else there)
    update = "ADD " + ", ".join(f"#{name} :{name}" for name in charge.adds)
    if charge.ttl is not None:
        names["#ttl"] = "ttl"
        values[":ttl"] = {"N": str(charge.ttl)}
        update += " SET #ttl = :ttl"
    return {
        "Update": {
            "TableName": table,
            "Key": typed_key(charge.key),
            "UpdateExpression": update,
            "ConditionExpression": " AND ".join(conditions),
            "ExpressionAttributeNames": names,
            "ExpressionAttributeValues": values,
        }
    }


def _lowered(table: str, key: table_keys.Key) -> dict[str, Any]:
    """Count one active job less."""
    return {
        "Update": {
            "TableName": table,
            "Key": typed_key(key),
            "UpdateExpression": "ADD active_jobs :one",
            "ExpressionAttributeValues": {":one": {"N": "-1"}},
        }
    }
