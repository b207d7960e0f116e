"""What waits for a site: one query of its queue, unless its beginning holds little to claim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.items import from_attributes
from job_protocol.site_records import SiteControl
from puller.cloud.errors import typed_errors

_PAGE = 25
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
                break
    return Waiting(control, tuple(stops), tuple(pending), tuple(purges))


def _queue_rows(client: Any, table: str, site: str, page: int) -> Iterator[dict[str, Any]]:
    """The rows of the site's queue, in their order; a further page only if it is asked for."""
    start: dict[str, Any] = {}
    while True:
        with typed_errors(f"ask the queue of table {table}"):
            answer = client.query(
                TableName=table,
                IndexName=table_keys.QUEUE_INDEX,
                KeyConditionExpression="qpk = :qpk",
                ExpressionAttributeValues={":qpk": {"S": table_keys.queue_partition(site)}},
                Limit=page,
                **start,
            )
        yield from map(dynamodb_json.decode, answer["Items"])
        if "LastEvaluatedKey" not in answer:
            return
        start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}
