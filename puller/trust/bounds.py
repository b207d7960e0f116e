"""What a policy bounds of one job: resources, time, queues, accounts, its directives."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

from job_protocol.job_settings import JobSettings
from puller.errors import Refused


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """The largest that one job may ask for. None means that the policy says nothing of it.

    Attributes:
        nodes, cpus, gpus: numbers.
        memory_mb: MiB per node.
        time_limit: seconds; a job that states none gets this one.
        count: elements of an array.
        queues: the queues that may be used; a job that states none gets the first.
        accounts: the accounts that may be charged; a job that states none gets the first.
        any_directives: whether a script's own directives may ask for what cannot be seen here.
        nodes_rule: what bounds the nodes, for messages.
    """

    nodes: int | None = None
    cpus: int | None = None
    memory_mb: int | None = None
    gpus: int | None = None
    time_limit: int | None = None
    count: int | None = None
    queues: tuple[str, ...] | None = None
    accounts: tuple[str, ...] | None = None
    any_directives: bool = False
    nodes_rule: str = "[limits] nodes"


_UNITS = {"memory": " MiB", "time_limit": " s"}
_ASK = "ask the site's administrator"


def with_nodes(bounds: Bounds, nodes: int | None) -> Bounds:
    """The bounds of a job whose session key allows so many nodes at most; None adds no bound."""
    if nodes is None or (bounds.nodes is not None and bounds.nodes <= nodes):
        return bounds
    return replace(bounds, nodes=nodes, nodes_rule="--max-nodes of its session key")


def bounded(settings: JobSettings, bounds: Bounds) -> JobSettings:
    """The settings with which a job is submitted.

    Raises:
        Refused: they ask for more than the bounds.
    """
    resources = settings.resources
    asked = {
        "nodes": (resources.nodes, bounds.nodes),
        "cpus": (resources.cpus, bounds.cpus),
        "memory": (resources.memory_mb, bounds.memory_mb),
        "gpus": (resources.gpus, bounds.gpus),
        "time_limit": (settings.time_limit, bounds.time_limit),
        "count": (getattr(settings, "count", None), bounds.count),
    }
    for name, (wanted, most) in asked.items():
        if wanted is not None and most is not None and wanted > most:
            unit = _UNITS.get(name, "")
            rule = bounds.nodes_rule if name == "nodes" else f"[limits] {name}"
            raise Refused(
                f"{name} is {wanted}{unit}, and at most {most}{unit} is allowed ({rule}); "
                f"ask for less, or {_ASK}"
            )
    return replace(
        settings,
        queue=_chosen("queue", settings.queue, bounds.queues),
        account=_chosen("account", settings.account, bounds.accounts),
        time_limit=settings.time_limit or bounds.time_limit,
    )


def _chosen(name: str, stated: str | None, allowed: tuple[str, ...] | None) -> str | None:
    if allowed is None:
        return stated
    if stated is None:
        return allowed[0]
    if stated not in allowed:
        raise Refused(
            f"{name} {stated!r} is not among {', '.join(allowed)} ({name}s); name one of these"
        )
    return stated


SCRIPT_DRIVER = "script"
"""Nomad's word here for a scheduler script as it stands: a job that names no driver is one."""


def check_drivers(settings: JobSettings, allowed: tuple[str, ...] | None) -> None:
    """Refuse a job whose tasks have other drivers than the policy allows.

    Raises:
        Refused: there is such a task.
    """
    for driver in settings.drivers or (SCRIPT_DRIVER,):
        if allowed is not None and driver not in allowed:
            raise Refused(
                f"the driver {driver!r} is not among {', '.join(allowed)} (drivers); name one of "
                f"these, or {_ASK}"
            )


_HARMLESS: Mapping[str, frozenset[str]] = {
    "slurm": frozenset(
        [
            "-o",
            "--output",
            "-e",
            "--error",
            "-J",
            "--job-name",
            "-D",
            "--chdir",
            "--comment",
            "--mail-type",
            "--mail-user",
            "--open-mode",
            "--signal",
        ]
    ),
    "pbs": frozenset(["-o", "-e", "-N", "-j", "-m", "-M"]),
    "sge": frozenset(["-o", "-e", "-N", "-j", "-m", "-M", "-cwd", "-wd", "-S"]),
    "lsf": frozenset(["-o", "-oo", "-e", "-eo", "-u"]),
    "tcs": frozenset(["-o", "-e", "-N", "--name", "-m", "--mail-list"]),
}
"""By scheduler: options of directives that ask for nothing which is bounded. Each of the short ones
takes a value or is a word of its own, so that no other option can hide behind it."""

_WHOLE_WORDS = frozenset({"sge", "lsf"})
"""The schedulers whose short options have several letters and whose values stand apart."""


def check_directives(directives: Iterable[str], scheduler: str, bounds: Bounds) -> None:
    """Refuse directives that may ask for more than the bounds, where there are bounds.

    Args:
        directives: of the script, each without its prefix.
        scheduler: whose they are.
        bounds: the policy's.

    Raises:
        Refused: there is one that cannot be bounded here.
    """
    if bounds.any_directives or bounds == Bounds():
        return
    harmless = _HARMLESS.get(scheduler, frozenset())
    for directive in directives:
        for word in _words(directive, scheduler):
            if word.startswith("-") and _option(word, scheduler) not in harmless:
                raise Refused(
                    f"the script's directive {directive!r} could ask for more than the policy "
                    "allows (directives); state resources, time, queue and account in aws-job.json"
                )


def _words(directive: str, scheduler: str) -> list[str]:
    try:
        return shlex.split(directive, comments=scheduler == "slurm")
    except ValueError:
        return directive.split()


def _option(word: str, scheduler: str) -> str:
    if word.startswith("--"):
        return word.partition("=")[0]
    return word if scheduler in _WHOLE_WORDS else word[:2]


def handed_on(environment: Mapping[str, str], names: tuple[str, ...] | None) -> Mapping[str, str]:
    """What a job gets of its user's login environment.

    Args:
        environment: all of it.
        names: names, or patterns such as `LC_*`; None means all.
    """
    if names is None:
        return environment
    return {
        name: value
        for name, value in environment.items()
        if any(fnmatchcase(name, pattern) for pattern in names)
    }


def host_problem(host: str, hosts: tuple[str, ...] | None) -> str | None:
    """Why nothing may be fetched from a host, a clause; None if it may.

    Args:
        host: the host.
        hosts: the policy's hosts, or patterns such as `*.example.org`; None means all.
    """
    if hosts is None or any(fnmatchcase(host.lower(), one.lower()) for one in hosts):
        return None
    return (
        f"artifacts may not come from {host} (artifact_hosts); "
        f"upload the file with the job, or {_ASK}"
    )


def artifact_problem(
    host: str, checksum: str | None, *, hosts: tuple[str, ...] | None, signed: bool
) -> str | None:
    """Why a job may not fetch an artifact, a clause; None if it may.

    Args:
        host: the host of its source.
        checksum: its checksum, if the job states one.
        hosts: the policy's hosts, or patterns such as `*.example.org`; None means all.
        signed: whether everything has to be signed, and so the artifact's content too.
    """
    if (problem := host_problem(host, hosts)) is not None:
        return problem
    if signed and checksum is None:
        return (
            f"an artifact from {host} has no checksum, so what it brings is not signed "
            "(signatures); state its checksum"
        )
    return None
