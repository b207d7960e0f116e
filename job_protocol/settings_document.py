"""Reads `aws-job.json` with the standard library alone, for a puller that trusts only the file.

The control plane admits such files by its own form, with better messages and the bounds of the
published schema; a file that it admits means the same here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from typing import Any

from job_protocol.items import from_attributes
from job_protocol.job_settings import JobSettings
from job_protocol.path_patterns import problem_of

# "1:30" is refused: Slurm reads it as minutes and seconds, others as hours and minutes.
CLOCK = re.compile(r"(?:([0-9]+)-)?([0-9]+):([0-5][0-9]):([0-5][0-9])")
DURATION = re.compile(r"(?=[0-9])(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?")
MEMORY = re.compile(r"([0-9]+)([MmGgTt])(?:[iI]?[bB])?")
_MIB = {"M": 1, "G": 1024, "T": 1024 * 1024}
_JOB_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,62}")
_SCHEDULER_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,:/@+=-]{0,127}")
"""What becomes a scheduler's argument: it cannot look like an option."""


class SettingsDocumentError(ValueError):
    """An `aws-job.json` that cannot be read; the message names the setting."""


def seconds_of(value: object) -> object:
    """The seconds of a text such as `1h30m` or `01:30:00`; what is no text stays as it is.

    Raises:
        ValueError: the text is no time.
    """
    if not isinstance(value, str):
        return value
    parts = CLOCK.fullmatch(value) or DURATION.fullmatch(value)
    if parts is None:
        raise ValueError('write seconds, "HH:MM:SS", "D-HH:MM:SS" or a duration such as "1h30m"')
    days, hours, minutes, seconds = (int(part or 0) for part in parts.groups())
    return ((days * 24 + hours) * 60 + minutes) * 60 + seconds


def mebibytes_of(value: object) -> object:
    """The MiB of a text such as `4G`; what is no text stays as it is.

    Raises:
        ValueError: the text is no size.
    """
    if isinstance(value, str):
        if (memory := MEMORY.fullmatch(value)) is None:
            raise ValueError('write MiB as a number, or a size such as "4G"')
        return int(memory[1]) * _MIB[memory[2].upper()]
    return value


def read_settings(body: bytes) -> JobSettings:
    """The settings that an `aws-job.json` states.

    Args:
        body: its content.

    Raises:
        SettingsDocumentError: it is not what `docs/aws-job.schema.json` says.
    """
    try:
        document = json.loads(body.decode())
    except (ValueError, RecursionError) as error:
        raise SettingsDocumentError(f"not valid JSON: {error}") from error
    stated = _object(document, _READERS)
    queues = {stated.pop(name) for name in ("queue", "partition") if name in stated}
    if len(queues) > 1:
        raise SettingsDocumentError("queue and partition name different queues")
    if queues:
        stated["queue"] = queues.pop()
    resources = stated.get("resources", {})
    if "memory" in resources:
        resources["memory_mb"] = resources.pop("memory")
    return from_attributes(JobSettings, stated)


def _object(
    document: object, readers: Mapping[str, Callable[[object], Any]], within: str = ""
) -> dict[str, Any]:
    if not isinstance(document, dict):
        raise SettingsDocumentError(f"{within or 'the document'} is not a JSON object")
    found = {}
    for name, value in document.items():
        place = f"{within}.{name}" if within else name
        if name not in readers:
            raise SettingsDocumentError(f"unknown setting {place!r}")
        if value is None:
            continue
        try:
            found[name] = readers[name](value)
        except SettingsDocumentError:
            raise
        except ValueError as error:
            raise SettingsDocumentError(f"{place}: {error}") from error
    return found


def _whole(value: object, least: int = 1) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"write a whole number, at least {least}")
    return value


def _not_negative(value: object) -> int:
    return _whole(value, 0)


def _seconds(value: object) -> int:
    return _whole(seconds_of(value))


def _mebibytes(value: object) -> int:
    return _whole(mebibytes_of(value))


def _matching(form: re.Pattern[str]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or not form.fullmatch(value):
            raise ValueError(f"it must match {form.pattern}")
        return value

    return read


def _patterns(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError("write a list of patterns")
    for pattern in value:
        if not isinstance(pattern, str):
            raise ValueError("write a list of patterns")
        if (problem := problem_of(pattern)) is not None:
            raise ValueError(problem)
    return tuple(value)


def _resources(value: object) -> dict[str, Any]:
    readers = {"nodes": _whole, "cpus": _whole, "memory": _mebibytes, "gpus": _whole}
    return _object(value, readers, "resources")


def _retries(value: object) -> dict[str, Any]:
    found = _object(value, {"attempts": _not_negative, "delay": _seconds}, "retries")
    if "attempts" not in found:
        raise SettingsDocumentError("retries has no attempts")
    return found


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("write a text")
    return value


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise ValueError("write names and texts")
    return {str(name): _text(text) for name, text in value.items()}


def _rows(
    value: object, within: str, readers: Mapping[str, Callable[[object], Any]]
) -> list[dict[str, Any]]:
    if not isinstance(value, list):
        raise ValueError("write a list")
    return [_object(row, readers, f"{within}.{number}") for number, row in enumerate(value)]


def _shared_inputs(value: object) -> list[dict[str, Any]]:
    rows = _rows(value, "inputs", {"from": _text, "to": _text, "version": _text})
    if any(not {"from", "to"} <= row.keys() for row in rows):
        raise SettingsDocumentError("inputs: a row has no from or no to")
    return [{"source": row.pop("from"), **row} for row in rows]


def _artifacts(value: object) -> list[dict[str, Any]]:
    words = dict.fromkeys(("source", "destination", "mode", "checksum"), _text)
    rows = _rows(value, "artifacts", {**words, "options": _texts, "headers": _texts})
    if any("source" not in row for row in rows):
        raise SettingsDocumentError("artifacts: a row has no source")
    return rows


def _dependencies(value: object) -> list[dict[str, Any]]:
    rows = _rows(value, "depends_on", {"job": _text, "on": _text, "site": _text})
    if any("job" not in row for row in rows):
        raise SettingsDocumentError("depends_on: a row has no job")
    return rows


_READERS: Mapping[str, Callable[[object], Any]] = {
    "name": _matching(_JOB_NAME),
    "artifacts": _artifacts,
    "count": _whole,
    "depends_on": _dependencies,
    "inputs": _shared_inputs,
    "max_running": _whole,
    "sweep": _text,
    "priority": _whole,
    "time_limit": _seconds,
    "resources": _resources,
    "account": _matching(_SCHEDULER_WORD),
    "queue": _matching(_SCHEDULER_WORD),
    "partition": _matching(_SCHEDULER_WORD),
    "retries": _retries,
    "results": _patterns,
    "exclude": _patterns,
    "reuse": _patterns,
}

KNOWN_SETTINGS = frozenset(_READERS)
"""The settings that this reader knows: all that the control plane's form has."""
