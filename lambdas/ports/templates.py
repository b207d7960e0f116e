"""What the job table says of templates: their children, and which of them are due."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.items import from_attributes
from job_protocol.job import Job
from job_protocol.states import Role

_SHOWN = (
    "sk, #role, #kind, #status, outcome, client_status, run, submitted, finished, parent, rev, "
    "turn, #ttl"
)
_NAMES = {"#role": "role", "#kind": "kind", "#status": "status", "#ttl": "ttl"}


class Templates:
    """The templates of one deployment, for reading."""

    def __init__(self, client: Any, table: str) -> None:
        """Use the table.

        Args:
            client: a boto3 DynamoDB client.
            table: the table's name.
        """
        self._client = client
        self._table = table

    def children(self, site: str, parent: str, *, pages: int) -> list[Job]:
        """A template's children, the latest ids first, with what a row of a list shows of each.

        Args:
            site: the site.
            parent: the template.
            pages: most pages of 1 MB (some 1,500 children) that are read.
        """
        request: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :children)",
            "ExpressionAttributeValues": {
                ":pk": {"S": table_keys.job(site, parent).pk},
                ":children": {"S": table_keys.children(parent)},
            },
            "ProjectionExpression": _SHOWN,
            "ExpressionAttributeNames": _NAMES,
            "ScanIndexForward": False,
        }
        found: list[Job] = []
        for _ in range(pages):
            answer = self._client.query(**request)
            rows = map(dynamodb_json.decode, answer["Items"])
            jobs = (from_attributes(Job, _facts(site, row)) for row in rows)
            found += [job for job in jobs if job.role is Role.LEAF and job.parent == parent]
            if "LastEvaluatedKey" not in answer:
                break
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]
        return found

    def any_below(self, site: str, folder: str) -> bool:
        """Whether any job or folder lies below an id, read consistently."""
        answer = self._client.query(
            TableName=self._table,
            KeyConditionExpression="pk = :pk AND begins_with(sk, :below)",
            ExpressionAttributeValues={
                ":pk": {"S": table_keys.job(site, folder).pk},
                ":below": {"S": table_keys.children(folder)},
            },
            Select="COUNT",
            Limit=1,
            ConsistentRead=True,
        )
        return bool(answer["Count"])

    def due(self, now: int) -> Iterator[tuple[str, str]]:
        """Site and id of the periodic jobs that are due, the longest waiting first.

        The index may be late: the job's item is the truth.

        Args:
            now: seconds since the epoch.
        """
        request: dict[str, Any] = {
            "TableName": self._table,
            "IndexName": table_keys.DUE_INDEX,
            "KeyConditionExpression": "dpk = :due AND next_due <= :now",
            "ExpressionAttributeValues": {
                ":due": {"S": table_keys.due_partition()},
                ":now": {"N": str(now)},
            },
        }
        while True:
            answer = self._client.query(**request)
            for item in answer["Items"]:
                yield table_keys.site_of(item["pk"]["S"]), item["sk"]["S"]
            if "LastEvaluatedKey" not in answer:
                return
            request["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def dispatched(self, token_hash: str) -> str | None:
        """The child that a dispatch with this token made; None if there was none."""
        key = table_keys.dispatch_token(token_hash)
        answer = self._client.get_item(
            TableName=self._table,
            Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
            ConsistentRead=True,
        )
        return str(answer["Item"]["job"]["S"]) if "Item" in answer else None


def _facts(site: str, row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "site": site, "id": row["sk"], "bucket": ""}
