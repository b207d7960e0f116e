"""Dataclasses to and from the plain attributes of an item of the job table."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

SCHEMA_VERSION = 1
"""Every item carries it as `v`; a reader leaves items with a higher one alone."""

T = TypeVar("T")


def _decoders(cls: type[Any]) -> dict[str, Callable[[Any], Any] | None]:
    return {f.name: f.metadata.get("decode") for f in dataclasses.fields(cls)}


def decoded_by(decode: Callable[[Any], Any], **kwargs: Any) -> Any:
    """A dataclass field whose stored form `decode` turns back into the value."""
    return dataclasses.field(metadata={"decode": decode}, **kwargs)


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return to_attributes(value)
    if isinstance(value, tuple):
        return [_plain(v) for v in value]
    return value


def to_attributes(record: Any) -> dict[str, Any]:
    """The stored attributes of a dataclass: what is None, empty or False is left out."""
    plain = {f.name: _plain(getattr(record, f.name)) for f in dataclasses.fields(record)}
    return {
        name: value
        for name, value in plain.items()
        if value is not None and value is not False and value != [] and value != {}
    }


def from_attributes(cls: type[T], attributes: Mapping[str, Any]) -> T:
    """The dataclass of stored attributes. Unknown attributes are ignored.

    Raises:
        TypeError: a required attribute is missing.
        ValueError: an attribute has a value that its type does not know.
    """
    decoders = _decoders(cls)
    return cls(
        **{
            name: decode(attributes[name]) if decode is not None else attributes[name]
            for name, decode in decoders.items()
            if attributes.get(name) is not None
        }
    )


def known_version(attributes: Mapping[str, Any]) -> bool:
    """Whether this program may act on the item."""
    return int(attributes.get("v", SCHEMA_VERSION)) <= SCHEMA_VERSION
