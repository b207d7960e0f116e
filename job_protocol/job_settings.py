"""What `aws-job.json` says beside the script, as the puller and the publisher use it.

The admission of user input (types, bounds, messages) is the control plane's; the published form
is `docs/aws-job.schema.json`. Only what the user stated is kept: an unstated value is None and
never becomes a scheduler's flag.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from job_protocol.dependency import Dependency, dependencies
from job_protocol.items import decoded_by, from_attributes

DEFAULT_PRIORITY = 50
"""Nomad's default; priorities go from 1 to 100, a higher one first."""

DEFAULT_RETRY_DELAY = 30
"""Seconds before an allocation that follows a failed one; Nomad's batch reschedule delay is 5 s,
too short for a scheduler's queue."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Retries:
    """Further allocations after one that failed or was lost.

    Attributes:
        attempts: how many further allocations at most.
        delay: seconds before each.
    """

    attempts: int
    delay: int = DEFAULT_RETRY_DELAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """What the job asks of the scheduler; None means the scheduler's or the script's own word.

    Attributes:
        nodes: number of nodes.
        cpus: CPUs (cores) for the task.
        memory_mb: memory per node in MiB.
        gpus: number of GPUs.
    """

    nodes: int | None = None
    cpus: int | None = None
    memory_mb: int | None = None
    gpus: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedInput:
    """An object elsewhere in the site's bucket that a job uses as an input (`from`, `to`).

    Attributes:
        source: its key; one that ends in `/` is a folder and means everything below it.
        to: where it goes in the job directory: a path, or a folder if it ends in `/`.
        version: the S3 version id; None is the newest at the time of admission.
    """

    source: str
    to: str
    version: str | None = None


def _shared_inputs(rows: Iterable[Mapping[str, Any]]) -> tuple[SharedInput, ...]:
    return tuple(from_attributes(SharedInput, row) for row in rows)


DEFAULT_DESTINATION = "local/"
"""Where an artifact goes if nothing is said, as in Nomad."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """What the site fetches before the job starts; `job_protocol.artifact_plan` reads it.

    Attributes:
        source: a URL in the form of go-getter's.
        destination: a folder, or with mode `file` a file, relative to the job directory.
        mode: `any`, `file` or `dir`.
        checksum: `sha256:HEX`, also with `sha512`, `sha1` or `md5`; of the file that is fetched.
        options: further parameters of the source.
        headers: further headers of a request by HTTP.
    """

    source: str
    destination: str = DEFAULT_DESTINATION
    mode: str = "any"
    checksum: str | None = None
    options: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)


def _artifacts(rows: Iterable[Mapping[str, Any]]) -> tuple[Artifact, ...]:
    return tuple(from_attributes(Artifact, row) for row in rows)


def _resources(attributes: Mapping[str, Any]) -> Resources:
    return from_attributes(Resources, attributes)


def _retries(attributes: Mapping[str, Any]) -> Retries:
    return from_attributes(Retries, attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """The stated settings of one run.

    Attributes:
        name: the job's name at the scheduler.
        priority: 1 to 100 among the jobs that wait for the site.
        time_limit: seconds of wall time.
        resources: see `Resources`.
        count: how many elements the job's array has; None or 1 is no array.
        sweep: path of the input whose rows are the elements' values (see `sweep`); an admitted
            allocation has as many elements as it has rows.
        max_running: how many elements of an array may run at once.
        account: the account, group or project that the scheduler charges.
        queue: the scheduler's queue or partition.
        retries: see `Retries`.
        results: patterns of what is pushed (see `path_patterns`); empty means everything.
        exclude: patterns of what is not pushed.
        reuse: patterns of earlier results that are inputs of a re-run.
        inputs: objects from elsewhere in the bucket. An admitted allocation has none: its manifest
            says which versions they were.
        artifacts: what the site fetches before the job starts.
        logs: patterns of files that are pushed while the job runs; a segment may have `*`, `?` and
            `[...]`. The job's own outputs always are.
        small_artifacts: bytes up to which a file of an artifact is pushed with the results though
            the job did not change it; None pushes none.
        drivers: the drivers of a Nomad job's tasks, for the site's policy; none for a job that is a
            script and nothing more.
        depends_on: what must come before the job. An admitted allocation has none: the job says
            what it waits for.
    """

    name: str | None = None
    priority: int | None = None
    time_limit: int | None = None
    resources: Resources = decoded_by(_resources, default=Resources())
    count: int | None = None
    sweep: str | None = None
    max_running: int | None = None
    account: str | None = None
    queue: str | None = None
    retries: Retries | None = decoded_by(_retries, default=None)
    results: tuple[str, ...] = decoded_by(tuple, default=())
    exclude: tuple[str, ...] = decoded_by(tuple, default=())
    reuse: tuple[str, ...] = decoded_by(tuple, default=())
    inputs: tuple[SharedInput, ...] = decoded_by(_shared_inputs, default=())
    artifacts: tuple[Artifact, ...] = decoded_by(_artifacts, default=())
    logs: tuple[str, ...] = decoded_by(tuple, default=())
    small_artifacts: int | None = None
    drivers: tuple[str, ...] = decoded_by(tuple, default=())
    depends_on: tuple[Dependency, ...] = decoded_by(dependencies, default=())

    @property
    def array(self) -> int | None:
        """How many elements there are; None for a job that is no array."""
        return self.count if self.count is not None and self.count > 1 else None
