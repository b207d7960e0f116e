"""What the `#PJM` lines of a script say, as far as the puller must know it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass

from puller.schedulers.array_tasks import USE_COUNT
from puller.wrapper import split_script

PREFIX = "#PJM"

_STDOUT = frozenset({"-o", "--out"})
_STDERR = frozenset({"-e", "--err"})
_JOINED = frozenset({"-j", "--join"})
_WITH_FILE = ("-o", "-e")

_REFUSED = {
    "--step": "would make it a part of a chain of jobs: upload one job for each",
    "--interact": "would start an interactive job, which has no terminal here: remove it",
    "--mswk": "would start a master-worker job, which cannot be watched from here: remove it",
    "--bulk": USE_COUNT,
    "-z": "would hide the job's id from the puller: remove it",
    "--help": "would only print something and never submit the job: remove it",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Directives:
    """What the script's own directives state.

    Attributes:
        options: the stated options, with their hyphens and without values.
    """

    options: frozenset[str]

    @property
    def output(self) -> bool:
        """Whether they say where stdout goes."""
        return not _STDOUT.isdisjoint(self.options)

    @property
    def error(self) -> bool:
        """Whether they say where stderr goes: to a file, or where they send stdout."""
        joined = self.output and not _JOINED.isdisjoint(self.options)
        return joined or not _STDERR.isdisjoint(self.options)

    @property
    def problem(self) -> str | None:
        """Why a script with these directives must not be submitted (a sentence), or None."""
        for option, why in _REFUSED.items():
            if option in self.options:
                return f"the directive {PREFIX} {option} {why}"
        return None


def directives_of(script: str) -> Directives:
    """What the `#PJM` lines of a script's leading comment block state."""
    return read_directives(split_script(script, (PREFIX,)).directives)


def read_directives(directives: Iterable[str]) -> Directives:
    """What directives state, each given without its prefix."""
    return Directives(
        options=frozenset(
            _option(word)
            for directive in directives
            for word in _words(directive)
            if word.startswith("-")
        )
    )


def _option(word: str) -> str:
    """Its name: `--out=x` and `-ox` carry their value."""
    if word.startswith("--"):
        return word.partition("=")[0]
    return word[:2] if word.startswith(_WITH_FILE) else word


def _words(directive: str) -> list[str]:
    try:
        return shlex.split(directive, comments=True)
    except ValueError:
        return directive.split()
