"""A short way to write the JSON Schemas of the HTTP API, in which every field is explained.

A field's type is written as in an annotation: `string`, `integer?` (may be null), `Job` (another
schema), `[Job]` (a list of it), `{}` (any object).
"""

from __future__ import annotations

from typing import Any

_PLAIN = ("string", "integer", "boolean", "number")


def typed(text: str) -> dict[str, Any]:
    """The schema of a type as it is written here."""
    if text.endswith("?"):
        inner = typed(text[:-1])
        if "$ref" in inner:
            return {"anyOf": [inner, {"type": "null"}]}
        return {**inner, "type": [inner["type"], "null"]}
    if text.startswith("["):
        return {"type": "array", "items": typed(text[1:-1])}
    if text == "{}":
        return {"type": "object"}
    if text in _PLAIN:
        return {"type": text}
    return {"$ref": f"#/components/schemas/{text}"}


def given(about: str, **fields: tuple[str, str]) -> dict[str, Any]:
    """The schema of what is answered: every field is there, and no other."""
    return {
        "type": "object",
        "description": about,
        "properties": {
            name: {**typed(kind), "description": text} for name, (kind, text) in fields.items()
        },
        "required": list(fields),
        "additionalProperties": False,
    }


def opened(about: str, **fields: tuple[str, str]) -> dict[str, Any]:
    """The schema of what is answered with more than is named: what a job file may say."""
    return {**given(about, **fields), "additionalProperties": True}


def taken(about: str, required: tuple[str, ...], **fields: tuple[str, str]) -> dict[str, Any]:
    """The schema of what is sent: some fields are needed, unknown ones are refused."""
    return {**given(about, **fields), "required": list(required)}
