"""Whether a site fulfills a job's constraints: Nomad's feasibility check, over a site's attributes.

Source: the `constraint` block in Nomad's job specification, and its scheduler's feasibility rules.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from job_protocol.object_keys import Problem
from nomad_jobs.run_script.json_reader import Reader
from nomad_jobs.run_script.specification import read_job
from nomad_jobs.run_script.versions import version_matches

_REFERENCE = re.compile(r"\$\{([^}]+)\}")
_NUMBER = re.compile(r"[+-]?[0-9]+(\.[0-9]+)?")
_MAX_PATTERN = 256
_ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_OF_NODES = frozenset({"distinct_hosts", "distinct_property"})


def has_constraints(job: Mapping[str, Any]) -> bool:
    """Whether a job, one of its groups or one of its tasks has a constraint."""
    return any(place.objects("Constraints") for place in _places(read_job(job)[0].raw))


def constraint_problems(job: Mapping[str, Any], attributes: Mapping[str, str]) -> list[Problem]:
    """Every constraint of a job, its groups and its tasks that a site does not fulfill.

    Args:
        job: the `Job` object of Nomad's API.
        attributes: the site's, by the name in `${...}`, e.g. `attr.cpu.arch`.
    """
    specification, problems = read_job(job)
    for place in _places(specification.raw):
        for constraint in place.objects("Constraints"):
            constraint.place = place.place
            if (problem := _problem(constraint, attributes)) is not None:
                constraint.refuse(problem, "choose another site, or change the constraint")
    return problems


def _places(job: Reader) -> Iterator[Reader]:
    yield job
    for group in job.objects("TaskGroups"):
        group.place = f'group "{group.text("Name")}"'
        yield group
        for task in group.objects("Tasks"):
            task.place = f'{group.place} task "{task.text("Name")}"'
            yield task


def _problem(constraint: Reader, attributes: Mapping[str, str]) -> str | None:
    left, right = constraint.text("LTarget"), constraint.text("RTarget")
    operand = constraint.text("Operand") or "="
    if operand in _OF_NODES:
        return f"the operand {operand!r} is about nodes, which the site's scheduler chooses"
    verdict = _fulfilled(operand, _resolve(left, attributes), _resolve(right, attributes))
    if verdict is None:
        return f"the constraint {left} {operand} {right} cannot be read"
    if verdict:
        return None
    found = _resolve(left, attributes)
    told = "the site does not tell it" if found is None else f"the site has {found!r}"
    return f"the constraint {left} {operand} {right} is not fulfilled: {told}"


def _resolve(target: str, attributes: Mapping[str, str]) -> str | None:
    reference = _REFERENCE.fullmatch(target)
    return attributes.get(reference[1]) if reference else target


def _fulfilled(operand: str, left: str | None, right: str | None) -> bool | None:
    """The verdict; None for an operand, a version or a pattern that cannot be read."""
    if operand in ("!=", "not"):  # neither side needs to be there
        return left != right
    if operand == "is_not_set":
        return left is None
    if operand not in ("=", "==", "is", "is_set", *_ORDER, *_COMPARED):
        return None
    if operand == "is_set":
        return left is not None
    if left is None or right is None:
        return False
    if operand in ("=", "==", "is"):
        return left == right
    if operand in _ORDER:
        return _ordered(operand, left, right)
    return _COMPARED[operand](left, right)


def _ordered(operand: str, left: str, right: str) -> bool:
    """Numbers as numbers, the rest as text."""
    if _NUMBER.fullmatch(left) and _NUMBER.fullmatch(right):
        return _ORDER[operand](float(left), float(right))
    return _ORDER[operand](left, right)


def _regexp(left: str, right: str) -> bool | None:
    if len(right) > _MAX_PATTERN:
        return None
    try:
        return re.search(right, left) is not None
    except re.error:
        return None


def _set(text: str) -> set[str]:
    return {part.strip() for part in text.split(",")}


_COMPARED: dict[str, Callable[[str, str], bool | None]] = {
    "regexp": _regexp,
    "version": version_matches,
    "semver": partial(version_matches, semver=True),
    "set_contains": lambda left, right: _set(right) <= _set(left),
    "set_contains_all": lambda left, right: _set(right) <= _set(left),
    "set_contains_any": lambda left, right: bool(_set(right) & _set(left)),
}
