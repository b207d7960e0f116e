"""Type constraints of variables: `string`, `list(number)`, `object({a = string})`, `any`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nomad_jobs.job_file.problems import HclError
from nomad_jobs.job_file.syntax import (
    Call,
    Expression,
    Literal,
    ObjectOf,
    Reference,
    Template,
    TupleOf,
)
from nomad_jobs.job_file.values import (
    as_set,
    elements,
    to_bool,
    to_list,
    to_map,
    to_number,
    to_text,
)

Conversion = Callable[[Any], Any]
"""Brings a value to a type, or raises ValueError."""

Evaluate = Callable[[Expression], Any]

_PRIMITIVES: dict[str, Conversion] = {
    "string": to_text,
    "number": to_number,
    "bool": to_bool,
    "any": lambda value: value,
}


def conversion_to(constraint: Expression, evaluate: Evaluate) -> Conversion:
    """The conversion to a type constraint.

    Args:
        constraint: the expression after `type =`; the type in quotes is the older form.
        evaluate: for the default in `optional(type, default)`.

    Raises:
        HclError: it is no type.
    """
    name = _name_of(constraint)
    if name in _PRIMITIVES:
        return _nullable(_PRIMITIVES[name])
    if name in ("list", "set", "map"):
        return _collection(name, lambda value: value)
    if isinstance(constraint, Call) and len(constraint.arguments) == 1:
        (argument,) = constraint.arguments
        if constraint.name in ("list", "set", "map"):
            return _collection(constraint.name, conversion_to(argument, evaluate))
        if constraint.name == "object" and isinstance(argument, ObjectOf):
            return _object(argument, evaluate)
        if constraint.name == "tuple" and isinstance(argument, TupleOf):
            return _tuple([conversion_to(item, evaluate) for item in argument.items])
    raise HclError(
        "this is no type; types are string, number, bool, any, list(...), set(...), map(...), "
        "object({...}) and tuple([...])",
        line=constraint.line,
    )


def _name_of(constraint: Expression) -> str:
    if isinstance(constraint, Reference) and not constraint.steps:
        return constraint.root
    if isinstance(constraint, Template) and len(constraint.parts) == 1:
        (part,) = constraint.parts
        return str(part.value) if isinstance(part, Literal) else ""
    return ""


def _nullable(convert: Conversion) -> Conversion:
    return lambda value: None if value is None else convert(value)


def _collection(name: str, convert: Conversion) -> Conversion:
    if name == "map":
        return _nullable(lambda v: {key: convert(part) for key, part in to_map(v).items()})
    if name == "set":
        return _nullable(lambda v: as_set(convert(part) for part in to_list(v)))
    return _nullable(lambda v: [convert(part) for _, part in elements(to_list(v))])


def _tuple(conversions: list[Conversion]) -> Conversion:
    def convert(value: Any) -> list[Any]:
        items = to_list(value)
        if len(items) != len(conversions):
            raise ValueError(f"a list of {len(conversions)} is needed here, not of {len(items)}")
        return [each(item) for each, item in zip(conversions, items, strict=True)]

    return _nullable(convert)


def _object(fields: ObjectOf, evaluate: Evaluate) -> Conversion:
    conversions: dict[str, Conversion] = {}
    defaults: dict[str, Any] = {}
    for key, constraint in fields.entries:
        name = to_text(evaluate(key))
        if isinstance(constraint, Call) and constraint.name == "optional" and constraint.arguments:
            kind, *default = constraint.arguments
            conversions[name] = conversion_to(kind, evaluate)
            defaults[name] = evaluate(default[0]) if default else None
        else:
            conversions[name] = conversion_to(constraint, evaluate)

    def convert(value: Any) -> dict[str, Any]:
        stated = {**defaults, **to_map(value)}
        if missing := sorted(conversions.keys() - stated.keys()):
            raise ValueError(f"the object lacks {', '.join(missing)}")
        return {name: each(stated[name]) for name, each in conversions.items()}

    return _nullable(convert)
