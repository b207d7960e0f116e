"""Bounded work: whoever sends a job file cannot make the control plane compute for long."""

from __future__ import annotations

from typing import Any

from nomad_jobs.job_file.problems import TooMuchWork

MAX_WORK = 100_000
"""Units for one file and its variables: a token read, an expression evaluated, a value copied.

A hundred times what large job files need, and less than a second of a Lambda."""

CHARACTERS_PER_UNIT = 64
MAX_DEPTH = 40
"""Levels of nested brackets, templates and blocks."""


class Budget:
    """Counts work down and refuses when nothing is left."""

    def __init__(self, units: int = MAX_WORK) -> None:
        self._left = units
        self.line = 1
        """The line that is worked on, for the message."""

    def spend(self, units: int = 1) -> None:
        """Take `units` of work.

        Raises:
            TooMuchWork: nothing is left.
        """
        self._left -= units
        if self._left < 0:
            raise TooMuchWork(
                "the job file takes too much work to evaluate; "
                "compute large values before and pass them as inputs",
                line=self.line,
            )

    def spend_on_text(self, characters: int) -> None:
        """Take what a text of so many characters costs."""
        self.spend(1 + characters // CHARACTERS_PER_UNIT)

    def spend_on(self, value: Any) -> None:
        """Take what a copy of `value` with all that is in it costs.

        A value that holds itself many times (`[a, a]` of `[b, b]` of ...) costs what it would take
        to write it down, and the count stops where the budget does.
        """
        waiting = [value]
        while waiting:
            part = waiting.pop()
            if isinstance(part, str):
                self.spend_on_text(len(part))
                continue
            self.spend()
            if isinstance(part, list):
                waiting.extend(part)
            elif isinstance(part, dict):
                waiting.extend(part.values())
                self.spend(len(part))
