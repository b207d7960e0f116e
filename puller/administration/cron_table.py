"""Reads and replaces this user's table of cron (`crontab`) or of Slurm (`scrontab`)."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping

from puller.errors import PullerError
from puller.schedulers.runner import CommandMissing, run_command

_TIMEOUT = 60.0


class NoTable(PullerError):
    """The table cannot be used here: not installed, or this user may not."""


class NotInstalled(NoTable):
    """The program is not there at all."""


class CronTable:
    """One table of this user."""

    def __init__(self, program: str, environment: Mapping[str, str]) -> None:
        """Use a table.

        Args:
            program: `crontab` or `scrontab`.
            environment: the environment to run it in.
        """
        self.program = program
        self._environment = environment

    def read(self) -> bytes:
        """The whole table; empty where there is none yet.

        Raises:
            NoTable: it cannot be read. It must not be written then.
        """
        try:
            done = run_command(
                [self.program, "-l"], environment=self._environment, timeout=_TIMEOUT
            )
        except CommandMissing as error:
            raise NotInstalled(
                f"{self.program} is not installed here (PATH={self._environment.get('PATH')}). "
                "Other ways: `--systemd`, `--scrontab`, or another host with the scheduler's "
                "client; see docs/operations.md"
            ) from error
        if done.code == 0 and not done.cut:
            return done.stdout.encode(errors="surrogateescape")
        if done.code is not None and "no crontab for" in done.stderr.lower() + done.stdout.lower():
            return b""
        raise NoTable(
            f"`{self.program} -l` failed: {done.says}. If the administrators forbid it, "
            "use `--systemd`, `--scrontab`, or another host; see docs/operations.md"
        )

    def write(self, before: bytes, after: bytes) -> None:
        """Replace the table.

        Args:
            before: what it is known to hold; somebody else's change in between is not lost.
            after: what it shall hold.

        Raises:
            NoTable: it changed meanwhile, or does not take it.
        """
        if before == after:
            return
        if self.read() != before:
            raise NoTable(f"the {self.program} changed meanwhile; nothing was written: try again")
        arguments = ["-"] if after else ["-r"]
        with tempfile.TemporaryFile() as file:
            file.write(after)
            file.seek(0)
            done = run_command(
                [self.program, *arguments],
                environment=self._environment,
                timeout=_TIMEOUT,
                stdin=file.fileno(),
            )
        if done.code != 0:
            raise NoTable(f"`{self.program} {arguments[0]}` failed: {done.says}")
        if self.read() != after:
            raise NoTable(
                f"the {self.program} does not hold what was written; look at it: "
                f"`{self.program} -l`"
            )
