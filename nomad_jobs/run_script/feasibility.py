"""Whether a job can run on a site at all: everything that cannot is refused by name, at once."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from job_protocol.object_keys import MAX_SEGMENT_BYTES, RESERVED_PREFIX, Problem
from job_protocol.script_size import MAX_SCRIPT_BYTES
from nomad_jobs.run_script.artifacts import note_artifact_problems
from nomad_jobs.run_script.json_reader import Reader
from nomad_jobs.run_script.script_text import script_text
from nomad_jobs.run_script.specification import (
    MAIN,
    POSTSTART,
    POSTSTOP,
    PRESTART,
    Group,
    JobSpecification,
    Task,
    Template,
    read_job,
)

MAX_ELEMENTS = 2**24
"""The elements' allocation ids have no more room; see `job_protocol.identifiers`."""

_NETWORK = "jobs reach the network as the site's account does; remove it"
_REFUSED = {
    "Networks": ("network", _NETWORK),
    "Services": ("service", "nothing registers services here; remove it"),
    "Volumes": ("volume", "use the site's file systems by their paths, or artifacts"),
    "VolumeMounts": ("volume_mount", "use the site's file systems by their paths, or artifacts"),
    "Vault": ("vault", "there is no Vault here; keep secrets in the site account's own files"),
    "User": ("user", "tasks run as the site's account; remove it"),
    "CSIPluginConfig": ("csi_plugin", "remove it"),
    "ScalingPolicies": ("scaling", "remove it"),
    "Scaling": ("scaling", "remove it"),
    "Schedule": ("schedule", "use a periodic job"),
    "Kind": ("kind", "there is no Consul Connect here; remove it"),
}
_ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_NODE_META = re.compile(r"\$\{(?:node\.)?meta\.[^}]*\}")
_SIGNALS = {name.name for name in signal.Signals} - {"SIGKILL", "SIGSTOP"}
_QUEUE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.,:/@+=-]{0,127}")
_PERMS = re.compile(r"0?[0-7]{3}")


def job_problems(job: Mapping[str, Any]) -> list[Problem]:
    """Every reason why a job cannot be rendered; an empty list if it can.

    Args:
        job: the `Job` object of Nomad's API.
    """
    specification, problems = read_job(job)
    if problems:
        return problems
    _note_job(specification)
    if not problems:
        note_artifact_problems(specification)
        size = len(script_text(specification).encode())
        if size > MAX_SCRIPT_BYTES:
            specification.raw.refuse(
                f"its script would have {size} bytes; a scheduler takes at most {MAX_SCRIPT_BYTES}",
                "bring long texts as artifacts",
            )
    return list(dict.fromkeys(problems))


def _note_job(job: JobSpecification) -> None:
    if job.type not in ("batch", "sysbatch"):
        job.raw.refuse(f"the type {job.type!r} cannot run here", 'state type = "batch"')
    elif job.type == "sysbatch":
        job.raw.refuse("sysbatch needs a scheduler of nodes", 'state type = "batch" and a count')
    if not 1 <= (job.priority or 1) <= 100:
        job.raw.refuse(f"the priority {job.priority}", "state one from 1 to 100")
    if job.node_pool is not None and not _QUEUE.fullmatch(job.node_pool):
        job.raw.refuse(f"the node pool {job.node_pool!r}", "name a queue or partition of the site")
    if not 1 <= job.elements <= MAX_ELEMENTS:
        job.raw.refuse(f"{job.elements} elements", f"let the counts add up to 1 to {MAX_ELEMENTS}")
    _refuse_blocks(job.raw)
    _note_names(job.raw, "group", (group.name for group in job.groups))
    _note_meta(job.raw, job.meta)
    for group in job.groups:
        _note_group(group)


