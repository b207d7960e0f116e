"""What the `#PBS` lines of a script say, as far as the puller must know it.

Source of the rules: qsub(1B) of OpenPBS 23.06. Options are single letters, with their value in the
same word or in the next one; directives end at the first line that is no comment.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from puller.schedulers.array_tasks import USE_COUNT

PREFIX = "#PBS"

_WITH_VALUE = frozenset("aAcCeJjklmMNopPqrRSuvW")
_FLAGS = frozenset("fhIVXzG")

_REFUSED = {
    "I": "would start an interactive job: remove it",
    "X": "would forward a display, which only an interactive job has: remove it",
    "G": "would start an interactive job: remove it",
    "z": "would keep the job's id from being told, without which it cannot be followed: remove it",
    "J": USE_COUNT,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Directives:
    """What the script's own directives state.

    Attributes:
        stated: option letters with their values, in order; flags with an empty one.
    """

    stated: tuple[tuple[str, str], ...] = ()

    def has(self, letter: str) -> bool:
        """Whether an option is stated."""
        return any(name == letter for name, _ in self.stated)

    @property
    def output(self) -> bool:
        """Whether they say where stdout goes; `-j eo` lets it follow a stated stderr."""
        return self.has("o") or (self.has("e") and self._joined == "eo")

    @property
    def error(self) -> bool:
        """Whether they say where stderr goes; `-j oe` lets it follow a stated stdout."""
        return self.has("e") or (self.has("o") and self._joined == "oe")

    @property
    def shell(self) -> str | None:
        """The interpreter that they name for every host."""
        named = self._last("S")
        return named if named and re.fullmatch(r"/[^@,\s]+", named) else None

    @property
    def variables(self) -> frozenset[str]:
        """The names of what `-v` sets for the job."""
        parts = (part for name, value in self.stated if name == "v" for part in value.split(","))
        return frozenset(part.partition("=")[0].strip() for part in parts) - {""}

    @property
    def problem(self) -> str | None:
        """Why a script with these directives must not be submitted (a sentence), or None."""
        for letter, value in self.stated:
            if letter in _REFUSED:
                return f"the directive {PREFIX} -{letter} {_REFUSED[letter]}"
            if letter == "W" and re.search(r"(^|,)\s*block\s*=\s*(true|t|y|yes|1)\b", value, re.I):
                return (
                    f"the directive {PREFIX} -W block=true would make the submission wait for the "
                    "job's end: remove it"
                )
        return None

    @property
    def _joined(self) -> str:
        return (self._last("j") or "")[:2]

    def _last(self, letter: str) -> str | None:
        return next((value for name, value in reversed(self.stated) if name == letter), None)


def read_directives(directives: Iterable[str]) -> Directives:
    """What directives state, each given without its prefix."""
    return Directives(stated=tuple(pair for line in directives for pair in _options(_words(line))))


def _options(words: list[str]) -> Iterator[tuple[str, str]]:
    """As getopt reads words: flags may be joined, a value ends its word."""
    remaining = iter(words)
    for word in remaining:
        letters = word[1:] if word.startswith("-") else ""
        while letters:
            letter, letters = letters[0], letters[1:]
            if letter in _WITH_VALUE:
                yield letter, letters or next(remaining, "")
                break
            if letter not in _FLAGS:
                break
            yield letter, ""


def _words(directive: str) -> list[str]:
    try:
        return shlex.split(directive, comments=True)
    except ValueError:
        return directive.split()
