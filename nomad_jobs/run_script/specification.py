"""A Nomad job as the renderer sees it, read from API JSON whose defaults may be missing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from job_protocol.object_keys import Problem
from nomad_jobs.run_script.json_reader import Reader
from nomad_jobs.swept_job import SWEPT

DEFAULT_CPU = 100
DEFAULT_MEMORY = 300
"""Nomad's `resources` (MHz, MiB): told to the task, never to a scheduler."""

DEFAULT_KILL_TIMEOUT = 5
DEFAULT_KILL_SIGNAL = "SIGINT"
CONTAINER_KILL_SIGNAL = "SIGTERM"
CONTAINER_DRIVERS = frozenset({"docker", "podman", "container"})


MAIN, PRESTART, POSTSTART, POSTSTOP = "main", "prestart", "poststart", "poststop"


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Restarts within the allocation; the defaults are Nomad's for batch jobs. Times in seconds."""

    attempts: int = 3
    interval: int = 24 * 3600
    delay: int = 15
    mode: str = "fail"


@dataclass(frozen=True, slots=True)
class ReschedulePolicy:
    """Further allocations; the default is Nomad's for batch jobs. The delay is in seconds."""

    attempts: int = 1
    delay: int = 5
    unlimited: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A file that is made of text before a task starts."""

    data: str
    source: str
    destination: str
    perms: str
    left: str
    right: str
    env: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupArtifact:
    """A task's artifact as stated; see `job_settings.Artifact`."""

    source: str
    destination: str
    mode: str
    options: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class StatedResources:
    """What a task states; None is unstated. Memory in MiB, cpu in MHz."""

    cpu: int | None
    cores: int | None
    memory: int | None
    memory_max: int | None
    gpus: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A task. `config` is its driver's, still unread; `payload_file` is under `local/`."""

    name: str
    driver: str
    config: Reader
    env: Mapping[str, str]
    meta: Mapping[str, str]
    hook: str
    sidecar: bool
    leader: bool
    kill_signal: str
    kill_timeout: int
    restart: RestartPolicy
    logs: bool
    payload_file: str
    templates: tuple[Template, ...]
    artifacts: tuple[GroupArtifact, ...]
    resources: StatedResources
    raw: Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A task group; `count` elements of it run. `max_run_duration` is in seconds."""

    name: str
    count: int
    tasks: tuple[Task, ...]
    meta: Mapping[str, str]
    max_run_duration: int | None
    reschedule: ReschedulePolicy
    raw: Reader


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpecification:
    """A job. `priority` and `node_pool` are None where they are not stated.

    `swept`: its elements are the rows of a dispatch's sweep.
    """

    id: str
    name: str
    type: str
    priority: int | None
    node_pool: str | None
    meta: Mapping[str, str]
    meta_optional: tuple[str, ...]
    groups: tuple[Group, ...]
    swept: bool
    raw: Reader

    @property
    def elements(self) -> int:
        """How many elements the job has: the counts of all groups together."""
        return sum(group.count for group in self.groups)


def read_job(job: Mapping[str, Any]) -> tuple[JobSpecification, list[Problem]]:
    """Read the `Job` object of Nomad's API; what is wrong in form is in the list."""
    problems: list[Problem] = []
    raw = Reader(job, "job", problems)
    raw.place = f"job {raw.text('ID')!r}"
    node_pool = raw.text("NodePool")
    parameterized = raw.inner("ParameterizedJob")
    specification = JobSpecification(
        id=raw.text("ID"),
        name=raw.text("Name") or raw.text("ID"),
        type=raw.text("Type") or "service",
        priority=raw.integer("Priority") or None,
        node_pool=node_pool if node_pool not in ("", "default", "all") else None,
        meta=raw.pairs("Meta"),
        meta_optional=parameterized.texts("MetaOptional"),
        groups=tuple(_group(group, raw) for group in raw.objects("TaskGroups")),
        swept=raw.flag(SWEPT),
        raw=raw,
    )
    return specification, problems


def _group(raw: Reader, job: Reader) -> Group:
    name = raw.text("Name")
    raw.place = f'group "{name}"'
    restart = raw.inner("RestartPolicy")
    return Group(
        name=name,
        count=_or(raw.integer("Count"), 1),
        tasks=tuple(_task(task, raw.place, restart) for task in raw.objects("Tasks")),
        meta=raw.pairs("Meta"),
        max_run_duration=raw.seconds("MaxRunDuration") or None,
        reschedule=_reschedule(raw.inner("ReschedulePolicy"), job.inner("Reschedule")),
        raw=raw,
    )


