"""Whose turn it is among the dispatches of a template, in the job table; named conditions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import JobStatus
from lambdas.errors import Conflict
from lambdas.ports.job_items import as_read, entering, job_item, put, typed_key
from lambdas.ports.job_table import JobTable

_LOOKED_AT = 25
"""Places read at once: the first one is nearly always the next to start."""


class TurnTable:
    """The dispatches that wait, of one deployment."""

    def __init__(self, table: JobTable) -> None:
        """Use the job table."""
        self._client = table.client
        self._table = table.name

    def waiting(self, template: Job) -> Iterator[tuple[int, str]]:
        """Number and child of each dispatch that waits, the first one first, read consistently."""
        start: dict[str, Any] = {}
        while True:
            answer = self._client.query(**self._places(template, None), Limit=_LOOKED_AT, **start)
            for item in answer["Items"]:
                yield table_keys.turn_of(item["sk"]["S"])
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def before(self, template: Job, number: int) -> int:
        """How many dispatches wait before one."""
        counted, start = 0, dict[str, Any]()
        while True:
            answer = self._client.query(**self._places(template, number), Select="COUNT", **start)
            counted += int(answer["Count"])
            if "LastEvaluatedKey" not in answer:
                return counted
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    def _places(self, template: Job, before: int | None) -> dict[str, Any]:
        first, last = table_keys.turns_between(template.first_turn or 0, before)
        return {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND sk BETWEEN :first AND :last",
            "FilterExpression": "attribute_not_exists(#ttl)",
            "ExpressionAttributeNames": {"#ttl": "ttl"},
            "ExpressionAttributeValues": {
                ":pk": {"S": table_keys.dependents(template.site, template.id)},
                ":first": {"S": first},
                ":last": {"S": last},
            },
            "ConsistentRead": True,
        }

    def given_up(self, site: str, parent: str, number: int, child: str, *, now: int) -> None:
        """Say that a child waits no more, and let its place expire."""
        self._client.update_item(**self._expiring(site, parent, number, child, now))

    def _expiring(self, site: str, parent: str, number: int, child: str, now: int) -> Any:
        return {
            "TableName": self._table,
            "Key": typed_key(table_keys.turn(site, parent, number, child)),
            "UpdateExpression": "SET #ttl = :now",
            "ExpressionAttributeNames": {"#ttl": "ttl"},
            "ExpressionAttributeValues": {":now": {"N": str(now)}},
        }

    def take_turn(
        self,
        template: tuple[Job, Job],
        child: tuple[Job, Job],
        allocation: Allocation,
        *,
        number: int,
        now: int,
    ) -> None:
        """Let a child's allocation into the queue.

        Conditions: template and child are as they were read; the allocation is pending, has no
        token, and shall run.

        Args:
            template: the template as it was read, and as it shall be.
            child: the child as it was read, and as it shall be.
            allocation: its current allocation.
            number: the child's place.
            now: seconds since the epoch.

        Raises:
            Conflict: one of them failed.
        """
        site, parent = template[0].site, template[0].id
        writes = [
            {"Put": put(self._table, job_item(new), as_read(read))}
            for read, new in (template, child)
        ]
        writes += [
            entering(self._table, allocation),
            {"Update": self._expiring(site, parent, number, child[0].id, now)},
        ]
        try:
            self._client.transact_write_items(TransactItems=writes)
        except self._client.exceptions.TransactionCanceledException as error:
            raise Conflict(f"job {child[0].id!r} or its template changed meanwhile") from error

    def announce_end(self, child: Job) -> bool:
        """Have the publisher of a child's end look at its template; whether it has not ended.

        Condition: the child's run has not ended.
        """
        with suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.update_item(
                TableName=self._table,
                Key=typed_key(table_keys.job(child.site, child.id)),
                UpdateExpression="SET dependents = :yes",
                ConditionExpression="attribute_exists(pk) AND #status <> :dead",
                ExpressionAttributeNames={"#status": "status"},
                ExpressionAttributeValues=dynamodb_json.encode(
                    {":yes": True, ":dead": JobStatus.DEAD}
                ),
            )
            return True
        return False
