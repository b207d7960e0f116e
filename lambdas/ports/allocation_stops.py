"""The writes by which an allocation is stopped: parts of a transaction, each with its condition."""

from __future__ import annotations

from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.states import ClientStatus, Desired
from lambdas.ports.job_items import ASKED, HAS_ENDED, TERMINAL, Asked, typed_key


def unclaimed(
    table: str, site: str, allocation_id: str, asked: Asked, *, ttl: int, reason: str
) -> dict[str, Any]:
    """End an allocation that no puller has claimed.

    Condition: it is pending and has no token.

    Args:
        table: the table's name.
        site: the allocation's site.
        allocation_id: the allocation.
        asked: who asks, and when.
        ttl: when its item may be deleted, in seconds since the epoch.
        reason: why, a sentence.
    """
    return _update(
        table,
        site,
        allocation_id,
        "SET client_status = :stopped, ended_at = :now, reason = :reason, desired = :stop, "
        f"#ttl = :ttl, {ASKED} REMOVE qpk, qsk",
        "client_status = :pending AND attribute_not_exists(#token)",
        names={"#token": "token", "#ttl": "ttl"},
        values={
            ":ttl": ttl,
            ":stopped": ClientStatus.STOPPED,
            ":pending": ClientStatus.PENDING,
            ":reason": reason,
            ":stop": Desired.STOP,
            **asked.values,
        },
    )


def claimed(table: str, site: str, allocation_id: str, asked: Asked) -> dict[str, Any]:
    """Ask the puller that holds an allocation to stop it.

    Condition: it is claimed and has not ended.
    """
    return _update(
        table,
        site,
        allocation_id,
        f"SET desired = :stop, qpk = :qpk, qsk = :qsk, {ASKED}",
        f"attribute_exists(#token) AND NOT {HAS_ENDED}",
        names={"#token": "token"},
        values={
            ":stop": Desired.STOP,
            ":qpk": table_keys.queue_partition(site),
            ":qsk": table_keys.queue_stop(asked.at),
            **asked.values,
            **TERMINAL,
        },
    )


def ended(table: str, site: str, allocation_id: str) -> dict[str, Any]:
    """Say of an allocation that has ended that no attempt shall follow it.

    Condition: it has ended.
    """
    return _update(
        table,
        site,
        allocation_id,
        "SET desired = :stop",
        HAS_ENDED,
        names={},
        values={":stop": Desired.STOP, **TERMINAL},
    )


def _update(
    table: str,
    site: str,
    allocation_id: str,
    update: str,
    condition: str,
    *,
    names: dict[str, str],
    values: dict[str, object],
) -> dict[str, Any]:
    aliases = {"ExpressionAttributeNames": names} if names else {}
    return {
        "Update": {
            "TableName": table,
            "Key": typed_key(table_keys.allocation(site, allocation_id)),
            "UpdateExpression": update,
            "ConditionExpression": condition,
            "ExpressionAttributeValues": dynamodb_json.encode(values),
            **aliases,
        }
    }
