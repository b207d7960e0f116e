"""What a request does to the items of the job table: looked up before and after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from benchmarks.dynamodb_units import Index, WriteUnits, read_units, write_units
from benchmarks.exchange import HEARTBEAT, Exchange

_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})


class ItemImages:
    """Reads items at the emulator itself, past the proxy, so that it does not count itself."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        """Look at one table.

        Args:
            dynamodb: a boto3 client that leads to the emulator.
            table: the table's name.
        """
        self._dynamodb = dynamodb
        self._table = table
        described = dynamodb.describe_table(TableName=table)["Table"]
        self._keys = tuple(key["AttributeName"] for key in described["KeySchema"])
        self._indexes = [Index.of(row) for row in described.get("GlobalSecondaryIndexes", [])]

    def before(self, operation: str, body: bytes) -> list[Mapping[str, Any] | None]:
        """The items that a write is about to touch."""
        if operation not in _WRITES:
            return []
        return [self._item(key) for key in self._touched(json.loads(body))]

    def settle(
        self,
        exchange: Exchange,
        before: list[Mapping[str, Any] | None],
        request: bytes,
        answer: bytes,
    ) -> None:
        """Write the units of a finished exchange into it."""
        asked = json.loads(request)
        if exchange.operation in _WRITES:
            after = [self._item(key) for key in self._touched(asked)]
            exchange.key = " and ".join(
                _named(new or old) for old, new in zip(before, after, strict=True)
            )
            for old, new in zip(before, after, strict=True):
                exchange.writes.append(self._units(old, new, exchange.operation))
        elif exchange.status == 200:
            exchange.read_units = self._read_units(exchange.operation, asked, json.loads(answer))

    def _units(
        self, old: Mapping[str, Any] | None, new: Mapping[str, Any] | None, operation: str
    ) -> WriteUnits:
        return write_units(
            old,
            new,
            table_keys=self._keys,
            indexes=self._indexes,
            transactional=operation == "TransactWriteItems",
        )

    def _read_units(self, operation: str, asked: Any, answer: Any) -> float:
        if operation == "BatchGetItem":
            wanted = asked["RequestItems"][self._table]
            there = answer["Responses"].get(self._table, [])
            missing = len(wanted["Keys"]) - len(there)
            consistent = bool(wanted.get("ConsistentRead"))
            return read_units([*there, *[None] * missing], consistent=consistent, each=True)
        consistent = bool(asked.get("ConsistentRead"))
        if operation == "GetItem":
            return read_units([answer.get("Item")], consistent=consistent, each=True)
        return read_units(answer.get("Items", []), consistent=consistent, each=False)

    def _touched(self, asked: Any) -> list[dict[str, Any]]:
        if "TransactItems" in asked:
            actions = [next(iter(action.values())) for action in asked["TransactItems"]]
        else:
            actions = [asked]
        return [
            {name: (action.get("Key") or action["Item"])[name] for name in self._keys}
            for action in actions
        ]

    def _item(self, key: Mapping[str, Any]) -> Mapping[str, Any] | None:
        answer = self._dynamodb.get_item(TableName=self._table, Key=key, ConsistentRead=True)
        item: Mapping[str, Any] | None = answer.get("Item")
        return item


def _named(item: Mapping[str, Any] | None) -> str:
    """The kind of an item, in words."""
    prefix = item["pk"]["S"].partition("#")[0] if item else ""
    return {"J": "job", "A": "allocation", "S": HEARTBEAT}.get(prefix, "item")
