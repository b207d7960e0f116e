"""The job table, as the API reads it: each question is one query, named in ARCHITECTURE.md."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.allocation import Allocation
from job_protocol.items import from_attributes
from job_protocol.job import Job
from job_protocol.site_records import Heartbeat, SiteControl

MAX_PAGE = 1000
_BATCH = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """Which jobs a list shows.

    Attributes:
        prefix: what their ids begin with.
        status: their status, as in `JobStatus`.
        outcome: their outcome, as in `Outcome`.
        after, before: the first and last second of their submission, since the epoch.
    """

    prefix: str = ""
    status: str | None = None
    outcome: str | None = None
    after: int = 0
    before: int = 10**12 - 1

    @property
    def narrows(self) -> bool:
        """Whether rows of the index have to be left out."""
        return bool(self.prefix or self.status or self.outcome)


class JobReader:
    """The reading side of the job table of one deployment."""

    def __init__(self, client: Any, table: str) -> None:
        """Use the table.

        Args:
            client: a boto3 DynamoDB client.
            table: the table's name.
        """
        self._client = client
        self._table = table

    def page_of_jobs(
        self, site: str, wanted: JobFilter, *, limit: int, after: tuple[str, str] | None
    ) -> tuple[list[Job], tuple[str, str] | None]:
        """A page of a site's jobs, newest first, with what the list index carries of each.

        Args:
            site: the site.
            wanted: which jobs.
            limit: most jobs.
            after: the list key and id of the last job of the page before.

        Returns:
            The jobs, and where the next page starts, if there may be one.
        """
        low, high = table_keys.listed_range(wanted.after, wanted.before)
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": table_keys.LIST_INDEX,
            "KeyConditionExpression": "lpk = :lpk AND lsk BETWEEN :low AND :high",
            "ExpressionAttributeValues": {
                ":lpk": {"S": table_keys.list_partition(site)},
                ":low": {"S": low},
                ":high": {"S": high},
            },
            "ScanIndexForward": False,
        }
        if not wanted.narrows:
            request["Limit"] = limit
        _add_filters(request, wanted)
        if after is not None:
            request["ExclusiveStartKey"] = _list_position(site, *after)
        answer = self._client.query(**request)
        rows = [dynamodb_json.decode(item) for item in answer["Items"]]
        jobs = [_listed(site, row) for row in rows[:limit]]
        if len(rows) > limit:
            return jobs, (rows[limit - 1]["lsk"], rows[limit - 1]["sk"])
        if last := answer.get("LastEvaluatedKey"):
            return jobs, (last["lsk"]["S"], last["sk"]["S"])
        return jobs, None

    def allocations(self, site: str, ids: list[str]) -> list[Allocation]:
        """Those of the given allocations that exist, in the order of the ids; at most 100."""
        keys = [table_keys.allocation(site, one) for one in dict.fromkeys(ids)]
        found = {row["id"]: _allocation(site, row) for row in self._batch(keys[:_BATCH])}
        return [found[one] for one in dict.fromkeys(ids) if one in found]

    def allocations_by_prefix(self, site: str, prefix: str, limit: int) -> list[Allocation]:
        """Allocations whose id begins so, by id.

        Args:
            site: the site.
            prefix: at least one hexadecimal digit.
            limit: most allocations.
        """
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :prefix)",
            ExpressionAttributeValues={
                ":pk": {"S": table_keys.allocation(site, prefix).pk},
                ":prefix": {"S": prefix},
            },
            ConsistentRead=True,
            Limit=limit,
        )
        return [_allocation(site, dynamodb_json.decode(row)) for row in answer["Items"]]

    def ahead(self, allocation: Allocation) -> int:
        """How many allocations are before one in its site's queue."""
        low, _ = table_keys.queue_pending_range()
        own = table_keys.queue_pending(
            allocation.priority, allocation.created, allocation.not_before
        )
        # The row itself counts too, and those of the same second that cannot be told apart.
        return max(0, self._count(allocation.site, low, own) - 1)

    def waiting(self, site: str) -> int:
        """How many allocations wait in a site's queue."""
        return self._count(site, *table_keys.queue_pending_range())

    def _count(self, site: str, low: str, high: str) -> int:
        """How many rows of the queue; what is beyond 1 MB of keys (some 8,000) is not counted."""
        answer = self._client.query(
            TableName=self._table,
            IndexName=table_keys.QUEUE_INDEX,
            KeyConditionExpression="qpk = :qpk AND qsk BETWEEN :low AND :high",
            ExpressionAttributeValues={
                ":qpk": {"S": table_keys.queue_partition(site)},
                ":low": {"S": low},
                ":high": {"S": high},
            },
            Select="COUNT",
        )
        return int(answer["Count"])

    def heartbeats(self, site: str) -> list[Heartbeat]:
        """The newest heartbeat of each installation of a site's puller."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": table_keys.heartbeat_partition(site)}},
        )
        rows = [dynamodb_json.decode(item) for item in answer["Items"]]
        return [from_attributes(Heartbeat, row) for row in rows if "at" in row]

    def control(self, site: str) -> SiteControl | None:
        """What an operator wants of a site."""
        rows = self._batch([table_keys.control(site)])
        return from_attributes(SiteControl, {**rows[0], "site": site}) if rows else None

    def _batch(self, keys: list[table_keys.Key]) -> list[dict[str, Any]]:
        wanted = [{"pk": {"S": key.pk}, "sk": {"S": key.sk}} for key in keys]
        found: list[dict[str, Any]] = []
        while wanted:
            answer = self._client.batch_get_item(
                RequestItems={self._table: {"Keys": wanted, "ConsistentRead": True}}
            )
            found += map(dynamodb_json.decode, answer["Responses"].get(self._table, []))
            wanted = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
        return found


def _add_filters(request: dict[str, Any], wanted: JobFilter) -> None:
    conditions = []
    for name, value in (("status", wanted.status), ("outcome", wanted.outcome)):
        if value is not None:
            conditions.append(f"#{name} = :{name}")
            request.setdefault("ExpressionAttributeNames", {})[f"#{name}"] = name
            request["ExpressionAttributeValues"][f":{name}"] = {"S": value}
    if wanted.prefix:
        conditions.append("begins_with(sk, :prefix)")
        request["ExpressionAttributeValues"][":prefix"] = {"S": wanted.prefix}
    if conditions:
        request["FilterExpression"] = " AND ".join(conditions)


def _list_position(site: str, listed: str, job_id: str) -> dict[str, Any]:
    key = table_keys.job(site, job_id)
    return {
        "lpk": {"S": table_keys.list_partition(site)},
        "lsk": {"S": listed},
        "pk": {"S": key.pk},
        "sk": {"S": key.sk},
    }


def _allocation(site: str, row: dict[str, Any]) -> Allocation:
    """The allocation; its site is that of the key, which IAM guards, not what a puller wrote."""
    return from_attributes(Allocation, {**row, "site": site})


def _listed(site: str, row: dict[str, Any]) -> Job:
    submitted, _, _ = row["lsk"].partition("#")
    facts = {**row, "site": site, "id": row["sk"], "bucket": "", "submitted": int(submitted)}
    return from_attributes(Job, facts)