def _task(raw: Reader, group: str, restart: Reader) -> Task:
    name = raw.text("Name")
    raw.place = f'{group} task "{name}"'
    driver = raw.text("Driver")
    lifecycle = raw.inner("Lifecycle")
    signal = CONTAINER_KILL_SIGNAL if driver in CONTAINER_DRIVERS else DEFAULT_KILL_SIGNAL
    return Task(
        name=name,
        driver=driver,
        config=raw.inner("Config"),
        env=raw.pairs("Env"),
        meta=raw.pairs("Meta"),
        hook=lifecycle.text("Hook") or MAIN,
        sidecar=lifecycle.flag("Sidecar"),
        leader=raw.flag("Leader"),
        kill_signal=(raw.text("KillSignal") or signal).upper(),
        kill_timeout=_or(raw.seconds("KillTimeout"), DEFAULT_KILL_TIMEOUT),
        restart=_restart(raw.inner("RestartPolicy"), restart),
        logs=_logs(raw.inner("LogConfig")),
        payload_file=raw.inner("DispatchPayload").text("File"),
        templates=tuple(_template(template) for template in raw.objects("Templates")),
        artifacts=tuple(_artifact(artifact) for artifact in raw.objects("Artifacts")),
        resources=_resources(raw.inner("Resources")),
        raw=raw,
    )


def _restart(task: Reader, group: Reader) -> RestartPolicy:
    """A task's policy goes over its group's, member by member."""
    default = RestartPolicy()

    def seconds(name: str, last: int) -> int:
        return _or(task.seconds(name, group.seconds(name)), last)

    return RestartPolicy(
        attempts=_or(task.integer("Attempts", group.integer("Attempts")), default.attempts),
        interval=seconds("Interval", default.interval),
        delay=seconds("Delay", default.delay),
        mode=task.text("Mode") or group.text("Mode") or default.mode,
    )


def _reschedule(group: Reader, job: Reader) -> ReschedulePolicy:
    """A group's policy goes over its job's, member by member."""
    default = ReschedulePolicy()
    stated = group if "Unlimited" in group.names() else job
    return ReschedulePolicy(
        attempts=_or(group.integer("Attempts", job.integer("Attempts")), default.attempts),
        delay=_or(group.seconds("Delay", job.seconds("Delay")), default.delay),
        unlimited=stated.flag("Unlimited"),
    )


def _logs(raw: Reader) -> bool:
    enabled = raw.flag("Enabled") or "Enabled" not in raw.names()  # the older word
    return enabled and not raw.flag("Disabled")


def _template(raw: Reader) -> Template:
    return Template(
        data=raw.text("EmbeddedTmpl"),
        source=raw.text("SourcePath"),
        destination=raw.text("DestPath"),
        perms=raw.text("Perms"),
        left=raw.text("LeftDelim") or "{{",
        right=raw.text("RightDelim") or "}}",
        env=raw.flag("Envvars"),
    )


def _artifact(raw: Reader) -> GroupArtifact:
    return GroupArtifact(
        source=raw.text("GetterSource"),
        destination=raw.text("RelativeDest") or "local/",
        mode=raw.text("GetterMode") or "any",
        options=raw.pairs("GetterOptions"),
        headers=raw.pairs("GetterHeaders"),
    )


def _resources(raw: Reader) -> StatedResources:
    gpus = 0
    for device in raw.objects("Devices"):
        name = device.text("Name").split("/")
        if "gpu" not in name[:2]:
            device.refuse(
                f"the device {device.text('Name')!r} has no word at a scheduler",
                'ask for "nvidia/gpu", or for the resource in a script\'s own directives',
            )
        gpus += _or(device.integer("Count"), 1)
    return StatedResources(
        cpu=raw.integer("CPU") or None,
        cores=raw.integer("Cores") or None,
        memory=raw.integer("MemoryMB") or None,
        memory_max=raw.integer("MemoryMaxMB") or None,
        gpus=gpus or None,
    )


def _or(value: int | None, default: int) -> int:
    return default if value is None else value
