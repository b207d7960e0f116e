"""The values of a sweep on the site: left beside the wrapper as data, found by each element."""

from __future__ import annotations

from job_protocol.allocation import Allocation
from job_protocol.sweep import MAX_SWEEP_BYTES, ROWS_IN_A_FILE, Sweep, SweepError, read_sweep
from puller.confined_tree import ConfinedTree
from puller.errors import UnsafePath

_NAME = "sweep"


def sweep_in(job: ConfinedTree, path: str) -> Sweep:
    """The table of a job's sweep.

    Args:
        job: its job directory.
        path: of the table in it.

    Raises:
        SweepError: there is none; the message names it.
        OSError: it cannot be read now.
    """
    try:
        return read_sweep(job.read(path, MAX_SWEEP_BYTES + 1))
    except (SweepError, FileNotFoundError, UnsafePath) as error:
        raise SweepError(f"the sweep {path}: {error}") from error


def leave_values(allocation: Allocation, job: ConfinedTree, control: ConfinedTree) -> int | None:
    """Write the values of an allocation's sweep where its wrapper finds them.

    Args:
        allocation: the allocation.
        job: its job directory, with the staged table.
        control: its control directory.

    Returns:
        How many variables each element gets; None if the job is no sweep.

    Raises:
        SweepError: the table does not fit the job any more; the message says how.
        OSError: the values cannot be written now.
    """
    path = allocation.settings.sweep
    if path is None:
        return None
    sweep = sweep_in(job, path)
    if len(sweep.rows) != (allocation.settings.count or 1):
        raise SweepError(
            f"the sweep {path} has {len(sweep.rows)} rows of values, and the job "
            f"{allocation.settings.count or 1} elements"
        )
    for first in range(0, len(sweep.rows), ROWS_IN_A_FILE):
        name = f"{_NAME}.{first // ROWS_IN_A_FILE}"
        control.write(name, sweep.environment(first, ROWS_IN_A_FILE), mode=0o600)
    return len(sweep.names)


def reading(variables: int) -> str:
    """Lines of bash that add an element's values to `_jf_variables`; `@top@` is their place.

    They are read as data up to each NUL, and handed to `env`: bash never expands them, and this
    shell's own variables stay as they are.

    Args:
        variables: how many each element gets.
    """
    return rf"""
    _jf_row=${{_jf_index:-0}} _jf_taken=0
    _jf_before=$((_jf_row % {ROWS_IN_A_FILE} * {variables}))
    while [ "$_jf_taken" -lt {variables} ] && IFS= read -r -d '' _jf_pair; do
      if [ "$_jf_before" -gt 0 ]; then
        _jf_before=$((_jf_before - 1))
      else
        _jf_variables+=("$_jf_pair") _jf_taken=$((_jf_taken + 1))
      fi
    done <"@top@/{_NAME}.$((_jf_row / {ROWS_IN_A_FILE}))"
    [ "$_jf_taken" -eq {variables} ] || _jf_leave 126 "the sweep has no values for row $_jf_row"
    """
