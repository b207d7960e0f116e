"""How busy a machine is meanwhile: the emulator, what runs in AWS otherwise, and everything."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Busy:
    """CPUs in use, on average.

    Attributes:
        emulator: by the emulator's one process, which can use one.
        cloud: by the emulator and its functions: what runs elsewhere when it is AWS.
        machine: by all processes.
    """

    emulator: float
    cloud: float
    machine: float


@contextmanager
def watched(emulator_pid: int) -> Iterator[Callable[[], Busy]]:
    """Watch a machine meanwhile; what it gives tells, afterwards, how busy it was.

    Args:
        emulator_pid: the emulator's process id.
    """
    before, begun = _seconds(emulator_pid), time.monotonic()
    used: list[Busy] = []
    yield lambda: used[0]
    took = time.monotonic() - begun
    after = _seconds(emulator_pid)
    used.append(Busy(*((late - early) / took for early, late in zip(before, after, strict=True))))


def _seconds(emulator_pid: int) -> tuple[float, float, float]:
    """CPU seconds so far: of the emulator, of it and its functions, of the machine."""
    used = dict(_of_processes())
    own, of_ended, _ = used[emulator_pid]
    functions = sum(own + ended for own, ended, parent in used.values() if parent == emulator_pid)
    return own, own + of_ended + functions, _of_machine()


def _of_processes() -> Iterator[tuple[int, tuple[float, float, int]]]:
    """Of each process its CPU seconds, those of its ended children, and its parent (proc(5))."""
    for process in Path("/proc").glob("[0-9]*"):
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # it has just ended
        user, system, children_user, children_system = map(int, fields[11:15])
        ended = (children_user + children_system) / _TICKS
        yield int(process.name), ((user + system) / _TICKS, ended, int(fields[1]))


def _of_machine() -> float:
    """CPU seconds that all processes of the machine have used (proc(5): idle is the fourth)."""
    first, *_ = Path("/proc/stat").read_text().splitlines()
    ticks = [int(field) for field in first.split()[1:9]]
    return (sum(ticks) - ticks[3] - ticks[4]) / _TICKS
