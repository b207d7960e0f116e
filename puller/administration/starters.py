"""The three things that can start the puller: cron, Slurm's scrontab, a user timer of systemd."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from puller.administration.cron_table import CronTable, NoTable, NotInstalled
from puller.administration.own_lines import block_of, with_block, without_block
from puller.administration.schedule import (
    Schedule,
    cron_lines,
    scrontab_lines,
    systemd_units,
    unit_mark,
    unit_name,
)
from puller.durable_file import write_durably
from puller.errors import SchedulerUnavailable
from puller.schedulers.runner import run_command


class Starter(Protocol):
    """One way to start the puller of one settings file."""

    @property
    def name(self) -> str:
        """What people call it."""

    def text(self, schedule: Schedule) -> str:
        """What would be installed, for people."""

    def rendered(self, schedule: Schedule) -> list[str]:
        """What `lines` says once it is installed."""

    def lines(self) -> list[str] | None:
        """What is installed; None if nothing is.

        Raises:
            NoTable: it cannot be read.
            DamagedLines: somebody has changed the marks around it.
        """

    def put(self, schedule: Schedule) -> None:
        """Install it, in the place of an earlier one.

        Raises:
            NoTable: it cannot be done here.
        """

    def remove(self) -> bool:
        """Remove what was installed and nothing else; whether there was anything.

        Raises:
            NoTable: it cannot be done here.
        """


class TableStarter:
    """Lines in a crontab or a scrontab."""

    def __init__(
        self, table: CronTable, key: str, render: Callable[[Schedule], Sequence[str]]
    ) -> None:
        """Use a table.

        Args:
            table: the table.
            key: whose lines they are: the settings file.
            render: makes the lines.
        """
        self._table = table
        self._key = key
        self._render = render

    @property
    def name(self) -> str:
        """The table's program."""
        return self._table.program

    def text(self, schedule: Schedule) -> str:
        """The block with its marks."""
        return with_block(b"", self._key, self._render(schedule)).decode(errors="replace")

    def rendered(self, schedule: Schedule) -> list[str]:
        """The lines between the marks."""
        return list(self._render(schedule))

    def lines(self) -> list[str] | None:
        """The lines between the marks."""
        return block_of(self._table.read(), self._key)

    def put(self, schedule: Schedule) -> None:
        """Write the block."""
        before = self._table.read()
        self._table.write(before, with_block(before, self._key, self._render(schedule)))

    def remove(self) -> bool:
        """Remove the block."""
        before = self._table.read()
        after = without_block(before, self._key)
        self._table.write(before, after)
        return before != after


class SystemdStarter:
    """A service and a timer of the user's systemd."""

    name = "systemd"

    def __init__(
        self, folder: Path, site: str, settings_file: Path, environment: Mapping[str, str]
    ) -> None:
        """Use the user's systemd.

        Args:
            folder: where the user's units lie.
            site: the site, for the units' names.
            settings_file: whose units they are.
            environment: the environment to run `systemctl` in.
        """
        self._folder = folder
        self._site = site
        self._settings_file = settings_file
        self._environment = environment

    def text(self, schedule: Schedule) -> str:
        """Both units."""
        units = systemd_units(schedule, self._site)
        return "\n".join(f"{self._folder / name}:\n{text}" for name, text in units.items())

    def rendered(self, schedule: Schedule) -> list[str]:
        """The lines of both units."""
        texts = systemd_units(schedule, self._site).values()
        return [line for text in texts for line in text.splitlines()]

    def lines(self) -> list[str] | None:
        """The lines of both units; None unless the service is of this installation."""
        service, timer = self._files()
        return _lines(service) + _lines(timer) if self._is_mine(service) else None

    def put(self, schedule: Schedule) -> None:
        """Write the units and start the timer."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for name, text in systemd_units(schedule, self._site).items():
            file = self._folder / name
            if file.exists() and not self._is_mine(file):
                raise NoTable(
                    f"{file} is not of this installation ({self._settings_file}); "
                    "uninstall that one first"
                )
            write_durably(file, text.encode(errors="surrogateescape"), mode=0o644)
        self._systemctl("daemon-reload")
        self._systemctl("enable", "--now", f"{unit_name(self._site)}.timer")

    def remove(self) -> bool:
        """Stop the timer and remove the units."""
        mine = [file for file in self._files() if self._is_mine(file)]
        if not mine:
            return False
        self._systemctl("disable", "--now", f"{unit_name(self._site)}.timer")
        for file in mine:
            file.unlink()
        self._systemctl("daemon-reload")
        return True

    def stays_after_logout(self) -> bool | None:
        """Whether the user's systemd runs while nobody is logged in; None if it does not say."""
        user = self._environment.get("LOGNAME") or self._environment.get("USER") or ""
        with suppress(SchedulerUnavailable):
            done = run_command(
                ["loginctl", "show-user", user, "--property=Linger"],
                environment=self._environment,
                timeout=30,
            )
            if done.code == 0:
                return done.stdout.strip() == "Linger=yes"
        return None

    def _files(self) -> tuple[Path, Path]:
        name = unit_name(self._site)
        return self._folder / f"{name}.service", self._folder / f"{name}.timer"

    def _is_mine(self, file: Path) -> bool:
        return _lines(file)[:1] == [unit_mark(self._settings_file)]

    def _systemctl(self, *arguments: str) -> None:
        try:
            done = run_command(
                ["systemctl", "--user", *arguments], environment=self._environment, timeout=60
            )
        except SchedulerUnavailable as error:
            raise NotInstalled(f"systemd is not installed here: {error}") from error
        if done.code != 0:
            raise NoTable(
                f"`systemctl --user {' '.join(arguments)}` failed: {done.says}. "
                "It needs a login session of this user (log in with ssh, not with su)"
            )


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except OSError:
        return []


def all_starters(
    settings_file: Path,
    site: str | None,
    environment: Mapping[str, str],
    scron_options: Sequence[str] = (),
) -> dict[str, Starter]:
    """Every way to start the puller of a settings file, by name.

    Args:
        settings_file: whose.
        site: its site; None leaves systemd out, whose units are named after it.
        environment: the process's environment.
        scron_options: options for scrontab's entry.
    """
    key = str(settings_file)
    found: dict[str, Starter] = {
        "crontab": TableStarter(CronTable("crontab", environment), key, cron_lines),
        "scrontab": TableStarter(
            CronTable("scrontab", environment),
            key,
            lambda schedule: scrontab_lines(schedule, scron_options),
        ),
    }
    if site is not None:
        base = environment.get("XDG_CONFIG_HOME") or "~/.config"
        folder = Path(base).expanduser() / "systemd" / "user"
        found["systemd"] = SystemdStarter(folder, site, settings_file, environment)
    return found
