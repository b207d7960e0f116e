"""What starts the puller: the lines of a crontab or a scrontab, the units of systemd. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from puller.errors import SettingsError

EVERY = (1, 2, 3, 4, 5, 6, 10, 12, 15, 20, 30, 60)
"""Minutes: the divisors of an hour, for which a crontab line is even."""

SCRON_LIMIT = 60
"""Minutes for which a pass may run as a job of Slurm's; a large transfer takes long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """When the puller starts, and how.

    Attributes:
        words: the command line of the program, without subcommand.
        settings_file: the settings file, absolute.
        every: minutes between two starts.
        linger: seconds for which each keeps passing.
    """

    words: tuple[str, ...]
    settings_file: Path
    every: int = 1
    linger: int = 55

    def __post_init__(self) -> None:
        for word in self.command:
            if "%" in word:
                raise SettingsError(
                    f"{word!r} contains %, which cron takes for the end of the line; "
                    "choose a path without it"
                )
            if not word.isprintable():
                raise SettingsError(f"{word!r} contains a control character; choose another path")

    @property
    def command(self) -> tuple[str, ...]:
        """The command line of one start."""
        linger = ("--linger", str(self.linger)) if self.linger else ()
        return (*self.words, "--settings", str(self.settings_file), "pass", *linger)


def cron_lines(schedule: Schedule) -> list[str]:
    """The line of a crontab."""
    return [f"{_minutes(schedule.every)} * * * * {shlex.join(schedule.command)}"]


def scrontab_lines(schedule: Schedule, options: Sequence[str]) -> list[str]:
    """The lines of a scrontab: options for the one entry behind them.

    Args:
        schedule: when and how.
        options: further options of `sbatch`.
    """
    return [
        "#SCRON --job-name=jobferry-puller",
        f"#SCRON --time={SCRON_LIMIT}",
        *(f"#SCRON {option}" for option in options),
        *cron_lines(schedule),
    ]


def systemd_units(schedule: Schedule, site: str) -> dict[str, str]:
    """The user units of systemd, by file name.

    `KillMode=process` spares the jobs of the `local` scheduler, which are the puller's children.
    """
    name = unit_name(site)
    minutes = _minutes(schedule.every).replace("*/", "0/")
    return {
        f"{name}.service": f"""\
{unit_mark(schedule.settings_file)}
[Unit]
Description=jobferry's puller of site {site}

[Service]
Type=oneshot
ExecStart={" ".join(_systemd_word(word) for word in schedule.command)}
KillMode=process
""",
        f"{name}.timer": f"""\
{unit_mark(schedule.settings_file)}
[Unit]
Description=jobferry's puller of site {site}, every {schedule.every} min

[Timer]
OnCalendar=*:{minutes}
AccuracySec=1s

[Install]
WantedBy=timers.target
""",
    }


def unit_name(site: str) -> str:
    """The name of a site's units, without their suffix."""
    return f"jobferry-puller-{site}"


def unit_mark(settings_file: Path) -> str:
    """The first line of a unit, which says whose it is."""
    return f"# jobferry-puller {settings_file} (`jobferry-puller uninstall` removes this file)"


def _minutes(every: int) -> str:
    return {1: "*", 60: "0"}.get(every, f"*/{every}")


def _systemd_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"'
