"""Who waits for whom, in the job table. Every write has a named condition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.allocation import Allocation
from job_protocol.dependency import Dependency
from job_protocol.items import SCHEMA_VERSION
from job_protocol.job import Job
from job_protocol.states import JobStatus, Role
from lambdas.errors import Conflict
from lambdas.ports.job_items import as_read, entering, job_item, typed_key


def edges(table: str, job: Job) -> list[dict[str, Any]]:
    """The writes by which a job begins to wait, for the transaction that creates its run.

    Conditions: no run that it waits for has ended.

    Args:
        table: the table's name.
        job: the job as it shall be.
    """
    writes: list[dict[str, Any]] = []
    for dependency in job.waiting_on:
        writes.append({"Update": _waited_for(table, job, dependency)})
        edge = {**typed_key(_edge(job, dependency)), "v": {"N": str(SCHEMA_VERSION)}}
        writes.append({"Put": {"TableName": table, "Item": edge}})
    return writes


def _edge(job: Job, dependency: Dependency) -> table_keys.Key:
    return table_keys.dependent(
        dependency.site or job.site,
        dependency.job,
        dependency.run or 0,
        waiting_site=job.site,
        waiting_job=job.id,
    )


def _waited_for(table: str, job: Job, dependency: Dependency) -> dict[str, Any]:
    """Say of a run that has not ended that somebody waits for its end."""
    values = {
        ":yes": True,
        ":run": dependency.run,
        ":leaf": Role.LEAF,
        ":dead": JobStatus.DEAD,
    }
    return {
        "TableName": table,
        "Key": typed_key(table_keys.job(dependency.site or job.site, dependency.job)),
        "UpdateExpression": "SET dependents = :yes",
        "ConditionExpression": "#run = :run AND #role = :leaf AND #status <> :dead",
        "ExpressionAttributeNames": {"#run": "run", "#role": "role", "#status": "status"},
        "ExpressionAttributeValues": dynamodb_json.encode(values),
    }


class DependencyTable:
    """The dependencies in the job table of one deployment."""

    def __init__(self, client: Any, table: str) -> None:
        """Use the table.

        Args:
            client: a boto3 DynamoDB client.
            table: the table's name.
        """
        self._client = client
        self._table = table

    def waiting_for(self, job: Job) -> Iterator[tuple[str, str]]:
        """Site and id of each job that waits for the end of a job's run, read consistently.

        Those that have been told are left out.
        """
        start: dict[str, Any] = {}
        while True:
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND begins_with(sk, :run)",
                FilterExpression="attribute_not_exists(#ttl)",
                ExpressionAttributeNames={"#ttl": "ttl"},
                ExpressionAttributeValues={
                    ":pk": {"S": table_keys.dependents(job.site, job.id)},
                    ":run": {"S": table_keys.dependents_of_run(job.run)},
                },
                ConsistentRead=True,
                **start,
            )
            for item in answer["Items"]:
                yield table_keys.waiting_job(item["sk"]["S"])
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def told(self, job: Job, site: str, job_id: str, *, ttl: int) -> None:
        """Say of an edge that the job that waited knows the end, and let it expire.

        Args:
            job: the job that has ended.
            site: the site of the one that waited for it.
            job_id: that one.
            ttl: when the edge may be deleted, in seconds since the epoch.
        """
        edge = table_keys.dependent(
            job.site, job.id, job.run, waiting_site=site, waiting_job=job_id
        )
        self._client.update_item(
            TableName=self._table,
            Key=typed_key(edge),
            UpdateExpression="SET #ttl = :ttl",
            ExpressionAttributeNames={"#ttl": "ttl"},
            ExpressionAttributeValues={":ttl": {"N": str(ttl)}},
        )

    def enter_queue(self, read: Job, new: Job, allocation: Allocation) -> None:
        """Let the current allocation of a job that waits for nothing any more into the queue.

        Conditions: the job is as it was read; the allocation is pending, has no token, and shall
        run.

        Raises:
            Conflict: one of them failed.
        """
        put = {"TableName": self._table, "Item": job_item(new), **as_read(read).arguments()}
        writes = [{"Put": put}, entering(self._table, allocation)]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except self._client.exceptions.TransactionCanceledException as error:
            raise Conflict(f"job {read.id!r} changed meanwhile: {error}") from error
