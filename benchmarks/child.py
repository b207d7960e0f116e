"""Runs a command and says what it took: wall time, CPU time and memory."""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

_LOOK_EVERY = 0.005
_HIGH_WATER = re.compile(r"VmHWM:\s+(\d+) kB")


@dataclass(frozen=True, slots=True)
class Took:
    """What a process and its children took.

    Attributes:
        wall, cpu: seconds.
        memory: the largest resident set of the process itself, in MiB.
    """

    wall: float
    cpu: float
    memory: float


def run_command(
    command: Sequence[str], *, environment: Mapping[str, str], directory: Path, log: Path
) -> Took:
    """Run a command to its end.

    Args:
        command: the command.
        environment: its whole environment.
        directory: where it runs.
        log: takes what it says.

    Raises:
        AssertionError: it ended with another code than 0; the message says what it said.
    """
    begun = time.monotonic()
    with log.open("ab") as said:
        process = subprocess.Popen(
            command,
            env=dict(environment),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
        memory = 0.0
        while True:
            pid, status, usage = os.wait4(process.pid, os.WNOHANG)
            if pid:
                break
            memory = max(memory, _memory(process.pid))
            time.sleep(_LOOK_EVERY)
    wall = time.monotonic() - begun
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        tail = log.read_text(errors="replace")[-3000:]
        raise AssertionError(f"{' '.join(command)}: exit code {process.returncode}\n{tail}")
    return Took(wall, usage.ru_utime + usage.ru_stime, memory)


def _memory(pid: int) -> float:
    """The high-water mark so far; rusage has that of the process that forked it."""
    try:
        found = _HIGH_WATER.search(Path(f"/proc/{pid}/status").read_text())
    except OSError:
        return 0.0
    return int(found[1]) / 1024 if found else 0.0
