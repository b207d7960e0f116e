"""Hands the login shell's environment to a job whose scheduler cannot carry it.

`qsub -V` of Grid Engine and PBS breaks values with line breaks and exported functions such as
`module`, and shows every value to every user of the cluster (`qstat -j`, `qstat -f`). So the
environment waits in a file of the control directory that only its owner can read; the wrapper
takes it from there and lays it over what the scheduler gave.
"""

from __future__ import annotations

import fnmatch
import os
from collections.abc import Collection, Mapping
from pathlib import Path

from puller.durable_file import write_durably
from puller.errors import SchedulerUnavailable
from puller.wrapper import ENVIRONMENT_NAME

_OF_THE_HOST = ("HOSTNAME", "DISPLAY", "SSH_*", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")
"""What is true on the login host only."""


def leave_environment(
    wrapper: Path, environment: Mapping[str, str], *, without: Collection[str]
) -> None:
    """Write the environment beside the wrapper, for the wrapper.

    Args:
        wrapper: the file that is about to be submitted.
        environment: the environment of the user's login shell.
        without: patterns of the names that are the scheduler's, or that the script's own
            directives set.

    Raises:
        SchedulerUnavailable: it cannot be written, so nothing may be submitted now.
    """
    path = wrapper.parent / ENVIRONMENT_NAME
    try:
        write_durably(path, render_environment(environment, without=without), mode=0o600)
    except OSError as error:
        raise SchedulerUnavailable(
            f"cannot write the job's environment into {path}: {error.strerror or error}"
        ) from error


def render_environment(environment: Mapping[str, str], *, without: Collection[str]) -> bytes:
    """The file's content: `NAME=VALUE`, each ended by a NUL, as in `env -0`."""
    kept = {
        name: value
        for name, value in environment.items()
        if not any(fnmatch.fnmatchcase(name, pattern) for pattern in (*_OF_THE_HOST, *without))
    }
    return b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in kept.items())