def _note_group(group: Group) -> None:
    _refuse_blocks(group.raw)
    _note_names(group.raw, "task", (task.name for task in group.tasks))
    _note_meta(group.raw, group.meta)
    if not any(task.hook == MAIN for task in group.tasks):
        group.raw.refuse("no task without a lifecycle hook", "state what the group is for")
    if sum(task.leader for task in group.tasks) > 1:
        group.raw.refuse("more than one leader", "keep one")
    for task in group.tasks:
        _note_task(task)


def _note_task(task: Task) -> None:
    raw = task.raw
    _refuse_blocks(raw)
    _refuse_blocks(raw.inner("Resources"))
    _note_meta(raw, task.meta)
    _note_lifecycle(task)
    if task.kill_signal not in _SIGNALS:
        raw.refuse(f"the kill signal {task.kill_signal!r}", 'use one such as "SIGTERM"')
    if task.restart.mode not in ("fail", "delay"):
        raw.refuse(f"the restart mode {task.restart.mode!r}", "use fail or delay")
    for name in task.env:
        if not _ENV_NAME.fullmatch(name):
            raw.refuse(f"the name of the variable {name!r}", "use letters, digits, '_', '.', '-'")
    for template in task.templates:
        _note_template(raw, template)
    if reference := next(filter(None, map(_NODE_META.search, _texts(task))), None):
        raw.refuse(
            f"{reference[0]} is the metadata of a Nomad client, which a site does not have",
            "for the job's own write ${NOMAD_META_KEY}",
        )


def _note_lifecycle(task: Task) -> None:
    if task.hook not in (MAIN, PRESTART, POSTSTART, POSTSTOP):
        task.raw.refuse(f"the lifecycle hook {task.hook!r}", "use prestart, poststart or poststop")
    if task.sidecar and task.hook not in (PRESTART, POSTSTART):
        task.raw.refuse(
            "only prestart and poststart tasks can be sidecars", "remove sidecar = true"
        )
    if task.leader and task.hook != MAIN:
        task.raw.refuse("a leader cannot have a lifecycle hook", "remove one of them")


def _note_template(raw: Reader, template: Template) -> None:
    if bool(template.data) == bool(template.source):
        raw.refuse("a template needs either data or source", "state one of them")
    if not template.destination:
        raw.refuse("a template has no destination", "state a file in the task's directory")
    if template.perms and not _PERMS.fullmatch(template.perms):
        raw.refuse(f"the template's perms {template.perms!r}", 'state such as "644"')
    if template.left == template.right:
        raw.refuse("a template's delimiters are the same", "state two different ones")


def _texts(task: Task) -> Iterator[str]:
    yield from task.env.values()
    yield from (template.destination for template in task.templates)
    for name in ("command", "image", "jar_path", "class_path", "work_dir"):
        if name in task.config.names():
            yield task.config.text(name)
    yield from task.config.texts("args") if task.config.stated("args") else ()


def _refuse_blocks(raw: Reader) -> None:
    for name, (block, remedy) in _REFUSED.items():
        if raw.stated(name):
            raw.refuse(f"the block {block!r} cannot work on a site", remedy)


def _note_names(raw: Reader, kind: str, names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        wrong = name in ("", ".", "..", "alloc", ".nomad") or name.startswith(RESERVED_PREFIX)
        # An element's folder has its index behind the group's name.
        long = len(name.encode()) > MAX_SEGMENT_BYTES - 20
        if wrong or long or re.search(r"[/\\\x00-\x1f\x7f]", name):
            raw.refuse(f"a {kind} cannot be named {name!r}", "choose a plain name")
        if name in seen:
            raw.refuse(f"two {kind}s are named {name!r}", "name them differently")
        seen.add(name)
    if not seen:
        raw.refuse(f"there is no {kind}", f"state at least one {kind}")


def _note_meta(raw: Reader, meta: Mapping[str, str]) -> None:
    for key in meta:
        if not key or "=" in key:
            raw.refuse(f"the meta key {key!r} cannot be part of a variable's name", "rename it")
