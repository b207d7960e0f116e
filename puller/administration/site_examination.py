"""Examines this side: program, directories, disks, scheduler, login shell."""

from __future__ import annotations

import os
import pwd
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from job_protocol.object_keys import SITE_CONTROL_DIR
from puller.administration.file_systems import MOUNTS, Kind, file_system_of, kind_of
from puller.administration.finding import Finding, Level, fail, ok, warn
from puller.administration.jobs_dir_owner import foreign_owner
from puller.administration.program import read_pin, this_program
from puller.errors import PullerError, SchedulerUnavailable, SettingsError
from puller.lock import prepare_lock_dir
from puller.login_environment import LoginEnvironmentUnknown, login_environment
from puller.schedulers.choose import choose_scheduler
from puller.schedulers.local import Local
from puller.schedulers.runner import CommandMissing, run_command
from puller.settings import Settings
from puller.workplace import KILL_SWITCH

_GIB = 1024**3
_LEAST_FREE = 100 * 1024**2
_LOW_FREE = _GIB
_LOW_INODES = 10_000
_SLOW_LOGIN_SECONDS = 5.0


class SiteExamination:
    """The checks of this side."""

    def __init__(
        self,
        settings: Settings,
        commands: Mapping[str, str],
        environment: Mapping[str, str],
        mounts: Path = MOUNTS,
    ) -> None:
        """Examine a site.

        Args:
            settings: its settings.
            commands: the environment of the scheduler's commands.
            environment: the process's environment.
            mounts: the kernel's table of mounts.
        """
        self._settings = settings
        self._commands = commands
        self._environment = environment
        self._mounts = mounts

    def program(self) -> Iterator[Finding]:
        """The program against what was installed."""
        program, pin = this_program(), read_pin(self._settings.state)
        if pin is None:
            yield warn("program", "it was not installed here", "run `jobferry-puller install` once")
        elif pin.sha256 != program.sha256:
            yield fail(
                "program",
                f"its SHA-256 is {program.sha256 or 'none'}, and {pin.sha256 or 'none'} was "
                f"installed (version {pin.version})",
                "after an upgrade run `jobferry-puller install --sha256 HEX` with the digest that "
                "the deployment printed; otherwise find out who changed the file",
            )
        else:
            yield ok("program", f"{program.file or 'a package'}, as it was installed")

    def umask(self) -> Iterator[Finding]:
        """What others may do with what the puller writes."""
        mask = int(self._settings.umask, 8)
        if mask & 0o022 != 0o022:
            yield warn(
                "umask",
                f"umask {self._settings.umask}: others may write into job directories",
                "set umask to 077, 027 or 022 in the settings",
            )
        else:
            yield ok("umask", self._settings.umask)

    def kill_switch(self) -> Iterator[Finding]:
        """Whether somebody has stopped submission."""
        switch = self._settings.state / KILL_SWITCH
        if switch.exists():
            yield warn("kill switch", f"{switch} stops every submission", "remove it to go on")
        else:
            yield ok("kill switch", "not thrown")

    # ---- directories ----

    def directories(self) -> Iterator[Finding]:
        """State, locks and jobs: writable, and on the right kind of file system."""
        settings = self._settings
        yield _writable("state_dir", settings.state)
        yield from self._lock_dir()
        writable = _writable("jobs_dir", settings.jobs_dir)
        if writable.level is Level.FAIL:
            yield writable
            return
        if (other := foreign_owner(settings)) is not None:
            yield fail(
                "jobs_dir",
                f"{settings.jobs_dir} is used by {other}",
                "give each site a jobs_dir of its own",
            )
        kind, name = self._kind(settings.jobs_dir)
        if settings.scheduler != Local.name and kind is Kind.LOCAL:
            yield warn(
                "jobs_dir",
                f"{settings.jobs_dir} lies on {name}, which compute nodes may not see",
                "run `jobferry-puller doctor --probe`; if it fails, set jobs_dir to a directory "
                "on a shared file system",
            )
        else:
            yield ok("jobs_dir", f"{settings.jobs_dir} is writable and lies on {name}")

    def _lock_dir(self) -> Iterator[Finding]:
        folder = self._settings.locks
        try:
            prepare_lock_dir(folder)
        except (SettingsError, OSError) as error:
            yield fail("lock_dir", str(error), "set lock_dir to a local directory of yours")
            return
        kind, name = self._kind(folder)
        if kind is Kind.SHARED:
            yield warn(
                "lock_dir",
                f"{folder} lies on {name}, where locks may not work",
                "set lock_dir to a directory on local disk, e.g. below /tmp or /var/tmp",
            )
        else:
            yield ok("lock_dir", f"{folder} lies on {name}")

    def _kind(self, path: Path) -> tuple[Kind, str]:
        try:
            mounts = self._mounts.read_text(errors="replace")
        except OSError:
            return Kind.UNKNOWN, "an unknown file system"
        name = file_system_of(path.resolve(), mounts)
        return (Kind.UNKNOWN, "an unknown file system") if name is None else (kind_of(name), name)

    def disks(self) -> Iterator[Finding]:
        """Space and inodes, and the quota where `quota` tells one."""
        for name, folder in (
            ("jobs_dir", self._settings.jobs_dir),
            ("state_dir", self._settings.state),
        ):
            if folder.exists():
                yield disk_finding(name, folder, os.statvfs(folder))
        try:
            done = run_command(["quota", "-q"], environment=self._environment, timeout=20)
        except SchedulerUnavailable:
            return
        if done.stdout.strip():
            yield warn(
                "quota",
                f"`quota -q` says: {' / '.join(done.stdout.split(chr(10))[:4])}",
                "make room: jobferry-puller clean --published --older-than 30d",
            )

    # ---- scheduler and login shell ----

    def scheduler(self) -> Iterator[Finding]:
        """Whether the scheduler's commands are found and answer."""
        settings = self._settings
        began = time.monotonic()
        try:
            scheduler = choose_scheduler(
                settings.scheduler,
                environment=self._commands,
                control_root=settings.jobs_dir / SITE_CONTROL_DIR / "alloc",
                timeout=settings.command_timeout,
            )
            jobs = scheduler.list_mine()
        except SettingsError as error:
            yield fail("scheduler", str(error), "correct `scheduler` in the settings")
        except CommandMissing as error:
            yield fail(
                "scheduler",
                str(error),
                "log in as users do, `command -v` the scheduler's commands, and set `path`; "
                "or run `jobferry-puller install` in that shell, which does it",
            )
        except PullerError as error:
            yield fail(
                "scheduler",
                str(error),
                "ask the scheduler by hand; if it needs variables, set scheduler_environment",
            )
        else:
            seconds = time.monotonic() - began
            yield ok(
                "scheduler",
                f"{scheduler.name} lists {len(jobs)} jobs of yours in {seconds:.1f} s",
            )

    def login_shell(self) -> Iterator[Finding]:
        """Whether the login shell tells the environment that jobs get."""
        account = pwd.getpwuid(os.getuid())
        began = time.monotonic()
        try:
            found = login_environment(account, language=self._environment.get("LANG"))
        except LoginEnvironmentUnknown as error:
            yield fail("login shell", str(error), "mend the profile; no job can start without it")
            return
        seconds = time.monotonic() - began
        module = "BASH_FUNC_module%%" in found
        told = f"{account.pw_shell} answers in {seconds:.1f} s, " + (
            "`module` is there" if module else "there is no `module`"
        )
        if seconds > _SLOW_LOGIN_SECONDS:
            yield warn(
                "login shell", told, "make the profile faster: every pass with work waits for it"
            )
        else:
            yield ok("login shell", told)

    def artifacts(self) -> Iterator[Finding]:
        """From where jobs may have files fetched, and whether repositories are among them."""
        hosts = self._settings.artifact_hosts
        listed = f"fetched from {', '.join(hosts)}" if hosts else "artifact_hosts lists no host"
        git = shutil.which("git", path=self._commands.get("PATH") or os.defpath)
        found = f"git is {git}" if git else "there is no git, which only git:: sources need"
        yield ok("artifacts", f"{listed}; {found}")


def disk_finding(name: str, folder: Path, found: os.statvfs_result) -> Finding:
    """What a file system's free space and inodes mean."""
    free = found.f_bavail * found.f_frsize
    # Some file servers do not count inodes and say 0 for all of them.
    inodes = found.f_favail if found.f_files else None
    told = f"{folder}: {free / _GIB:.1f} GiB free" + (
        "" if inodes is None else f", {inodes} inodes free"
    )
    remedy = "make room: jobferry-puller clean --published --older-than 30d"
    if free < _LEAST_FREE or inodes == 0:
        return fail(f"disk of {name}", told, remedy)
    if free < _LOW_FREE or (inodes is not None and inodes < _LOW_INODES):
        return warn(f"disk of {name}", told, remedy)
    return ok(f"disk of {name}", told)


def _writable(name: str, folder: Path) -> Finding:
    """A file can be written there. A directory that is missing is the next pass's to make."""
    existing = folder
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"jobferry")
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return fail(
            name, f"cannot write to {existing}: {error}", f"mend it, or set {name} in the settings"
        )
    return ok(name, f"{existing} is writable")
