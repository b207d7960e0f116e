"""What a constraint must be, in the words of Nomad's `Constraint.Validate`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nomad_jobs.job_file.nearest import did_you_mean

_COMPARE = ("=", "==", "is", "!=", "not", "<", "<=", ">", ">=")
_WITH_VALUE = ("regexp", "version", "semver")
_SETS = ("set_contains", "set_contains_all", "set_contains_any")
_WITHOUT_VALUE = ("is_set", "is_not_set", "distinct_hosts", "distinct_property")
OPERATORS = (*_COMPARE, *_WITH_VALUE, *_SETS, *_WITHOUT_VALUE)


def constraint_problems(constraints: list[Mapping[str, Any]]) -> Iterator[str]:
    """What is wrong with a block's constraints; they are counted from 1, as in Nomad."""
    for number, constraint in enumerate(constraints, 1):
        for wrong in _problems(constraint):
            yield f"Constraint {number} validation failed: {wrong}"


def _problems(constraint: Mapping[str, Any]) -> Iterator[str]:
    operator = constraint.get("Operand", "")
    if not operator:
        yield "Missing constraint operand"
    elif operator not in OPERATORS:
        yield f'Unknown constraint type "{operator}"{did_you_mean(operator, OPERATORS)}'
    elif operator in _SETS and not constraint.get("RTarget"):
        yield "Set contains constraint requires an RTarget"
    elif operator not in _WITHOUT_VALUE and not constraint.get("RTarget"):
        yield f'Operator "{operator}" requires an RTarget'
    if operator and operator != "distinct_hosts" and not constraint.get("LTarget"):
        yield "No LTarget provided but is required by constraint"
