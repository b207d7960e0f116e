"""Values of HCL expressions and how they convert: text, numbers, booleans, lists and maps.

A value is None, bool, int, float, str, list or dict. What cannot be converted raises ValueError
with a sentence; the evaluation adds the line.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from decimal import Decimal
from itertools import islice
from math import isfinite
from typing import Any

MAX_BITS = 512
"""Precision of Nomad's numbers; larger whole numbers are refused."""

_SHOWN = 10
"""Names of elements in a message."""

_EXACT_FLOATS = 2**53
_NUMBER = re.compile(r"[+-]?[0-9]{1,150}(?:\.[0-9]{1,150})?(?:[eE][+-]?[0-9]{1,3})?")


def kind_of(value: Any) -> str:
    """The type's name as HCL says it, for messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int | float):
        return "number"
    if isinstance(value, str):
        return "string"
    return "list" if isinstance(value, list) else "map"


def is_number(value: Any) -> bool:
    """Whether it is a number (Python's booleans are integers too; HCL's are not)."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def number_to_text(value: float) -> str:
    """A number in decimal digits, never with an exponent."""
    return str(value) if isinstance(value, int) else format(Decimal(repr(value)), "f")


def to_text(value: Any) -> str:
    """The value as a string.

    Raises:
        ValueError: it is null, a list or a map.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_number(value):
        return number_to_text(value)
    raise ValueError(f"a string is needed here, not {_a(value)}")


def to_number(value: Any) -> int | float:
    """The value as a number.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return number(int(value)) if value.lstrip("+-").isdigit() else number(float(value))
    if isinstance(value, int | float) and not isinstance(value, bool):
        return value
    shown = f": {value[:40]!r}" if isinstance(value, str) else ""
    raise ValueError(f"a number is needed here, not {_a(value)}{shown}")


def to_whole(value: Any) -> int:
    """The value as a whole number.

    Raises:
        ValueError: it is none.
    """
    found = to_number(value)
    if isinstance(found, float):
        raise ValueError(f"a whole number is needed here, not {number_to_text(found)}")
    return found


def to_bool(value: Any) -> bool:
    """The value as true or false.

    Raises:
        ValueError: it is neither.
    """
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value in ("true", "false", "1", "0"):
        return value in ("true", "1")
    raise ValueError(f"true or false is needed here, not {_a(value)}")


def to_list(value: Any) -> list[Any]:
    """The value as a list.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, list):
        return value
    raise ValueError(f"a list is needed here, not {_a(value)}")


def to_map(value: Any) -> dict[str, Any]:
    """The value as a map.

    Raises:
        ValueError: it is none.
    """
    if isinstance(value, dict):
        return value
    raise ValueError(f"a map is needed here, not {_a(value)}")


def _a(value: Any) -> str:
    return {"null": "null"}.get(kind_of(value), f"a {kind_of(value)}")


def number(value: Any) -> int | float:
    """A number in its plain form: whole numbers are int.

    Raises:
        ValueError: it is too large, or no number.
    """
    if isinstance(value, float):
        if not isfinite(value):
            raise ValueError("the result is no finite number")
        return int(value) if value.is_integer() and abs(value) < _EXACT_FLOATS else value
    whole = int(value)
    if whole.bit_length() > MAX_BITS:
        raise ValueError(f"the number has more than {MAX_BITS} bits")
    return whole


def same(left: Any, right: Any) -> bool:
    """Whether two values are equal; values of different types never are."""
    if kind_of(left) != kind_of(right):
        return False
    if isinstance(left, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    return bool(left == right)


def identity(value: Any) -> Any:
    """A hashable stand-in: equal for equal values (see `same`) only."""
    if isinstance(value, list):
        return ("list", tuple(map(identity, value)))
    if isinstance(value, dict):
        return ("map", tuple((key, identity(value[key])) for key in sorted(value)))
    return (kind_of(value), value)


def distinct(values: Iterable[Any]) -> list[Any]:
    """The values without repetition, in the order of their first appearance."""
    found: dict[Any, Any] = {}
    for value in values:
        found.setdefault(identity(value), value)
    return list(found.values())


def as_set(values: Iterable[Any]) -> list[Any]:
    """The values as a set: without repetition; strings and numbers in order."""
    unique = distinct(values)
    if all(isinstance(value, str) for value in unique) or all(map(is_number, unique)):
        return sorted(unique)
    return unique


def elements(value: Any) -> list[tuple[Any, Any]]:
    """Keys and values of a collection, a map's in the order of its keys.

    Raises:
        ValueError: it is no collection.
    """
    if isinstance(value, list):
        return list(enumerate(value))
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value)]
    raise ValueError(f"a list or a map is needed here, not {_a(value)}")


def at(value: Any, key: Any) -> Any:
    """The element of a collection.

    Raises:
        ValueError: it has none of that key, or is no collection.
    """
    if isinstance(value, dict):
        name = to_text(key)
        if name not in value:
            known = ", ".join(sorted(islice(value, _SHOWN))) or "none"
            raise ValueError(f"there is no element {name!r}; there are: {known}")
        return value[name]
    if isinstance(value, list):
        index = to_whole(key)
        if not 0 <= index < len(value):
            raise ValueError(f"there is no element {index} in a list of {len(value)}")
        return value[index]
    raise ValueError(f"{_a(value)} has no elements")
