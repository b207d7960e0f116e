"""What the `#$` lines of a script say, as far as the puller must know it.

Source of the rules: qsub(1) of Grid Engine 8.1. Options have one fixed name each, and `qsub` reads
directives wherever they stand in the script.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from puller.schedulers.array_tasks import USE_COUNT

PREFIX = "#$"

_VALUE_OPTIONS = frozenset({"-j", "-N", "-now", "-S", "-sync"})
"""The options, among those that the puller must know, that take a value."""

_REFUSED = {
    "-sync": "would make the submission wait for the job's end: remove it",
    "-now": "would make the submission fail unless the job can start at once: remove it",
    "-verify": "would only show the submission and never run the job: remove it",
    "-help": "would only show a help text and never run the job: remove it",
    "-t": USE_COUNT,
    "-@": "would read further options from a file, which the puller cannot check: write them here",
}

_ON_REQUEST = frozenset({"-sync", "-now"})
"""Options that are harmless with the value `n`."""

_NAME = re.compile(r"[!-.0-9;-?A-\[\]-~]+")
"""Printable ASCII without blank, `/`, `:`, `@` and backslash. Others were measured to end in the
misleading `Error reading answer list from qmaster`, or are refused by sge_types(5)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Directives:
    """What the script's own directives state.

    Attributes:
        options: the names of the stated options, with their `-`.
        values: the last value of each stated option that the puller must know.
        variables: the names of what `-v` sets for the job.
    """

    options: frozenset[str] = frozenset()
    values: tuple[tuple[str, str], ...] = ()
    variables: frozenset[str] = frozenset()

    def value(self, option: str) -> str | None:
        """The last value of an option."""
        return dict(self.values).get(option)

    @property
    def output(self) -> bool:
        """Whether they say where stdout goes."""
        return "-o" in self.options

    @property
    def error(self) -> bool:
        """Whether they say where stderr goes; `-j y` lets it follow a stated stdout."""
        return "-e" in self.options or (self.output and _is_yes(self.value("-j")))

    @property
    def directory(self) -> bool:
        """Whether they say where the script runs; `-cwd` means the job directory anyway."""
        return "-wd" in self.options

    @property
    def shell(self) -> str | None:
        """The interpreter that they name for every host."""
        named = self.value("-S")
        return named if named and re.fullmatch(r"/[^:,\s]+", named) else None

    @property
    def problem(self) -> str | None:
        """Why a script with these directives must not be submitted (a sentence), or None."""
        for option, why in _REFUSED.items():
            wanted = option not in _ON_REQUEST or _is_yes(self.value(option))
            if option in self.options and wanted:
                return f"the directive {PREFIX} {option} {why}"
        name = self.value("-N")
        if name is not None and not (_NAME.fullmatch(name) and not name[0].isdigit()):
            return (
                f"the directive {PREFIX} -N {name!r} is no name that Grid Engine takes: use ASCII "
                "letters, digits, `_`, `.` and `-`, and begin with a letter"
            )
        return None


def read_directives(directives: Iterable[str]) -> Directives:
    """What directives state, each given without its prefix."""
    options: set[str] = set()
    values: dict[str, str] = {}
    variables: set[str] = set()
    for directive in directives:
        words = _words(directive)
        for word, following in pairwise([*words, ""]):
            if not word.startswith("-"):
                continue
            options.add(word)
            if word in _VALUE_OPTIONS:
                values[word] = following
            if word == "-v":
                variables |= _names(following)
    return Directives(
        options=frozenset(options),
        values=tuple(values.items()),
        variables=frozenset(variables),
    )


def _words(directive: str) -> list[str]:
    try:
        return shlex.split(directive, comments=True)
    except ValueError:
        return directive.split()


def _names(text: str) -> set[str]:
    """The names in `name=value,name`."""
    return {part.partition("=")[0].strip() for part in text.split(",")} - {""}


def _is_yes(value: str | None) -> bool:
    return value is not None and value.lower() in ("y", "yes")
