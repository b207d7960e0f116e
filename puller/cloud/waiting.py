"""What waits for a site: one query of its queue, unless its beginning holds little to claim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.items import from_attributes
from job_protocol.site_records import SiteControl
from puller.cloud.errors import typed_errors

_PAGE = 25
_SHARE_OF_DEFERRED = 4
_SPARE = 10
"""Further allocations that are named: the index may still show some that are taken."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a site's queue holds.

    Attributes:
        control: the operator's word on the site.
        stops: ids of allocations that somebody wants stopped.
        pending: ids of allocations that may be claimed now, in their order.
        purges: ids of allocations whose jobs' directories shall go.
    """

    control: SiteControl
    stops: tuple[str, ...]
    pending: tuple[str, ...]
    purges: tuple[str, ...] = ()


def read_waiting(client: Any, table: str, site: str, now: int, wanted: int) -> Waiting:
    """What needs a site.

    Args:
        client: a boto3 DynamoDB client.
        table: the job table's name.
        site: the site.
        now: seconds since the epoch.
        wanted: how many allocations could be claimed.

    Raises:
        CloudUnreachable, CloudRefused: see `puller.errors`.
    """
    control = SiteControl(site=site)
    stops: list[str] = []
    purges: list[str] = []
    pending: list[str] = []
    for row in _queue_rows(client, table, site, wanted + _PAGE):
        queue_key = row["qsk"]
        if table_keys.is_control(queue_key):
            if row["pk"] == table_keys.control(site).pk:
                control = from_attributes(SiteControl, {"site": site, **row})
        elif table_keys.is_purge(queue_key):
            purges.append(row["sk"])
        elif table_keys.is_stop(queue_key):
            stops.append(row["sk"])
        elif (table_keys.deferred_until(queue_key) or 0) > now:
            break
        else:
            pending.append(row["sk"])
            if len(pending) >= wanted + _SPARE:
                pending = _due_deferred(client, table, site, now, wanted) + pending
                break
    return Waiting(control, tuple(stops), tuple(pending), tuple(purges))


def _due_deferred(client: Any, table: str, site: str, now: int, wanted: int) -> list[str]:
    """The deferred allocations that are due, the oldest first: at most a quarter of the places.

    They sort behind everything that waits, so under a backlog that never ends they would never be
    seen. Only a pass that finds such a backlog asks for them.
    """
    if wanted == 0:
        return []
    most = max(1, wanted // _SHARE_OF_DEFERRED)
    first, last = table_keys.queue_pending(0, 0, 0), table_keys.queue_pending(0, 0, now)
    rows = _queue_rows(client, table, site, most, between=(first, last))
    return [row["sk"] for row in islice(rows, most)]


def _queue_rows(
    client: Any, table: str, site: str, page: int, *, between: tuple[str, str] | None = None
) -> Iterator[dict[str, Any]]:
    """The rows of the site's queue, in their order; a further page only if it is asked for."""
    condition, values = "qpk = :qpk", {":qpk": {"S": table_keys.queue_partition(site)}}
    if between is not None:
        condition += " AND qsk BETWEEN :first AND :last"
        values |= {":first": {"S": between[0]}, ":last": {"S": between[1]}}
    start: dict[str, Any] = {}
    while True:
        with typed_errors(f"ask the queue of table {table}"):
            answer = client.query(
                TableName=table,
                IndexName=table_keys.QUEUE_INDEX,
                KeyConditionExpression=condition,
                ExpressionAttributeValues=values,
                Limit=page,
                **start,
            )
        yield from map(dynamodb_json.decode, answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
