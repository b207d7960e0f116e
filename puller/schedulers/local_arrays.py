"""An array of the local scheduler: a driver that starts its elements, a few at once.

The driver is a small bash of its own session, as a job's supervisor is; each element then has a
supervisor of its own, with its time limit and its record, and outlives a driver that is killed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from puller.schedulers.array_tasks import ArrayTasks
from puller.schedulers.local_processes import LocalProcess

DRIVER_NAME = "jobferry-local-array"

END_NAME = "local-end"
"""The record of an end: a supervisor's of its job, a driver's of its array."""

BEGUN_NAME = "local-begun"
"""The numbers of the tasks that a driver has started, a line each."""

DRIVER = r"""
_jf_wrapper=$1 _jf_control=$2 _jf_output=$3 _jf_limit=$4 _jf_grace=$5 _jf_descriptors=$6
_jf_supervisor=$7 _jf_name=$8 _jf_most=$9 _jf_tasks=${10#tasks=}
shift 10
_jf_why=exited _jf_live=()
_jf_cancel() {
  _jf_why=cancelled
  [ "${#_jf_live[@]}" -eq 0 ] || kill -TERM "${_jf_live[@]}" 2>/dev/null
}
trap _jf_cancel TERM
trap : INT HUP QUIT

IFS= read -r _jf_stat </proc/$$/stat
_jf_stat=(${_jf_stat##*) })
IFS= read -r _jf_boot </proc/sys/kernel/random/boot_id
_jf_id=$$.${_jf_stat[19]}.${_jf_boot:0:8}

exec 3>&1 </dev/null >>"$_jf_output" 2>&1 || exit 71
: >"$_jf_control/local-begun.$_jf_id" || exit 71
printf '%s\n' "$_jf_id" >&3
exec 3>&-
for _jf_fd in $_jf_descriptors; do exec {_jf_fd}>&-; done

_jf_look() { _jf_live=($(jobs -rp)); }
_jf_run() {  # task
  printf '%s\n' "$1" >>"$_jf_control/local-begun.$_jf_id"
  command -p mkdir -p -- "$_jf_control/elements/$1" || return
  setsid /bin/bash -c "$_jf_supervisor" "$_jf_name" "$_jf_wrapper" \
    "$_jf_control/elements/$1/local-end.$_jf_id" "$_jf_output" "$_jf_limit" "$_jf_grace" '' \
    "${_jf_own[@]}" JOBFERRY_LOCAL_ARRAY="$_jf_id" JOBFERRY_LOCAL_TASK="$1" >/dev/null &
}
_jf_own=("$@")
for _jf_range in ${_jf_tasks//,/ }; do
  for ((_jf_task = ${_jf_range%-*}; _jf_task <= ${_jf_range#*-}; _jf_task++)); do
    while _jf_look; [ "${#_jf_live[@]}" -ge "$_jf_most" ]; do wait -n; done
    [ "$_jf_why" = exited ] || break 2
    _jf_run "$_jf_task"
  done
done
while _jf_look; [ "${#_jf_live[@]}" -gt 0 ]; do
  [ "$_jf_why" = exited ] || _jf_cancel
  wait -n
done
printf '%s\n' "id=$_jf_id" "why=$_jf_why" code=0 end >"$_jf_control/local-end.$_jf_id.tmp" &&
  command -p mv -f -- "$_jf_control/local-end.$_jf_id.tmp" "$_jf_control/local-end.$_jf_id"
"""
"""Its words: wrapper, control directory, the scheduler's output, time limit, grace, descriptors to
close, the supervisor and its name, how many at once, the tasks, the job's own variables."""


def at_once(array: ArrayTasks) -> int:
    """How many elements run at once: as stated, else as many as there are CPUs."""
    return array.max_running or os.cpu_count() or 1


def waiting_tasks(driver: LocalProcess) -> tuple[int, ...]:
    """The tasks that a driver has not started yet.

    Raises:
        OSError: its list of those that it has cannot be read.
    """
    control = Path(driver.wrapper).parent
    text = (control / f"{BEGUN_NAME}.{driver.job_id}").read_text("ascii", "replace")
    begun = set(text.split())
    return tuple(task for task in driver.tasks if str(task) not in begun)


def end_records(
    control_root: Path, array_id: str, tasks: Sequence[int]
) -> Iterator[tuple[int | None, str]]:
    """The records of ended elements, and under None the driver's own.

    Args:
        control_root: where the allocations' control directories are.
        array_id: the array.
        tasks: the wanted tasks.

    Raises:
        OSError: the control directories cannot be listed.
    """
    for control in _control_dirs(control_root):
        if not (control / f"{BEGUN_NAME}.{array_id}").exists():
            continue
        name = f"{END_NAME}.{array_id}"
        places: dict[int | None, Path] = {None: control / name}
        places |= {task: control / "elements" / str(task) / name for task in tasks}
        for task, place in places.items():
            with contextlib.suppress(OSError):
                yield task, place.read_text("utf-8", "replace")


def _control_dirs(control_root: Path) -> list[Path]:
    try:
        return [Path(entry.path) for entry in os.scandir(control_root)]
    except FileNotFoundError:
        return []
