"""How Nomad's job specification is written down as data: blocks, attributes, unsupported parts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Kind = Literal["text", "whole", "truth", "duration", "texts", "text_map", "any_map"]
"""`text_map` and `any_map` are written as a block or as an attribute, as in Nomad."""


@dataclass(frozen=True, slots=True)
class Field:
    """An attribute: its key in JSON and the kind of its value."""

    json: str
    kind: Kind


@dataclass(frozen=True, slots=True)
class Nested:
    """A block inside a block.

    Attributes:
        json: its key in JSON.
        schema: what is inside.
        many: whether it is a list in JSON.
        labelled: whether it has a label, which becomes `Name`.
    """

    json: str
    schema: Schema
    many: bool = False
    labelled: bool = False


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Something that Nomad has and this does not.

    Attributes:
        json: its key in JSON.
        why: a sentence for the user.
        refused: whether the job would not work without it; else it is a warning.
        default: Nomad's default, which clients send back without having stated it.
    """

    json: str
    why: str
    refused: bool
    default: Any = None


@dataclass(frozen=True, slots=True)
class Schema:
    """One block of a job file.

    Attributes:
        fields: attributes by their name in HCL.
        blocks: blocks by their name in HCL.
        unsupported: what is refused, or warned about and left out, by its name in HCL.
        no_effect: JSON keys of fields and blocks that are kept, with the warning that says why
            they change nothing, and Nomad's default.
        set_by_server: JSON keys that only the server sets; clients send them back.
    """

    fields: Mapping[str, Field] = field(default_factory=dict)
    blocks: Mapping[str, Nested] = field(default_factory=dict)
    unsupported: Mapping[str, Unsupported] = field(default_factory=dict)
    no_effect: Mapping[str, tuple[str, Any]] = field(default_factory=dict)
    set_by_server: frozenset[str] = frozenset()
