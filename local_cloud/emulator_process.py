"""Starts MiniStack, and fills in a condition key of IAM that it leaves out.

It runs under the emulator's own interpreter, as a file: nothing of this project can be imported.
Without `dynamodb:LeadingKeys` every statement that guards a partition of the job table by it (with
`Null` beside it) would refuse everything, so nothing about those statements could be tried out.
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

_EQUALITY = re.compile(r"([#\w]+)\s*=\s*(:\w+)")


def leading_keys(request: Mapping[str, Any], tables: Mapping[str, Any]) -> list[str]:
    """The partition keys that a request names, as AWS tells them to a policy.

    The rule is that of the DynamoDB guide, "Using IAM policy conditions for fine-grained access
    control": the partition key of each item, and for a query the value that the partition key of
    the table or index must have.

    Args:
        request: the body of the request.
        tables: descriptions of the tables (`KeySchema`, `GlobalSecondaryIndexes`) by name.
    """
    return [
        str(next(iter(value.values())))
        for table, item, index in _named_items(request)
        if (name := _partition_key(tables, table, index)) is not None
        and isinstance(value := item.get(name), Mapping)
        and value
    ]


def _named_items(request: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str | None]]:
    """Table, item or key, and index of everything that a request names."""
    for action in request.get("TransactItems", []):
        for part in action.values():
            yield part["TableName"], part.get("Key") or part.get("Item") or {}, None
    for table, batch in request.get("RequestItems", {}).items():
        for item in _batched(batch):
            yield table, item, None
    if "TableName" in request:
        table = request["TableName"]
        yield table, request.get("Key") or request.get("Item") or {}, None
        yield table, _queried(request), request.get("IndexName")


def _batched(batch: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(batch, Mapping):
        yield from batch.get("Keys", [])
        return
    for write in batch:
        for part in write.values():
            yield part.get("Item") or part.get("Key") or {}


def _queried(request: Mapping[str, Any]) -> dict[str, Any]:
    """What a query demands to be equal, by attribute."""
    names = request.get("ExpressionAttributeNames") or {}
    values = request.get("ExpressionAttributeValues") or {}
    return {
        names.get(name, name): values[value]
        for name, value in _EQUALITY.findall(request.get("KeyConditionExpression") or "")
        if value in values
    }


def _partition_key(tables: Mapping[str, Any], table: str, index: str | None) -> str | None:
    description = tables.get(table.rsplit("/", 1)[-1]) or {}
    if index is not None:
        indexes = description.get("GlobalSecondaryIndexes") or []
        description = next((row for row in indexes if row["IndexName"] == index), {})
    for part in description.get("KeySchema", []):
        if part["KeyType"] == "HASH":
            return str(part["AttributeName"])
    return None


def main() -> None:
    """Run the emulator until it is stopped."""
    actions: Any = importlib.import_module("ministack.core.iam_actions")
    dynamodb: Any = importlib.import_module("ministack.services.dynamodb")
    original = actions.dynamodb_service_context

    def with_leading_keys(body: bytes) -> dict[str, Any]:
        context: dict[str, Any] = original(body)
        try:
            request = json.loads(body or b"{}")
            found = leading_keys(request, dynamodb._tables)
        except (ValueError, TypeError, KeyError, AttributeError):
            return context  # not a request that DynamoDB understands: it will say so itself
        return context | {"dynamodb:LeadingKeys": found} if found else context

    actions.dynamodb_service_context = with_leading_keys
    importlib.import_module("ministack.app").main()


if __name__ == "__main__":
    main()
