"""Asks a scheduler's commands: a time-out, a cut answer or a failure is no evidence of anything."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from puller.errors import SchedulerUnavailable
from puller.schedulers.runner import Completed, Run


@dataclass(frozen=True, slots=True)
class Queries:
    """How one scheduler's commands are asked.

    Attributes:
        environment: for the commands: PATH and the site's own variables.
        timeout: seconds that a command may take.
        run: runs a command.
    """

    environment: Mapping[str, str]
    timeout: float
    run: Run

    @property
    def search_path(self) -> str:
        """The PATH in which the scheduler's commands are found."""
        return self.environment.get("PATH", os.defpath)

    def ask(self, arguments: Sequence[str]) -> Completed:
        """What a command answered, whatever its exit code.

        Raises:
            CommandMissing: the program is not found.
            SchedulerUnavailable: it hung, or its answer was cut.
        """
        done = self.run(
            arguments,
            environment=self.environment,
            search_path=self.search_path,
            timeout=self.timeout,
        )
        if done.timed_out:
            raise SchedulerUnavailable(f"{done.says} ({self.timeout:.0f} s)")
        if done.cut:
            raise SchedulerUnavailable(f"{arguments[0]} answered more than can be read")
        return done


def failed(done: Completed) -> SchedulerUnavailable:
    """The error for an answer that tells nothing."""
    return SchedulerUnavailable(f"{' '.join(done.arguments)[:200]}: {done.says}")
