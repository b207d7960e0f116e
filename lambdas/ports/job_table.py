"""The job table, as the Lambdas use it. Every write has a named condition."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.allocation import Allocation
from job_protocol.items import from_attributes
from job_protocol.job import Job
from job_protocol.states import Desired
from lambdas.errors import Conflict
from lambdas.ports import allocation_stops
from lambdas.ports.dependency_table import edges
from lambdas.ports.job_items import (
    ABSENT,
    HAS_ENDED,
    TERMINAL,
    Asked,
    Birth,
    allocation_item,
    as_read,
    at,
    birth_writes,
    cancelled_by,
    job_item,
    put,
    typed_key,
)

_BATCH_GET_LIMIT = 100


class JobTable:
    """The job table of one deployment."""

    def __init__(self, client: Any, table: str) -> None:
        """Use the table.

        Args:
            client: a boto3 DynamoDB client.
            table: the table's name.
        """
        self.client = client
        self._table = table
        self.name = table

    def job(self, site: str, job_id: str) -> Job | None:
        """The job item, read consistently."""
        item = self._get(table_keys.job(site, job_id))
        return from_attributes(Job, item) if item is not None else None

    def allocation(self, site: str, allocation_id: str) -> Allocation | None:
        """The allocation, read consistently."""
        item = self._get(table_keys.allocation(site, allocation_id))
        return from_attributes(Allocation, item) if item is not None else None

    def numbers(self, key: table_keys.Key) -> dict[str, int]:
        """The numbers in an item, by attribute, read consistently."""
        item = self._get(key) or {}
        return {name: value for name, value in item.items() if isinstance(value, int)}

    def _get(self, key: table_keys.Key) -> dict[str, Any] | None:
        answer = self.client.get_item(
            TableName=self._table, Key=typed_key(key), ConsistentRead=True
        )
        return dynamodb_json.decode(answer["Item"]) if "Item" in answer else None

    def jobs(self, site: str, job_ids: list[str]) -> dict[str, Job]:
        """Those of the given job items that exist, read consistently; at most 100 ids."""
        if not job_ids:
            return {}
        wanted = [typed_key(table_keys.job(site, job_id)) for job_id in job_ids]
        found: dict[str, Job] = {}
        while wanted:
            answer = self.client.batch_get_item(
                RequestItems={
                    self._table: {"Keys": wanted[:_BATCH_GET_LIMIT], "ConsistentRead": True}
                }
            )
            for item in answer["Responses"].get(self._table, []):
                job = from_attributes(Job, dynamodb_json.decode(item))
                found[job.id] = job
            wanted = wanted[_BATCH_GET_LIMIT:]
            unread = answer.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
            wanted.extend(unread)
        return found

    def site_last_seen(self, site: str) -> int | None:
        """The newest heartbeat of a site, in seconds since the epoch."""
        answer = self.client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": table_keys.heartbeat_partition(site)}},
            ProjectionExpression="#at",
            ExpressionAttributeNames={"#at": "at"},
        )
        return max((int(item["at"]["N"]) for item in answer["Items"] if "at" in item), default=None)

    def replace_job(self, read: Job | None, new: Job) -> None:
        """Write a job item.

        Condition: the item is as it was read.

        Raises:
            Conflict: it is not.
        """
        try:
            self.client.put_item(
                TableName=self._table, Item=job_item(new), **as_read(read).arguments()
            )
        except self.client.exceptions.ConditionalCheckFailedException as error:
            raise Conflict(f"job {new.id!r} changed meanwhile") from error

    def create_allocation(
        self,
        read: Job | None,
        new: Job,
        allocation: Allocation,
        *,
        task_token: str | None = None,
        birth: Birth | None = None,
        further: Sequence[dict[str, Any]] = (),
    ) -> None:
        """Write a job item and its new current allocation, both or neither.

        Conditions: the job is as it was read, the allocation does not exist, what it waits for has
        not ended; of a child, the template is as it was read, if it changes, and no dispatch had
        the same token; those of `further`.

        Args:
            read: the job as it was read.
            new: the job as it shall be.
            allocation: its new current allocation; while the job waits for others, it is not in
                the site's queue.
            task_token: the task token of the workflow that waits for the end of this run.
            birth: what goes with it, if the job is a template's new child.
            further: more writes of the same transaction.

        Raises:
            Conflict: one of them failed.
        """
        waits = new.held_back and not allocation.client_status.terminal
        writes = [
            {"Put": put(self._table, job_item(new), as_read(read))},
            {"Put": put(self._table, allocation_item(allocation, held_back=waits), ABSENT)},
        ]
        if waits:
            writes += edges(self._table, new)
        if task_token is not None:
            key = table_keys.task_token(new.site, new.id, new.run)
            item = {**typed_key(key), "task_token": {"S": task_token}}
            writes.append({"Put": {"TableName": self._table, "Item": item}})
        if birth is not None:
            writes += birth_writes(self._table, birth, new, allocation)
        self._transact(*writes, *further, job_id=new.id)

    def replace_job_and(self, read: Job, new: Job, further: Sequence[dict[str, Any]]) -> None:
        """Write a job item and something else, all or nothing.

        Condition: the item is as it was read.

        Raises:
            Conflict: it is not.
        """
        self._transact(
            {"Put": put(self._table, job_item(new), as_read(read))}, *further, job_id=new.id
        )

    def task_token(self, site: str, job_id: str, run: int) -> str | None:
        """The task token of the workflow that waits for the end of a run, if one does."""
        item = self._get(table_keys.task_token(site, job_id, run))
        return str(item["task_token"]) if item is not None and "ttl" not in item else None

    def forget_task_token(self, job: Job, *, ttl: int) -> None:
        """Say that the workflow has been told of the run's end; the item may then go.

        Condition: the item is there. `ttl` is when it may go, in seconds since the epoch.
        """
        with suppress(self.client.exceptions.ConditionalCheckFailedException):
            self.client.update_item(
                TableName=self._table,
                Key=typed_key(table_keys.task_token(job.site, job.id, job.run)),
                UpdateExpression="SET #ttl = :ttl",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeNames={"#ttl": "ttl"},
                ExpressionAttributeValues={":ttl": {"N": str(ttl)}},
            )

    def stop_unclaimed(self, read: Job, new: Job, asked: Asked, *, ttl: int, reason: str) -> None:
        """End the current allocation, which no puller has claimed.

        Conditions: the job is as it was read; the allocation is pending and has no token.

        Args:
            read: the job as it was read.
            new: the job as it shall be.
            asked: who asks, and when.
            ttl: when the allocation's item may be deleted, in seconds since the epoch.
            reason: why, a sentence.

        Raises:
            Conflict: one of them failed.
        """
        where = _current(read)
        self._stop(
            read,
            new,
            allocation_stops.unclaimed(self._table, *where, asked, ttl=ttl, reason=reason),
        )

    def ask_to_stop(self, read: Job, new: Job, asked: Asked) -> None:
        """Ask the puller that holds the current allocation to stop it.

        Conditions: the job is as it was read; the allocation is claimed and has not ended.

        Args:
            read: the job as it was read.
            new: the job as it shall be.
            asked: who asks, and when.

        Raises:
            Conflict: one of them failed.
        """
        self._stop(read, new, allocation_stops.claimed(self._table, *_current(read), asked))

    def stop_attempts(self, read: Job, new: Job) -> None:
        """Say of the current allocation, which has ended, that none shall follow it.

        Conditions: the job is as it was read; the allocation has ended.

        Raises:
            Conflict: one of them failed.
        """
        self._stop(read, new, allocation_stops.ended(self._table, *_current(read)))

    def ask_to_purge(self, job: Job, *, now: int) -> None:
        """Ask the site to remove the directories of a job that has ended.

        Conditions: the job is as it was read; its current allocation has ended.

        Args:
            job: the job as it was read.
            now: seconds since the epoch.

        Raises:
            Conflict: one of them failed.
        """
        if job.current is None:
            raise Conflict(f"job {job.id!r} has no allocation to purge")
        values = {
            ":purge": Desired.PURGE,
            ":qpk": table_keys.queue_partition(job.site),
            ":qsk": table_keys.queue_purge(now),
            **TERMINAL,
        }
        self._transact(
            {"ConditionCheck": at(self._table, table_keys.job(job.site, job.id), as_read(job))},
            {
                "Update": {
                    "TableName": self._table,
                    "Key": typed_key(table_keys.allocation(job.site, job.current)),
                    "UpdateExpression": "SET desired = :purge, qpk = :qpk, qsk = :qsk REMOVE #ttl",
                    "ConditionExpression": HAS_ENDED,
                    "ExpressionAttributeNames": {"#ttl": "ttl"},
                    "ExpressionAttributeValues": dynamodb_json.encode(values),
                }
            },
            job_id=job.id,
        )

    def forget(self, job: Job) -> None:
        """Delete a job and its current allocation.

        Condition: the job is as it was read.

        Raises:
            Conflict: it is not.
        """
        deletions = [{"Delete": at(self._table, table_keys.job(job.site, job.id), as_read(job))}]
        if job.current is not None:
            key = table_keys.allocation(job.site, job.current)
            deletions.append({"Delete": {"TableName": self._table, "Key": typed_key(key)}})
        self._transact(*deletions, job_id=job.id)

    def _stop(self, read: Job, new: Job, stop: dict[str, Any]) -> None:
        self._transact({"Put": put(self._table, job_item(new), as_read(read))}, stop, job_id=new.id)

    def _transact(self, *writes: dict[str, Any], job_id: str) -> None:
        try:
            self.client.transact_write_items(TransactItems=list(writes))
        except self.client.exceptions.TransactionCanceledException as error:
            raise Conflict(f"job {job_id!r} changed meanwhile: {cancelled_by(error)}") from error


def _current(job: Job) -> tuple[str, str]:
    """Site and id of a job's current allocation."""
    if job.current is None:
        raise Conflict(f"job {job.id!r} has no allocation to stop")
    return job.site, job.current
