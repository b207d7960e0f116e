"""What the `#BSUB` lines of a script say, as far as the puller must know it."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from puller.schedulers.array_tasks import USE_COUNT
from puller.wrapper import split_script

PREFIX = "#BSUB"

_STDOUT = frozenset({"-o", "-oo"})
_STDERR = frozenset({"-e", "-eo"})
_NAME = "-J"
_DIRECTORY = "-cwd"
_VARIABLES = "-env"

_INTERACTIVE = "would start an interactive job, which has no terminal here: remove it"
_PRINTS = "would only print something and never submit the job: remove it"
_REFUSED = {
    "-K": "would make the submission wait for the job's end: remove it",
    **dict.fromkeys(("-I", "-Ip", "-Is", "-IS", "-ISp", "-ISs", "-IX"), _INTERACTIVE),
    "-pack": "would submit other jobs than this script: upload one job for each",
    **dict.fromkeys(("-h", "-help", "-V"), _PRINTS),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Directives:
    """What the script's own directives state.

    Attributes:
        options: the stated options, with their hyphen.
        names: what `-J` was given.
        variables: the environment variables that `-env` names.
    """

    options: frozenset[str]
    names: tuple[str, ...] = ()
    variables: frozenset[str] = frozenset()

    @property
    def output(self) -> bool:
        """Whether they say where stdout goes."""
        return not _STDOUT.isdisjoint(self.options)

    @property
    def error(self) -> bool:
        """Whether they say where stderr goes; to LSF `-o` alone means both."""
        return self.output or not _STDERR.isdisjoint(self.options)

    @property
    def directory(self) -> bool:
        """Whether they say where the script runs."""
        return _DIRECTORY in self.options

    @property
    def job_name(self) -> bool:
        """Whether they name the job."""
        return _NAME in self.options

    @property
    def problem(self) -> str | None:
        """Why a script with these directives must not be submitted (a sentence), or None."""
        for option, why in _REFUSED.items():
            if option in self.options:
                return f"the directive {PREFIX} {option} {why}"
        for name in self.names:
            if "[" in name:
                return f"the directive {PREFIX} -J {name} {USE_COUNT}"
        return None


def directives_of(script: str) -> Directives:
    """What a script's `#BSUB` lines state.

    `bsub` reads them in the whole of its standard input, at the beginning of a line (source: IBM's
    command reference, bsub, "job_script").
    """
    return read_directives(split_script(script, (PREFIX,), anywhere=True).directives)


def read_directives(directives: Iterable[str]) -> Directives:
    """What directives state, each given without its prefix."""
    words = [word for directive in directives for word in _words(directive)]
    values = list(pairwise(words))
    return Directives(
        options=frozenset(word for word in words if word.startswith("-")),
        names=tuple(value for option, value in values if option == _NAME),
        variables=frozenset(
            entry.strip().lstrip("~").partition("=")[0]
            for option, value in values
            if option == _VARIABLES
            for entry in value.split(",")
        )
        - {"all", "none", ""},
    )


def _words(directive: str) -> list[str]:
    try:
        return shlex.split(directive, comments=True)
    except ValueError:
        return directive.split()
