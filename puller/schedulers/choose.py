"""Makes the scheduler that the settings name."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping
from pathlib import Path

from puller.errors import SettingsError
from puller.schedulers.detect import AUTO, detect_scheduler
from puller.schedulers.interface import Scheduler
from puller.schedulers.local import Local
from puller.schedulers.lsf import Lsf
from puller.schedulers.pbs import Pbs
from puller.schedulers.runner import DEFAULT_TIMEOUT
from puller.schedulers.sge import GridEngine
from puller.schedulers.slurm import Slurm
from puller.schedulers.tcs import Tcs

KNOWN = (AUTO, Local.name, Slurm.name, GridEngine.name, Pbs.name, Lsf.name, Tcs.name)


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
        SettingsError: no scheduler has that name, or `auto` does not find exactly one.
    """
    if name == AUTO:
        name = detect_scheduler(environment)
    if name == Slurm.name:
        return Slurm(environment, timeout=timeout)
    if name == GridEngine.name:
        return GridEngine(environment, user=_account(), timeout=timeout)
    if name == Pbs.name:
        return Pbs(environment, user=_account(), timeout=timeout)
    if name == Lsf.name:
        return Lsf(environment, timeout=timeout)
    if name == Tcs.name:
        return Tcs(environment, timeout=timeout)
    if name == Local.name:
        return Local(control_root, timeout=timeout)
    raise SettingsError(f"scheduler = {name!r}: unknown; this puller knows {', '.join(KNOWN)}")


def _account() -> str:
    """The name of the account that this process belongs to, as the schedulers list it."""
    return pwd.getpwuid(os.geteuid()).pw_name
