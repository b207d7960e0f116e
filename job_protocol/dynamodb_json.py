"""DynamoDB's typed JSON to and from plain Python values.

boto3 has a converter, but it gives `Decimal` for every number and a wrapper for bytes, and it does
not read stream records, where bytes are base64 text.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any


def encode_value(value: object) -> dict[str, Any]:
    """One value in DynamoDB's typed form.

    Raises:
        TypeError: the value has no DynamoDB type here (floats included: use integers).
    """
    match value:
        case None:
            return {"NULL": True}
        case bool():
            return {"BOOL": value}
        case str():
            return {"S": str(value)}
        case int():
            return {"N": str(int(value))}
        case bytes():
            return {"B": value}
        case list() | tuple():
            return {"L": [encode_value(v) for v in value]}
        case dict():
            return {"M": encode(value)}
    raise TypeError(f"no DynamoDB type for {type(value).__name__}")


def encode(item: Mapping[str, object]) -> dict[str, Any]:
    """A whole item in DynamoDB's typed form."""
    return {str(name): encode_value(value) for name, value in item.items()}


def decode_value(typed: Mapping[str, Any]) -> Any:
    """The plain value of one typed value, of an API answer or of a stream record.

    Raises:
        TypeError: a type that the job table never holds.
    """
    ((kind, value),) = typed.items()
    match kind:
        case "S" | "BOOL":
            return value
        case "N":
            return int(value)
        case "B":
            return base64.b64decode(value) if isinstance(value, str) else bytes(value)
        case "L":
            return [decode_value(v) for v in value]
        case "M":
            return decode(value)
        case "NULL":
            return None
    raise TypeError(f"unexpected DynamoDB type {kind!r}")


def decode(item: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The plain values of a whole item."""
    return {name: decode_value(value) for name, value in item.items()}
