"""Reading Nomad API JSON that anybody may have written: typed values, and what is wrong with it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from job_protocol.object_keys import Problem

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1, "m": 60, "h": 3600}
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ns|us|µs|ms|s|m|h)")
_NANOSECONDS = 1_000_000_000
_MAX_SECONDS = 366 * 24 * 3600
_MAX_INTEGER = 2**31 - 1


class Reader:
    """Reads members of one JSON object; what does not fit is noted and its default taken.

    Attributes:
        place: the object, for messages, e.g. `group "a" task "b"`.
        problems: what was found, shared with the readers of objects inside.
    """

    def __init__(self, value: object, place: str, problems: list[Problem]) -> None:
        self.place = place
        self.problems = problems
        self._members: Mapping[str, Any] = {}
        if isinstance(value, Mapping):
            self._members = value
        elif value is not None:
            self.refuse(f"an object was expected, not {_shown(value)}", "correct the specification")

    def refuse(self, problem: str, remedy: str) -> None:
        """Note a problem of this object."""
        self.problems.append(Problem(self.place, problem, remedy))

    def stated(self, name: str) -> bool:
        """Whether a member says anything: not missing, null, empty, zero or false."""
        return bool(self._members.get(name))

    def names(self) -> list[str]:
        """The names of all members that are not null."""
        return [name for name, value in self._members.items() if value is not None]

    def text(self, name: str, default: str = "") -> str:
        """A string that a process can get as a word: no NUL, no half of a surrogate pair."""
        value = self._members.get(name)
        if value is None:
            return default
        if not isinstance(value, str):
            self._wrong(name, "a string", value)
            return default
        return self._word(name, value, default)

    def integer(self, name: str, default: int | None = None) -> int | None:
        """A whole number from 0."""
        value = self._members.get(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= _MAX_INTEGER:
            self._wrong(name, "a number from 0", value)
            return default
        return value

    def flag(self, name: str) -> bool:
        """True or false."""
        value = self._members.get(name)
        if value is not None and not isinstance(value, bool):
            self._wrong(name, "true or false", value)
            return False
        return bool(value)

    def seconds(self, name: str, default: int | None = None) -> int | None:
        """A duration, Go's nanoseconds or text such as `1h30m`; a begun second counts."""
        value = self._members.get(name)
        if value is None:
            return default
        if isinstance(value, str):
            parts = _DURATION_PART.findall(value)
            if value == "0" or (parts and "".join(a + b for a, b in parts) == value):
                value = round(sum(float(a) * _UNITS[b] for a, b in parts) * _NANOSECONDS)
        most = _MAX_SECONDS * _NANOSECONDS
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
            self._wrong(name, 'a duration such as "30s", of a year at most,', value)
            return default
        return -(-value // _NANOSECONDS)

    def texts(self, name: str) -> tuple[str, ...]:
        """A list of strings; numbers and booleans count as they are written."""
        value = self._members.get(name)
        if value is None:
            return ()
        if not isinstance(value, list) or not all(isinstance(v, str | int | float) for v in value):
            self._wrong(name, "a list of strings", value)
            return ()
        return tuple(self._word(name, _as_text(item), "") for item in value)

    def pairs(self, name: str) -> dict[str, str]:
        """An object of strings, by name; numbers and booleans count as they are written."""
        value = self._members.get(name)
        if value is None:
            return {}
        if not isinstance(value, Mapping) or not all(
            isinstance(v, str | int | float) for v in value.values()
        ):
            self._wrong(name, "an object of strings", value)
            return {}
        return {
            self._word(name, str(key), "_"): self._word(name, _as_text(text), "")
            for key, text in sorted(value.items())
        }

    def inner(self, name: str) -> Reader:
        """A member that is an object; one in a list of one is taken as well, as HCL blocks are."""
        value = self._members.get(name)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        return Reader(value, f"{self.place} {name}", self.problems)

    def objects(self, name: str) -> list[Reader]:
        """The objects of a list; a single one is taken as a list of one."""
        value = self._members.get(name)
        rows = [value] if isinstance(value, Mapping) else value or []
        if not isinstance(rows, list):
            self._wrong(name, "a list", value)
            return []
        return [Reader(row, f"{self.place} {name}", self.problems) for row in rows]

    def _word(self, name: str, value: str, default: str) -> str:
        try:
            value.encode()
        except UnicodeEncodeError:
            self.refuse(f"{name} is no valid text (a lone surrogate)", "write it as UTF-8")
            return default
        if "\0" in value:
            self.refuse(
                f"{name} contains NUL, which no argument or variable of a process can hold",
                "remove it, or send the data as a payload or an artifact",
            )
            return default
        return value

    def _wrong(self, name: str, expected: str, value: object) -> None:
        self.refuse(f"{name}: {expected} was expected, not {_shown(value)}", "correct it")


def _as_text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _shown(value: object) -> str:
    return ascii(value)[:80]
