"""A DynamoDB client over a dictionary: the requests that the puller makes, with their conditions.

The conditions are evaluated as written, so that the real `CloudQueue` is what is tested.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

Item = dict[str, Any]
_TOKEN = re.compile(r"\s*(<=|>=|<>|[()=<>,]|[#:]?[A-Za-z_][A-Za-z0-9_]*)")


def holds(condition: str, item: Item, names: dict[str, str], values: dict[str, Any]) -> bool:
    """Whether a condition expression holds for an item; a missing attribute compares as false."""
    tokens = _TOKEN.findall(condition)
    assert "".join(tokens) == re.sub(r"\s", "", condition), condition
    parser = _Parser(iter([*tokens, ""]), item, names, values)
    result = parser.either()
    assert parser.now == "", condition
    return result


@dataclass
class _Parser:
    tokens: Iterator[str]
    item: Item
    names: dict[str, str]
    values: dict[str, Any]
    now: str = ""

    def __post_init__(self) -> None:
        self.step()

    def step(self) -> str:
        taken, self.now = self.now, next(self.tokens, "")
        return taken

    def either(self) -> bool:
        result = self.both()
        while self.now == "OR":
            self.step()
            result = self.both() or result
        return result

    def both(self) -> bool:
        result = self.single()
        while self.now == "AND":
            self.step()
            result = self.single() and result
        return result

    def single(self) -> bool:
        if self.now == "NOT":
            self.step()
            return not self.single()
        if self.now == "(":
            self.step()
            result = self.either()
            assert self.step() == ")"
            return result
        if self.now in ("attribute_exists", "attribute_not_exists"):
            wanted = self.step() == "attribute_exists"
            assert self.step() == "("
            present = self.operand() is not None
            assert self.step() == ")"
            return present is wanted
        return self.comparison()

    def comparison(self) -> bool:
        left = self.operand()
        operator = self.step()
        if operator == "IN":
            assert self.step() == "("
            choices = [self.operand()]
            while self.step() == ",":
                choices.append(self.operand())
            return left in choices
        right = self.operand()
        if left is None or right is None or type(left) is not type(right):
            return False
        compare: dict[str, Callable[[Any, Any], bool]] = {
            "=": lambda a, b: a == b,
            "<>": lambda a, b: a != b,
            "<": lambda a, b: a < b,
            "<=": lambda a, b: a <= b,
            ">": lambda a, b: a > b,
            ">=": lambda a, b: a >= b,
        }
        return compare[operator](left, right)

    def operand(self) -> Any:
        token = self.step()
        typed = (
            self.values[token]
            if token.startswith(":")
            else self.item.get(self.names.get(token, token))
        )
        if typed is None:
            return None
        ((kind, value),) = typed.items()
        return int(value) if kind == "N" else value


@dataclass
class MemoryTable:
    """The table and its queue index."""

    items: dict[tuple[str, str], Item] = field(default_factory=dict)

    def update_item(self, **request: Any) -> dict[str, Any]:
        key = (request["Key"]["pk"]["S"], request["Key"]["sk"]["S"])
        old = self.items.get(key, {})
        names, values = request["ExpressionAttributeNames"], request["ExpressionAttributeValues"]
        if not holds(request["ConditionExpression"], old, names, values):
            raise ClientError(
                {
                    "Error": {"Code": "ConditionalCheckFailedException", "Message": "failed"},
                    "Item": copy.deepcopy(old),
                },
                "UpdateItem",
            )
        new = copy.deepcopy(old) | copy.deepcopy(request["Key"])
        sets, _, removes = request["UpdateExpression"].removeprefix("SET ").partition(" REMOVE ")
        for assignment in sets.split(", "):
            name, value = assignment.split(" = ")
            new[names[name]] = values[value]
        for name in filter(None, removes.split(", ")):
            new.pop(names[name], None)
        self.items[key] = new
        return {"Attributes": copy.deepcopy(new)}

    def get_item(self, **request: Any) -> dict[str, Any]:
        key = (request["Key"]["pk"]["S"], request["Key"]["sk"]["S"])
        return {"Item": copy.deepcopy(self.items[key])} if key in self.items else {}

    def query(self, **request: Any) -> dict[str, Any]:
        partition = request["ExpressionAttributeValues"][":qpk"]
        rows = [item for item in self.items.values() if item.get("qpk") == partition]
        rows.sort(key=lambda item: str(item["qsk"]["S"]))
        return {"Items": copy.deepcopy(rows)}
