"""What the wrapper of an array does before everything else: it finds out which element it is.

Each element has a folder of its own in the control directory, with the records that a single job
has there. `once` is the array's: the first task to start decides which submission runs, for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from puller.schedulers.array_tasks import ArrayTasks

ELEMENTS_DIR = "elements"

INDEX_VARIABLE = "JOBFERRY_ARRAY_INDEX"
COUNT_VARIABLE = "JOBFERRY_ARRAY_COUNT"


@dataclass(frozen=True, slots=True)
class _Facts:
    """What a task of an array finds in its environment.

    Attributes:
        array: the id of the submission, as a word of bash.
        task: the variable with the task's number.
    """

    array: str
    task: str


_FACTS = {
    "slurm": _Facts('"${SLURM_ARRAY_JOB_ID:-}"', "SLURM_ARRAY_TASK_ID"),
    "local": _Facts('"${JOBFERRY_LOCAL_ARRAY:-}"', "JOBFERRY_LOCAL_TASK"),
    "sge": _Facts('"${JOB_ID:-}"', "SGE_TASK_ID"),
    "pbs": _Facts('"${PBS_JOBID/\\[*\\]/[]}"', "PBS_ARRAY_INDEX"),
    "lsf": _Facts('"${LSB_JOBID%%\\[*}"', "LSB_JOBINDEX"),
    "tcs": _Facts('"${PJM_JOBID%%\\[*}"', "PJM_BULKNUM"),
}

SETTLE = """
for _jf_try in 1 2 3 4 5; do
  [ -z "$_jf_owner" ] || break
  command -p sleep 1  # another task is just writing it, on a file system without links
  IFS= read -r _jf_owner <"$_jf_once"
done"""
"""Reads `once` again: the tasks of an array start at the same moment."""


def element_dir(control: Path, index: int) -> Path:
    """Where the records of an element lie."""
    return control / ELEMENTS_DIR / str(index)


def array_id(scheduler: str) -> str:
    """The submission's id, as a word of bash."""
    return _FACTS[scheduler].array


def prelude(scheduler: str, array: ArrayTasks) -> str:
    """Lines of bash that set `_jf_index`, the script's variables and the element's `_jf_dir`.

    Where tasks were numbered anew, the scheduler's own variable says again what it said in the
    first submission, so that a script which reads it computes the same element.
    """
    variable, first = _FACTS[scheduler].task, array.numbers.first
    exported = f"{INDEX_VARIABLE}=$_jf_index {COUNT_VARIABLE}={array.count}"
    if array.renumbered:
        index = f"_jf_elements=({' '.join(map(str, array.indexes))})\n"
        index += f"_jf_index=${{_jf_elements[_jf_task - {first}]:-}}"
        exported += f" {variable}=$((_jf_index + {first}))"
    else:
        index = f"_jf_index=$((_jf_task - {first}))"
    return f"""
_jf_task=${{{variable}:-}}
case $_jf_task in '' | *[!0-9]*)
  printf 'jobferry: %s\\n' 'no task number in {variable}: not started as an array' >&2
  exit 71 ;;
esac
{index}
export {exported}
_jf_dir=$_jf_dir/{ELEMENTS_DIR}/$_jf_index
command -p mkdir -p -- "$_jf_dir" || exit 71"""
