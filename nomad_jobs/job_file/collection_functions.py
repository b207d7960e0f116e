"""HCL functions on lists, sets and maps."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from math import prod
from typing import Any

from nomad_jobs.job_file.values import (
    as_set,
    at,
    distinct,
    elements,
    identity,
    same,
    to_list,
    to_map,
    to_text,
    to_whole,
)


def _chunklist(values: Any, size: Any) -> list[list[Any]]:
    items, length = to_list(values), to_whole(size)
    if length < 0:
        raise ValueError("the size is negative")
    return [items[i : i + length] for i in range(0, len(items), length)] if length else [items]


def _coalesce(*values: Any) -> Any:
    for value in values:
        if value is not None and value != "":
            return value
    raise ValueError("no argument is other than null and empty")


def _coalescelist(*lists: Any) -> Any:
    for values in lists:
        if values and to_list(values):
            return values
    raise ValueError("no argument is a list with elements")


def _element(values: Any, index: Any) -> Any:
    items, position = to_list(values), to_whole(index)
    if not items:
        raise ValueError("the list is empty")
    if position < 0:
        raise ValueError("the index is negative")
    return items[position % len(items)]


def _flatten(values: Any) -> list[Any]:
    found: list[Any] = []
    waiting: list[Any] = [to_list(values)]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list):
            waiting.extend(reversed(value))
        else:
            found.append(value)
    return found


def _length(value: Any) -> int:
    if isinstance(value, str):
        raise ValueError("a list or a map is needed here; for a string use strlen()")
    return len(elements(value))


def _lookup(values: Any, key: Any, *default: Any) -> Any:
    found = to_map(values)
    if (name := to_text(key)) in found:
        return found[name]
    if default:
        return default[0]
    raise ValueError(f"there is no element {name!r}, and no default was given")


def _merge(*maps: Any) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for each in maps:
        if each is not None:
            merged.update(to_map(each))
    return merged


def _reverse(values: Any) -> Any:
    return values[::-1] if isinstance(values, str) else to_list(values)[::-1]


def _setintersection(first: Any, *others: Any) -> list[Any]:
    sets = [set(map(identity, to_list(other))) for other in others]
    return [value for value in as_set(to_list(first)) if all(identity(value) in s for s in sets)]


def _slice(values: Any, start: Any, end: Any) -> list[Any]:
    items, first, last = to_list(values), to_whole(start), to_whole(end)
    if not 0 <= first <= last <= len(items):
        raise ValueError(f"{first} to {last} is no part of a list of {len(items)}")
    return items[first:last]


def _zipmap(names: Any, values: Any) -> dict[str, Any]:
    keys, items = to_list(names), to_list(values)
    if len(keys) != len(items):
        raise ValueError(f"{len(keys)} names for {len(items)} values")
    return {to_text(key): item for key, item in zip(keys, items, strict=True)}


def product_size(*lists: Any) -> int:
    """Units for `setproduct`: every combination with its elements."""
    return prod(len(to_list(values)) for values in lists) * (1 + len(lists))


FUNCTIONS: dict[str, tuple[int, int | None, Callable[..., Any]]] = {
    "chunklist": (2, 2, _chunklist),
    "coalesce": (1, None, _coalesce),
    "coalescelist": (1, None, _coalescelist),
    "compact": (1, 1, lambda values: [v for v in to_list(values) if v is not None and v != ""]),
    "concat": (1, None, lambda *lists: [item for part in lists for item in to_list(part)]),
    "contains": (2, 2, lambda values, value: any(same(v, value) for v in to_list(values))),
    "distinct": (1, 1, lambda values: distinct(to_list(values))),
    "element": (2, 2, _element),
    "flatten": (1, 1, _flatten),
    "index": (2, 2, at),
    "keys": (1, 1, lambda values: sorted(to_map(values))),
    "length": (1, 1, _length),
    "lookup": (2, 3, _lookup),
    "merge": (0, None, _merge),
    "reverse": (1, 1, _reverse),
    "setintersection": (1, None, _setintersection),
    "setproduct": (
        2,
        None,
        lambda *lists: [list(row) for row in product(*(to_list(each) for each in lists))],
    ),
    "setunion": (1, None, lambda *sets: as_set(item for each in sets for item in to_list(each))),
    "slice": (3, 3, _slice),
    "sort": (1, 1, lambda values: sorted(to_text(value) for value in to_list(values))),
    "values": (1, 1, lambda values: [value for _, value in elements(to_map(values))]),
    "zipmap": (2, 2, _zipmap),
}
