"""`scheduler = "auto"`: finds out which batch scheduler is installed."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from puller.errors import SchedulerUnavailable, SettingsError
from puller.schedulers.choose import AUTO
from puller.schedulers.runner import Run, run_command

"""The setting that asks for it."""

_COMMANDS = {"sbatch": "slurm", "bsub": "lsf", "pjsub": "tcs"}
"""By command: the scheduler that it belongs to, whatever else is installed."""

_QSUB = "qsub"
_ASK_QSTAT = (("qstat", "--version"), ("qstat", "-help"))
_ASK_TIMEOUT = 10.0
"""Seconds; without its master Grid Engine's `qstat` may wait."""

_NQSV = "NEC NQSV"
_SIGNS = {
    "sge": re.compile(r"\b(SGE|[UA]GE|GE|OGS/GE) \d|Grid ?Engine|\bqmaster\b|\bSGE_"),
    "pbs": re.compile(r"\bpbs_version\b|\bPBS ?Pro|\bOpenPBS\b", re.IGNORECASE),
    _NQSV: re.compile(r"\bNQS(V|II)\b"),
}
"""What `qstat` says of itself."""

_SGE_COMMAND = "qconf"
_PBS_CONFIGURATION = Path("/etc/pbs.conf")

_UNSUPPORTED = frozenset({_NQSV})


@dataclass(frozen=True, slots=True)
class Finding:
    """One scheduler's command.

    Attributes:
        scheduler: the scheduler's name; None if the command does not tell whose it is.
        command: where it is.
    """

    scheduler: str | None
    command: str

    def __str__(self) -> str:
        return f"{self.scheduler or 'unknown'} ({self.command})"


def detect_scheduler(
    environment: Mapping[str, str],
    *,
    run: Run = run_command,
    pbs_configuration: Path = _PBS_CONFIGURATION,
) -> str:
    """The name of the only scheduler whose command is on the PATH of the environment.

    Args:
        environment: for the scheduler's commands: PATH and the site's own variables.
        run: runs a command.
        pbs_configuration: where PBS is configured, unless PBS_CONF_FILE says otherwise.

    Raises:
        SettingsError: none is found, several are, or one that this puller does not speak.
    """
    path = environment.get("PATH", os.defpath)
    found = [
        Finding(name, where)
        for command, name in _COMMANDS.items()
        if (where := shutil.which(command, path=path)) is not None
    ]
    qsub = shutil.which(_QSUB, path=path)
    if qsub is not None:
        hints = {
            "sge": "SGE_ROOT" in environment or shutil.which(_SGE_COMMAND, path=path) is not None,
            "pbs": Path(environment.get("PBS_CONF_FILE", pbs_configuration)).exists(),
        }
        found.append(Finding(whose_qsub(_qstat_says(environment, path, run), hints), qsub))
    return only_one(found, path)


def whose_qsub(says: str, hints: Mapping[str, bool]) -> str | None:
    """Whose `qsub` it is, or None if that is not clear.

    Args:
        says: what `qstat` says of itself, which counts more.
        hints: by scheduler, whether something else of it is installed.
    """
    named = [name for name, sign in _SIGNS.items() if sign.search(says)]
    hinted = [name for name, present in hints.items() if present]
    clear = named or hinted
    return clear[0] if len(clear) == 1 else None


def only_one(found: Sequence[Finding], path: str) -> str:
    """The name of the one scheduler that was found.

    Raises:
        SettingsError: there is not exactly one that can be used.
    """
    if not found:
        wanted = ", ".join((*_COMMANDS, _QSUB))
        raise SettingsError(
            f'scheduler = "{AUTO}" finds no scheduler: none of {wanted} is in PATH={path}; set '
            "`path` in the puller's settings to where the scheduler's commands are, or name the "
            'scheduler ("local", which runs jobs on this machine itself, is never chosen for you)'
        )
    if len(found) > 1:
        raise SettingsError(
            f'scheduler = "{AUTO}" finds several: {", ".join(str(one) for one in found)}; name the '
            "one to use in the puller's settings"
        )
    one = found[0]
    if one.scheduler in _UNSUPPORTED:
        raise SettingsError(
            f'scheduler = "{AUTO}" finds {one}, which this puller does not speak: its qsub takes '
            "other words than those of Grid Engine and PBS"
        )
    if one.scheduler is None:
        raise SettingsError(
            f'scheduler = "{AUTO}" finds {one.command}, and neither `qstat` nor the installation '
            'tells whether it is Grid Engine\'s or PBS\': set scheduler = "sge" or "pbs"'
        )
    return one.scheduler


def _qstat_says(environment: Mapping[str, str], path: str, run: Run) -> str:
    says: list[str] = []
    for arguments in _ASK_QSTAT:
        try:
            done = run(arguments, environment=environment, search_path=path, timeout=_ASK_TIMEOUT)
        except SchedulerUnavailable:
            continue
        says += [done.stdout, done.stderr]
    return "\n".join(says)
