"""The shape of a job in JSON: known keys, types, and what is not supported."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import isfinite
from typing import Any

from nomad_jobs.job_file.durations import MAX_DURATION, nanoseconds
from nomad_jobs.job_file.nearest import did_you_mean
from nomad_jobs.job_file.problems import MAX_FINDINGS, Finding, Path, Places
from nomad_jobs.job_file.schema import Field, Kind, Nested, Schema, Unsupported
from nomad_jobs.job_file.specification import JOB, RESOURCES
from nomad_jobs.job_file.values import kind_of

STATED_BY_NOBODY = {"CPU": 100, "MemoryMB": 300}
"""Nomad's default resources. A view of a job fills them in together with `DiskMB`; when such a view
comes back as a registration, nobody has stated them, and they must not become scheduler flags."""

_DEPTH = 60


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"must be a string, not a {kind_of(value)}")
    return value


def _whole(value: Any) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"must be a whole number, not a {kind_of(value)}")
    if abs(value) > MAX_DURATION:
        raise ValueError("is too large a number")
    return value


def _truth(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"must be true or false, not a {kind_of(value)}")
    return value


def _duration(value: Any) -> int:
    if isinstance(value, str):
        return nanoseconds(value)
    return _whole(value)


def _texts(value: Any) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise ValueError("must be a list of strings")
    return value


def _map(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError(f"must be an object, not a {kind_of(value)}")
    return value


def _unstorable(value: Any, levels: int = _DEPTH) -> str | None:
    """Why a value cannot be stored as JSON and read back, or None."""
    if levels < 0:
        return f"it is nested more than {_DEPTH} levels"
    if isinstance(value, float) and not isfinite(value):
        return "it contains NaN or an infinite number"
    if isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value):
        return "it contains half of a surrogate pair, which is no character"
    parts: Iterable[Any] = ()
    if isinstance(value, dict):
        parts = (*value, *value.values())
    elif isinstance(value, list):
        parts = value
    return next((why for part in parts if (why := _unstorable(part, levels - 1))), None)


def _text_map(value: Any) -> dict[str, str]:
    found = {key: part for key, part in _map(value).items() if part is not None}
    if wrong := [key for key, part in found.items() if not isinstance(part, str)]:
        raise ValueError(f"must have strings as values; {wrong[0]!r} has none")
    return found


_CHECKS: Mapping[Kind, Callable[[Any], Any]] = {
    "text": _text,
    "whole": _whole,
    "truth": _truth,
    "duration": _duration,
    "texts": _texts,
    "text_map": _text_map,
    "any_map": _map,
}


class Shape:
    """Checks one job and keeps what is stated and supported.

    Args:
        places: the lines of a job file, for the messages; None for JSON from the API.
    """

    def __init__(self, places: Places | None) -> None:
        self._places = places or Places("", {})
        self.problems: list[Finding] = []
        self.warnings: list[Finding] = []

    def job(self, job: Mapping[str, Any]) -> dict[str, Any]:
        """The job with what is stated: no nulls, no empty collections, no keys of the server."""
        if (why := _unstorable(job)) is not None:
            self._problem(f"the job cannot be stored: {why}", "", ())
            return {}
        name = job.get("ID", job.get("Name", ""))
        return self._object(job, JOB, f'job "{name}"', ())

    def finding(self, message: str, where: str, path: Path) -> Finding:
        """A finding at a place."""
        return Finding(message, where, self._places.file, self._places.line_of(path), path)

    def _problem(self, message: str, where: str, path: Path) -> None:
        self.problems.append(self.finding(message, where, path))

    def _object(
        self, given: Mapping[str, Any], schema: Schema, where: str, path: Path
    ) -> dict[str, Any]:
        known = _by_json(schema)
        spelled = {name.lower(): name for name in (*known, *schema.set_by_server)}
        stated: dict[str, Any] = {}
        for key, value in given.items():
            if len(self.problems) >= MAX_FINDINGS:
                break  # who has so many problems mends these first
            name = spelled.get(str(key).lower(), str(key))  # Go's decoder ignores the case
            if value is None or name in schema.set_by_server:
                continue
            if name not in known:
                hint = did_you_mean(name, known)
                self._problem(f"unknown key {name!r}{hint}", where, path)
                continue
            self._part(name, value, known[name], where, (*path, name), stated)
        self._warn_of_no_effect(stated, schema, where, path)
        return _unstated_resources(stated) if schema is RESOURCES else stated

    def _part(
        self,
        name: str,
        value: Any,
        known: Field | Nested | Unsupported,
        where: str,
        path: Path,
        stated: dict[str, Any],
    ) -> None:
        if isinstance(known, Unsupported):
            self._unsupported(name, value, known, where, path)
        elif isinstance(known, Field):
            try:
                found = _CHECKS[known.kind](value)
            except ValueError as error:
                self._problem(f"{name}: {error}", where, path)
                return
            if found not in ({}, []):
                stated[name] = found
        elif known.many:
            if found := self._list(name, value, known, where, path):
                stated[name] = found
        elif isinstance(value, dict):
            stated[name] = self._object(value, known.schema, f"{where} > {_word(known)}", path)
        else:
            self._problem(f"{name}: must be an object, not a {kind_of(value)}", where, path)

    def _list(
        self, name: str, value: Any, known: Nested, where: str, path: Path
    ) -> list[dict[str, Any]]:
        if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
            self._problem(f"{name}: must be a list of objects", where, path)
            return []
        found = []
        for index, item in enumerate(value):
            label = f' "{item.get("Name", "")}"' if known.labelled else ""
            inside = f"{where} > {_word(known)}{label}"
            found.append(self._object(item, known.schema, inside, (*path, index)))
        return found

    def _unsupported(
        self, name: str, value: Any, known: Unsupported, where: str, path: Path
    ) -> None:
        if _says_nothing(value) or value == known.default:
            return
        if known.refused:
            self._problem(f"{name!r} is not supported: {known.why}", where, path)
        else:
            message = f"{name!r} has no effect and is left out: {known.why}"
            self.warnings.append(self.finding(message, where, path))

    def _warn_of_no_effect(
        self, stated: Mapping[str, Any], schema: Schema, where: str, path: Path
    ) -> None:
        for name, (why, default) in schema.no_effect.items():
            if name in stated and stated[name] not in (default, 0, ""):
                message = f"{name!r} has no effect: {why}"
                self.warnings.append(self.finding(message, where, (*path, name)))


def _says_nothing(value: Any) -> bool:
    """Whether a value is one that Nomad fills in: `{"Namespace": "", "Cluster": "default"}`."""
    if isinstance(value, dict):
        return all(not part or part == "default" for part in value.values())
    return not value


def _word(nested: Nested) -> str:
    return _HCL_WORDS.get(nested.json, nested.json)


def _words(schema: Schema) -> dict[str, str]:
    found: dict[str, str] = {}
    for hcl, nested in schema.blocks.items():
        found[nested.json] = hcl
        found.update(_words(nested.schema))
    return found


_HCL_WORDS = _words(JOB)


def _by_json(schema: Schema) -> dict[str, Field | Nested | Unsupported]:
    parts: tuple[Field | Nested | Unsupported, ...] = (
        *schema.fields.values(),
        *schema.blocks.values(),
        *schema.unsupported.values(),
    )
    return {part.json: part for part in parts}


def _unstated_resources(stated: dict[str, Any]) -> dict[str, Any]:
    if "DiskMB" not in stated:
        return stated
    return {
        name: value
        for name, value in stated.items()
        if value not in (0, []) and STATED_BY_NOBODY.get(name) != value
    }
