"""A real cron that sees nothing of this machine's crontabs: it lives in a mount namespace.

Its one user is a system user that every Debian has, with a home directory and a shell of the
test's own; schedulers outside know the user by its number.
"""

from __future__ import annotations

import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from tests.patience import PATIENCE

USER = "games"
_PROGRAMS = ("cron", "crontab", "unshare", "nsenter", "setpriv", "mount")
_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"

_SETUP = """\
set -eu
mount --bind "$1/spool" /var/spool/cron/crontabs
mount --bind "$1/cron.d" /etc/cron.d
mount --bind "$1/crontab" /etc/crontab
mount --bind "$1/passwd" /etc/passwd
mount -t tmpfs none /run
touch "$1/ready"
exec cron -f
"""


def missing() -> str | None:
    """Why no cron can be started here, or None."""
    if os.geteuid() != 0:
        return "starting a cron needs root"
    absent = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    if absent:
        return f"not installed: {', '.join(absent)} (apt-get install cron)"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return "no mount namespace may be made here"
    return None


class CronHost:
    """cron, and commands as its user, each in cron's namespace."""

    def __init__(self, directory: Path) -> None:
        """Use a directory that every user may enter."""
        self._directory = directory
        self.home = directory / "home"
        self._cron: subprocess.Popen[bytes] | None = None
        self._account = pwd.getpwnam(USER)
        self._changes = itertools.count(1)

    def __enter__(self) -> Self:
        for name in ("spool", "cron.d", "home"):
            (self._directory / name).mkdir()
        (self._directory / "spool").chmod(0o1730)
        shutil.chown(self._directory / "spool", group="crontab")
        shutil.chown(self.home, USER, self._account.pw_gid)
        (self._directory / "crontab").touch()
        own = f"{USER}:x:{self._account.pw_uid}:{self._account.pw_gid}::{self.home}:/bin/bash"
        others = [
            line
            for line in Path("/etc/passwd").read_text().splitlines()
            if not line.startswith(f"{USER}:")
        ]
        passwd = self._directory / "passwd"
        passwd.write_text("\n".join([*others, own, ""]))
        passwd.chmod(0o644)
        self._cron = subprocess.Popen(
            ["unshare", "--mount", "sh", "-c", _SETUP, "sh", str(self._directory)],
            env={"PATH": _PATH},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,
        )
        deadline = time.monotonic() + PATIENCE
        while not (self._directory / "ready").exists():
            assert self._cron.poll() is None, "cron did not start"
            assert time.monotonic() < deadline, "cron did not start in time"
            time.sleep(0.05)
        return self

    def __exit__(self, *_: object) -> None:
        if self._cron is not None:
            self._cron.terminate()
            self._cron.wait(PATIENCE)

    def write(self, path: str, text: str) -> None:
        """Write a file of the user's, private, below its home directory."""
        file = self.home / path
        for folder in reversed([p for p in file.parents if self.home in p.parents]):
            folder.mkdir(exist_ok=True)
            shutil.chown(folder, USER, self._account.pw_gid)
        file.write_text(text)
        file.chmod(0o600)
        shutil.chown(file, USER, self._account.pw_gid)

    def run(
        self, *command: str, environment: Mapping[str, str] | None = None, expect: int = 0
    ) -> str:
        """What a command of the user's, in a login-like environment, writes to stdout."""
        assert self._cron is not None
        done = subprocess.run(
            [
                *("nsenter", f"--mount=/proc/{self._cron.pid}/ns/mnt"),
                *("setpriv", f"--reuid={self._account.pw_uid}"),
                *(f"--regid={self._account.pw_gid}", "--clear-groups", "--"),
                *command,
            ],
            cwd="/",
            env={
                "HOME": str(self.home),
                "LOGNAME": USER,
                "USER": USER,
                "SHELL": "/bin/bash",
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                **(environment or {}),
            },
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == expect, f"{command}\n{done.stdout}\n{done.stderr}"
        self._show_change()
        return done.stdout

    def _show_change(self) -> None:
        """Let cron see a crontab that this command may have installed.

        cron compares whole seconds, so that it overlooks, for good, what is installed within the
        second of its start or of its last look.
        """
        later = time.time() + 10 * next(self._changes)
        os.utime(self._directory / "spool", (later, later))


def directory_for_all() -> Path:
    """A new directory that every user may enter."""
    directory = Path(tempfile.mkdtemp(prefix="jobferry-cron-"))
    directory.chmod(0o755)
    return directory
