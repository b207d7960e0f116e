"""As much of JSON Schema 2020-12 as the published form uses; an unknown keyword is an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

_ANNOTATIONS = {"$schema", "$defs", "title", "description", "default"}
_TYPES: dict[str, Any] = {
    "object": dict,
    "array": list,
    "string": str,
    "integer": int,
    "null": type(None),
}
# Each speaks of values of its type only.
_ASSERTIONS: dict[str, tuple[type, Callable[[Any, Any], bool]]] = {
    "required": (dict, lambda names, value: set(names) <= set(value)),
    "minimum": (int, lambda least, value: value >= least),
    "maximum": (int, lambda most, value: value <= most),
    "minLength": (str, lambda least, value: len(value) >= least),
    "maxLength": (str, lambda most, value: len(value) <= most),
    "maxItems": (list, lambda most, value: len(value) <= most),
    "pattern": (str, lambda pattern, value: re.search(pattern, value) is not None),
}


def accepts(schema: dict[str, Any], value: Any, root: dict[str, Any] | None = None) -> bool:
    """Whether the document is valid."""
    root = root or schema
    return all(
        _keyword(name, argument, value, root) and _within(name, argument, schema, value, root)
        for name, argument in schema.items()
        if name not in _ANNOTATIONS
    )


def _keyword(name: str, argument: Any, value: Any, root: dict[str, Any]) -> bool:
    if name in _ASSERTIONS:
        kind, holds = _ASSERTIONS[name]
        return not isinstance(value, kind) or holds(argument, value)
    if name == "type":
        return isinstance(value, _TYPES[argument]) and not isinstance(value, bool)
    if name == "anyOf":
        return any(accepts(option, value, root) for option in argument)
    if name == "$ref":
        return accepts(root["$defs"][argument.removeprefix("#/$defs/")], value, root)
    return True


def _within(
    name: str, argument: Any, schema: dict[str, Any], value: Any, root: dict[str, Any]
) -> bool:
    if name == "items" and isinstance(value, list):
        return all(accepts(argument, entry, root) for entry in value)
    if name == "properties" and isinstance(value, dict):
        return all(accepts(argument[key], v, root) for key, v in value.items() if key in argument)
    if name == "additionalProperties" and isinstance(value, dict):
        return argument is not False or set(value) <= set(schema["properties"])
    known = {*_ASSERTIONS, "type", "anyOf", "$ref", "items", "properties", "additionalProperties"}
    assert name in known, f"the form uses {name!r}, which this evaluator does not know"
    return True
