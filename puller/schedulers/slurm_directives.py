"""What the `#SBATCH` lines of a script say, as far as the puller must know it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from puller.schedulers.array_tasks import USE_COUNT

PREFIX = "#SBATCH"

_SHORT = {"o": "output", "e": "error", "J": "job-name", "D": "chdir", "a": "array"}
_SHORTEST = {
    "output": "ou",
    "error": "er",
    "job-name": "job-",
    "chdir": "ch",
    "array": "ar",
    "wait": "wait",
    "test-only": "te",
}
"""By option: how far `sbatch` (getopt_long) lets its name be shortened."""

_WAIT = re.compile(r"-[HIkOQsv]*W")


@dataclass(frozen=True, slots=True, kw_only=True)
class Directives:
    """What the script's own directives state.

    Attributes:
        options: the names of the stated options among those that the puller must know.
    """

    options: frozenset[str]

    @property
    def output(self) -> bool:
        """Whether they say where stdout goes."""
        return "output" in self.options

    @property
    def error(self) -> bool:
        """Whether they say where stderr goes; to Slurm `--output` alone means both."""
        return "error" in self.options or self.output

    @property
    def directory(self) -> bool:
        """Whether they say where the script runs."""
        return "chdir" in self.options

    @property
    def job_name(self) -> bool:
        """Whether they name the job."""
        return "job-name" in self.options

    @property
    def problem(self) -> str | None:
        """Why a script with these directives must not be submitted (a sentence), or None."""
        for option, why in _REFUSED.items():
            if option in self.options:
                return f"the directive {PREFIX} --{option} {why}"
        return None


_REFUSED = {
    "test-only": "would only test the submission and never run the job: remove it",
    "wait": "would make the submission wait for the job's end: remove it",
    "array": USE_COUNT,
}


def read_directives(directives: Iterable[str]) -> Directives:
    """What directives state, each given without its prefix."""
    return Directives(
        options=frozenset(
            name for directive in directives for word in _words(directive) for name in _names(word)
        )
    )


def _words(directive: str) -> list[str]:
    """As `sbatch` splits a directive: quotes, and `#` begins a comment."""
    try:
        return shlex.split(directive, comments=True)
    except ValueError:
        return directive.split()


def _names(word: str) -> Iterator[str]:
    if word.startswith("--"):
        given = word[2:].partition("=")[0]
        for name, shortest in _SHORTEST.items():
            if name.startswith(given) and given.startswith(shortest):
                yield name
    elif _WAIT.match(word):
        yield "wait"
    elif word.startswith("-") and word[1:2] in _SHORT:
        yield _SHORT[word[1:2]]
