"""The environment that a job gets: that of the user's login shell, not cron's.

cron gives four variables and no `module`; a job expects what its user has after logging in. So the
login shell is started as `login` would, from a clean environment, and asked what it has.

Traps that shaped this:

* The profile's output is noise. The environment comes back in a file that appears when whole.
* `module` is a shell function, often not exported. bash exports every function before it answers.
* The shell gets its commands on stdin, not with `-c`: a profile may end in `exec` of another
  shell, which then reads them. A profile that itself reads a line must not eat a command, so blank
  lines come first.
* csh closes inherited descriptors and knows no `export`; it is asked in words that it knows.
* A profile may hang (a prompt, a dead file server): there is a time limit.
* It may leave processes behind (`ssh-agent`): only the shell itself is waited for.
"""

from __future__ import annotations

import fnmatch
import os
import pwd
import shlex
import tempfile
from collections.abc import Collection, Mapping
from pathlib import Path

from puller.errors import PullerError, SchedulerUnavailable
from puller.schedulers.runner import run_command

DEFAULT_TIMEOUT = 30.0
"""Seconds for the profile to come to its end."""

LOGIN_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
"""What the shell starts with; the profile sets the user's own."""

_OF_THE_SHELL_ITSELF = frozenset({"PWD", "OLDPWD", "SHLVL", "_"})

_PADDING = "\n" * 8

_EXPORT_FUNCTIONS = (
    "test -n \"$BASH_VERSION\" && eval \"export -f $(compgen -A function | tr '\\n' ' ')\"\n"
)
"""Understood by every shell but csh; only bash can hand functions on."""


class LoginEnvironmentUnknown(PullerError):
    """The login shell did not tell its environment."""


def login_environment(
    account: pwd.struct_passwd,
    *,
    language: str | None = None,
    without: Collection[str] = (),
    timeout: float = DEFAULT_TIMEOUT,
) -> dict[str, str]:
    """The environment of a user's login shell, functions included where the shell is bash.

    Args:
        account: the user, from the password database.
        language: LANG to start with, where the system has one.
        without: patterns of names to leave out, e.g. `AWS_*`.
        timeout: seconds that the shell may take.

    Raises:
        LoginEnvironmentUnknown: the shell cannot be started, hangs or fails; the message says
            what to do.
    """
    shell = account.pw_shell or "/bin/sh"
    with tempfile.TemporaryDirectory(prefix="jobferry-login-") as directory:
        answer = Path(directory, "environment")
        message = _ask(account, shell, answer, language, timeout)
        try:
            content = answer.read_bytes()
        except FileNotFoundError:
            raise LoginEnvironmentUnknown(
                f"login shell {shell} of {account.pw_name} did not tell its environment: {message}."
                f" Try `env -i HOME={account.pw_dir} {shell} -l </dev/null` and mend the profile"
            ) from None
    return cleaned(parse_environment(content), without)


def parse_environment(content: bytes) -> dict[str, str]:
    """The variables in the output of `env -0`."""
    pairs = (os.fsdecode(entry).partition("=") for entry in content.split(b"\0"))
    return {name: value for name, separator, value in pairs if name and separator}


def cleaned(variables: Mapping[str, str], without: Collection[str]) -> dict[str, str]:
    """The variables that a job may have.

    Args:
        variables: what the shell has.
        without: patterns of names to leave out.
    """
    return {
        name: value
        for name, value in variables.items()
        if name not in _OF_THE_SHELL_ITSELF
        and not any(fnmatch.fnmatchcase(name, pattern) for pattern in without)
    }


def commands_for(shell: str, answer: Path) -> str:
    """What the shell is told on stdin: export its functions, write the environment, leave."""
    partial = shlex.quote(f"{answer}.partial")
    tell = f"/usr/bin/env -0 > {partial} && /bin/mv {partial} {shlex.quote(str(answer))}\nexit\n"
    is_csh = Path(shell).name in ("csh", "tcsh")
    return _PADDING + ("" if is_csh else _EXPORT_FUNCTIONS) + tell


def _ask(
    account: pwd.struct_passwd, shell: str, answer: Path, language: str | None, timeout: float
) -> str:
    """Let the shell write its environment to `answer`; returns what it said, for people."""
    environment = {
        "HOME": account.pw_dir,
        "LOGNAME": account.pw_name,
        "USER": account.pw_name,
        "SHELL": shell,
        "PATH": LOGIN_PATH,
        **({"LANG": language} if language else {}),
    }
    home = Path(account.pw_dir)
    with tempfile.TemporaryFile() as commands:
        commands.write(commands_for(shell, answer).encode())
        commands.seek(0)
        try:
            done = run_command(
                [f"-{Path(shell).name}"],
                executable=shell,
                environment=environment,
                timeout=timeout,
                directory=home if home.is_dir() else None,
                own_locale=True,
                stdin=commands.fileno(),
            )
        except SchedulerUnavailable as error:
            return str(error)
    return f"it did not end within {timeout:.0f} s" if done.timed_out else done.says
