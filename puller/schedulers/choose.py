"""Makes the scheduler that the settings name. Only its own module is imported: passes are short."""

from __future__ import annotations

import os
import pwd
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from puller.errors import SettingsError
from puller.schedulers.interface import Scheduler
from puller.schedulers.runner import DEFAULT_TIMEOUT

AUTO = "auto"


@dataclass(frozen=True, slots=True)
class _Means:
    environment: Mapping[str, str]
    control_root: Path
    timeout: float


def _local(means: _Means) -> Scheduler:
    from puller.schedulers.local import Local

    return Local(means.control_root, timeout=means.timeout)


def _slurm(means: _Means) -> Scheduler:
    from puller.schedulers.slurm import Slurm

    return Slurm(means.environment, timeout=means.timeout)


def _sge(means: _Means) -> Scheduler:
    from puller.schedulers.sge import GridEngine

    return GridEngine(means.environment, user=_account(), timeout=means.timeout)


def _pbs(means: _Means) -> Scheduler:
    from puller.schedulers.pbs import Pbs

    return Pbs(means.environment, user=_account(), timeout=means.timeout)


def _lsf(means: _Means) -> Scheduler:
    from puller.schedulers.lsf import Lsf

    return Lsf(means.environment, timeout=means.timeout)


def _tcs(means: _Means) -> Scheduler:
    from puller.schedulers.tcs import Tcs

    return Tcs(means.environment, timeout=means.timeout)


_MAKERS: dict[str, Callable[[_Means], Scheduler]] = {
    "local": _local,
    "slurm": _slurm,
    "sge": _sge,
    "pbs": _pbs,
    "lsf": _lsf,
    "tcs": _tcs,
}
KNOWN = (AUTO, *_MAKERS)


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
        from puller.schedulers.detect import detect_scheduler

        name = detect_scheduler(environment)
    if name not in _MAKERS:
        raise SettingsError(f"scheduler = {name!r}: unknown; this puller knows {', '.join(KNOWN)}")
    return _MAKERS[name](_Means(environment, control_root, timeout))


def _account() -> str:
    """The name of the account that this process belongs to, as the schedulers list it."""
    return pwd.getpwuid(os.geteuid()).pw_name
