"""Reads from /proc which processes of this user stand for local jobs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from job_protocol.elements import indexes_of

ID_VARIABLE = "JOBFERRY_LOCAL_ID="
ARRAY_VARIABLE = "JOBFERRY_LOCAL_ARRAY="
TASK_VARIABLE = "JOBFERRY_LOCAL_TASK="
TASKS_ARGUMENT = "tasks="
_GONE = frozenset("ZX")
"""States of processes that have ended; a container's pid 1 may never reap them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalProcess:
    """A live process that stands for a job.

    Attributes:
        job_id: the job's id, `PID.START-TICKS.BOOT`.
        wrapper: the path of the wrapper.
        pid, group: its process id and process group.
        supervises: whether it is the job's supervisor. If that was killed, the wrapper itself
            stands for the job.
        started: seconds since the epoch.
        array, task: the id of the array and the number in it, of an element.
        tasks: the numbers of all tasks, of an array's driver.
    """

    job_id: str
    wrapper: str
    pid: int
    group: int
    supervises: bool
    started: float
    array: str | None = None
    task: int | None = None
    tasks: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessStat:
    """The fields of /proc/PID/stat that are needed (proc(5))."""

    state: str
    group: int
    session: int
    start_ticks: int


def parse_stat(text: str) -> ProcessStat | None:
    """The fields of one `stat` file, whose second field, the command, may hold anything."""
    fields = text.rpartition(")")[2].split()
    try:
        return ProcessStat(
            state=fields[0],
            group=int(fields[2]),
            session=int(fields[3]),
            start_ticks=int(fields[19]),
        )
    except (IndexError, ValueError):
        return None


def own_processes(
    proc: Path, supervisor: str, driver: str, control_root: Path
) -> Iterator[LocalProcess]:
    """The live processes of this user that stand for jobs.

    Args:
        proc: the mounted /proc.
        supervisor: what supervisors are called, the argument before the wrapper's path.
        driver: what the drivers of arrays are called.
        control_root: where wrappers are.

    Raises:
        OSError: /proc itself cannot be read; a process that has just ended is passed over.
    """
    boot = (proc / "sys/kernel/random/boot_id").read_text()[:8]
    boot_time = _boot_time(proc)
    for entry in os.scandir(proc):
        if not entry.name.isdigit():
            continue
        try:
            if entry.stat().st_uid == os.getuid():
                process = Path(entry.path)
                found = _job_process(
                    process, (supervisor, driver), str(control_root), boot, boot_time
                )
                if found is not None:
                    yield found
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue


def _job_process(
    process: Path, names: tuple[str, str], control_root: str, boot: str, boot_time: int
) -> LocalProcess | None:
    arguments = [os.fsdecode(word) for word in (process / "cmdline").read_bytes().split(b"\0")]
    pid = int(process.name)
    supervised = next((w for name in names if (w := _supervised(arguments, name))), None)
    wrapper = supervised or _run_by_bash(arguments, control_root)
    if wrapper is None:
        return None
    stat = parse_stat((process / "stat").read_text("utf-8", "surrogateescape"))
    if stat is None or stat.state in _GONE:
        return None
    if supervised is not None:
        # A fork of the supervisor that has not become the job yet leads no session.
        job_id = f"{pid}.{stat.start_ticks}.{boot}" if stat.session == pid else None
    else:
        job_id = _told_id(process)
    if job_id is None:
        return None
    drives = supervised is not None and names[1] in arguments[:5]
    told = arguments if supervised is not None else _environment(process)
    array, task = (None, None) if drives else _element(told)
    return LocalProcess(
        job_id=job_id,
        wrapper=wrapper,
        pid=pid,
        group=stat.group,
        supervises=supervised is not None,
        started=boot_time + stat.start_ticks / os.sysconf("SC_CLK_TCK"),
        array=array,
        task=task,
        tasks=_tasks(arguments) if drives else (),
    )


def _supervised(arguments: list[str], supervisor: str) -> str | None:
    """The wrapper that a supervisor's command line names."""
    if supervisor not in arguments[:5]:
        return None
    return next(iter(arguments[arguments.index(supervisor) + 1 :]), None)


def _run_by_bash(arguments: list[str], control_root: str) -> str | None:
    """The wrapper that a bash runs."""
    if arguments[:2] != ["/bin/bash", "--"] or len(arguments) < 3:
        return None
    return arguments[2] if arguments[2].startswith(f"{control_root}/") else None


def _told_id(process: Path) -> str | None:
    """The id that a wrapper was given in its environment."""
    return _value(_environment(process), ID_VARIABLE)


def _environment(process: Path) -> list[str]:
    return [os.fsdecode(word) for word in (process / "environ").read_bytes().split(b"\0")]


def _value(words: list[str], name: str) -> str | None:
    return next((word[len(name) :] for word in words if word.startswith(name)), None)


def _element(words: list[str]) -> tuple[str | None, int | None]:
    """The array and the number in it, as the driver told them to an element."""
    array, task = _value(words, ARRAY_VARIABLE), _value(words, TASK_VARIABLE)
    if array is None or task is None or not (task.isascii() and task.isdigit()):
        return None, None
    return array, int(task)


def _tasks(arguments: list[str]) -> tuple[int, ...]:
    """The tasks in a driver's command line."""
    try:
        return indexes_of(_value(arguments, TASKS_ARGUMENT) or "")
    except ValueError:
        return ()


def _boot_time(proc: Path) -> int:
    """Seconds since the epoch at which the machine started."""
    for line in (proc / "stat").read_text().splitlines():
        if line.startswith("btime "):
            return int(line.split()[1])
    return 0
