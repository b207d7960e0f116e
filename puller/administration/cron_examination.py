"""Examines what starts the puller, and whether it does."""

from __future__ import annotations

import shlex
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from puller.administration.cron_table import NoTable
from puller.administration.finding import Finding, fail, ok, warn
from puller.administration.own_lines import DamagedLines
from puller.administration.starters import SystemdStarter, all_starters
from puller.last_pass import read_last_pass
from puller.settings import ENVIRONMENT_PREFIX, Settings

CRON_PATH = "/usr/bin:/bin"
_COMMANDS = {
    "slurm": ("sbatch", "squeue", "scontrol", "scancel"),
    "sge": ("qsub", "qstat", "qacct", "qdel"),
    "pbs": ("qsub", "qstat", "qdel"),
    "lsf": ("bsub", "bjobs", "bkill"),
    "tcs": ("pjsub", "pjstat", "pjdel"),
}
_LATE_SECONDS = 15 * 60
_LATEST_SECONDS = 2 * 3600


class CronExamination:
    """The checks of what starts the puller."""

    def __init__(
        self,
        settings: Settings,
        settings_file: Path,
        environment: Mapping[str, str],
        clock: Callable[[], float],
    ) -> None:
        """Examine what starts the puller of a settings file."""
        self._settings = settings
        self._file = settings_file
        self._environment = environment
        self._clock = clock

    def start(self) -> Iterator[Finding]:
        """Something starts it, and starts a program that is there."""
        own = sorted(n for n in self._environment if n.startswith(ENVIRONMENT_PREFIX))
        own = [n for n in own if n != f"{ENVIRONMENT_PREFIX}CACHE"]
        if own:
            yield warn(
                "start",
                f"{', '.join(own)} of this shell change the settings; cron does not have them",
                "write them into the settings file",
            )
        starters = all_starters(self._file, self._settings.site, self._environment)
        installed: list[str] = []
        for name, starter in starters.items():
            try:
                lines = starter.lines()
            except NoTable:
                continue
            except DamagedLines as error:
                yield fail("start", str(error), "then run `jobferry-puller install`")
                continue
            if lines is None:
                continue
            installed.append(name)
            yield from _program_there(name, lines)
            if isinstance(starter, SystemdStarter) and starter.stays_after_logout() is False:
                yield fail(
                    "start",
                    "systemd stops the timer when you log out",
                    "run `loginctl enable-linger`, or ask the administrators to",
                )
        if not installed:
            yield warn(
                "start",
                f"nothing that `install` writes starts the puller of {self._file}",
                "run `jobferry-puller install`",
            )
        if len(installed) > 1:
            yield warn(
                "start",
                f"{' and '.join(installed)} both start it",
                "run `jobferry-puller uninstall`, then `install` with the one that you want",
            )

    def path(self) -> Iterator[Finding]:
        """The scheduler's commands are found with cron's PATH, not only with this shell's."""
        path = self._settings.path or CRON_PATH
        wanted = _COMMANDS.get(self._settings.scheduler, ())
        absent = [name for name in wanted if shutil.which(name, path=path) is None]
        if absent:
            yield fail(
                "cron's PATH",
                f"{', '.join(absent)} not found in {path}",
                "set `path` in the settings to the folders of the scheduler's commands",
            )
        else:
            found = f"{', '.join(wanted)} found in" if wanted else "nothing needed of"
            yield ok("cron's PATH", f"{found} {path}")

    def last_pass(self) -> Iterator[Finding]:
        """The puller runs, here, and reached the cloud."""
        last = read_last_pass(self._settings.state)
        if last is None:
            yield warn(
                "last pass",
                "there has been none yet",
                "wait two minutes; if there is still none, cron does not run it: ask for cron's "
                "log, or start `jobferry-puller pass` by hand",
            )
            return
        age = int(self._clock()) - (last.ended or last.began)
        told = f"began {age} s ago on {last.host}" if last.ended is None else f"{age} s ago"
        if last.problem:
            yield warn("last pass", f"{told}: {last.problem}", "see the findings about the cloud")
        elif age > _LATEST_SECONDS:
            yield fail(
                "last pass",
                f"{told}; nothing has started it since",
                "is cron running, and does it run your crontab? A pass of more than two hours "
                "moves large files: see the log",
            )
        elif age > _LATE_SECONDS:
            yield warn("last pass", told, "with --every 20 and more this is as it should be")
        elif last.host != socket.gethostname():
            yield warn(
                "last pass",
                f"{told} on {last.host}, and this is {socket.gethostname()}",
                "run doctor there; one installation runs on one host",
            )
        else:
            yield ok("last pass", told)


def _program_there(name: str, lines: list[str]) -> Iterator[Finding]:
    """The interpreter and the file that a line starts are there."""
    words: list[str] = []
    for line in lines:
        command = line.removeprefix("ExecStart=")
        if not line.startswith(("#", "[")) and " pass" in line.replace('"', " "):
            words = shlex.split(command)
    paths = [Path(word) for word in words if word.startswith("/")]
    if gone := [str(path) for path in paths[:2] if not path.exists()]:
        yield fail(
            "start",
            f"{name} starts {gone[0]}, which is not there",
            "run `jobferry-puller install` with the Python and the file that are",
        )
    else:
        yield ok("start", f"{name}: {shlex.join(words)}")
