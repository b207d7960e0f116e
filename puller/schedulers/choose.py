"""Makes the scheduler that the settings name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from puller.errors import SettingsError
from puller.schedulers.interface import Scheduler
from puller.schedulers.local import Local
from puller.schedulers.runner import DEFAULT_TIMEOUT
from puller.schedulers.slurm import Slurm

KNOWN = (Local.name, Slurm.name)


def choose_scheduler(
    name: str,
    *,
    environment: Mapping[str, str],
    control_root: Path,
    timeout: float = DEFAULT_TIMEOUT,
) -> Scheduler:
    """The scheduler called `name`.

    Args:
        name: the setting `scheduler`.
        environment: for the scheduler's commands: PATH and the site's own variables.
        control_root: where the allocations' control directories are.
        timeout: seconds that a command may take.

    Raises:
        SettingsError: no scheduler has that name.
    """
    if name == Slurm.name:
        return Slurm(environment, timeout=timeout)
    if name == Local.name:
        return Local(control_root, timeout=timeout)
    raise SettingsError(f"scheduler = {name!r}: unknown; this puller knows {', '.join(KNOWN)}")
