"""DynamoDB's request units, computed from items as its developer guide says.

"Item sizes and formats", "Global secondary indexes: provisioned throughput considerations" and
"Transactions: capacity management". The emulator does not compute them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

WRITE_UNIT = 1024
READ_UNIT = 4096
STORED_OVERHEAD = 100
"""Bytes that each stored item is billed more than its names and values."""

Item = Mapping[str, Any]
"""An item in DynamoDB's typed JSON."""


@dataclass(frozen=True, slots=True)
class Index:
    """A global secondary index.

    Attributes:
        name: its name.
        keys: its key attributes.
        projected: further attributes that it carries; None for all.
    """

    name: str
    keys: tuple[str, ...]
    projected: frozenset[str] | None

    @staticmethod
    def of(description: Mapping[str, Any]) -> Index:
        """The index in the form of `DescribeTable`."""
        projection = description["Projection"]
        everything = projection["ProjectionType"] == "ALL"
        return Index(
            name=description["IndexName"],
            keys=tuple(key["AttributeName"] for key in description["KeySchema"]),
            projected=None if everything else frozenset(projection.get("NonKeyAttributes", ())),
        )

    def entry(self, item: Item | None, table_keys: Sequence[str]) -> dict[str, Any] | None:
        """What the index holds of an item; None if the item has not all of its keys."""
        if item is None or any(key not in item for key in self.keys):
            return None
        if self.projected is None:
            return dict(item)
        names = {*self.keys, *table_keys, *self.projected}
        return {name: value for name, value in item.items() if name in names}


def item_size(item: Item | None) -> int:
    """Bytes of an item: names and values."""
    return sum(len(n.encode()) + _value_size(v) for n, v in (item or {}).items())


def _value_size(value: Mapping[str, Any]) -> int:
    (kind, content), *_ = value.items()
    match kind:
        case "S":
            return len(content.encode())
        case "N":
            return math.ceil(len(content.strip("-0.").replace(".", "")) / 2) + 1
        case "B":
            return len(content) if isinstance(content, bytes) else len(content) * 3 // 4
        case "M":
            return 3 + sum(1 + len(n.encode()) + _value_size(v) for n, v in content.items())
        case "L":
            return 3 + sum(1 + _value_size(v) for v in content)
    return 1  # BOOL, NULL


def _units(size: int, unit: int) -> int:
    return max(1, math.ceil(size / unit))


@dataclass(frozen=True, slots=True)
class WriteUnits:
    """What one write of one item costs.

    Attributes:
        table: units of the table itself.
        indexes: units of each index that the write touched, by name.
    """

    table: int
    indexes: Mapping[str, int]

    @property
    def total(self) -> int:
        """All of them."""
        return self.table + sum(self.indexes.values())


def write_units(
    before: Item | None,
    after: Item | None,
    *,
    table_keys: Sequence[str],
    indexes: Sequence[Index],
    transactional: bool = False,
) -> WriteUnits:
    """The units of a write that took an item from `before` to `after`.

    A write whose condition fails costs the table's units of the item as it stands: give it twice.
    Each index entry that appears, goes or changes costs one write, a changed key two (delete and
    put). A transaction doubles the table's part, since it prepares and commits each item; indexes
    follow afterwards, as after any other write, and cost no more. The guide leaves that open; so it
    was measured on DynamoDB itself ("per-index ConsumedCapacity on transactional writes", pull
    request 188 of nubo-db/dynoxide).
    """
    size = max(item_size(before), item_size(after))
    touched: dict[str, int] = {}
    for index in indexes:
        old, new = index.entry(before, table_keys), index.entry(after, table_keys)
        if old == new:
            continue
        same_key = old and new and all(old[key] == new[key] for key in index.keys)
        if same_key:
            units = _units(max(item_size(old), item_size(new)), WRITE_UNIT)
        else:
            units = sum(_units(item_size(e), WRITE_UNIT) for e in (old, new) if e is not None)
        touched[index.name] = units
    return WriteUnits((2 if transactional else 1) * _units(size, WRITE_UNIT), touched)


def read_units(items: Sequence[Item | None], *, consistent: bool, each: bool) -> float:
    """The units of a read.

    Args:
        items: what was read; None for what is not there.
        consistent: whether the read was strongly consistent.
        each: whether every item is rounded up by itself (`GetItem`, `BatchGetItem`), or the sum
            of all (`Query`).
    """
    if each:
        units = sum(_units(item_size(item), READ_UNIT) for item in items)
    else:
        units = _units(sum(map(item_size, items)), READ_UNIT)
    return units * (1.0 if consistent else 0.5)
