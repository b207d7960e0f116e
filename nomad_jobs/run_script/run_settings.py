"""The settings of a run: only what the job states becomes a scheduler's option."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from job_protocol.job_settings import JobSettings, Resources, Retries
from nomad_jobs.run_script.artifacts import has_artifacts, staged_artifacts
from nomad_jobs.run_script.element_folders import element_folder
from nomad_jobs.run_script.run_facts import RunFacts
from nomad_jobs.run_script.specification import (
    MAIN,
    POSTSTART,
    POSTSTOP,
    PRESTART,
    Group,
    JobSpecification,
    StatedResources,
    Task,
)
from nomad_jobs.run_script.task_states import TASK_STATES_PATH

SMALL_ARTIFACT = 64 * 1024
"""Bytes up to which a file of an artifact is pushed, so that it is seen where Nomad shows it."""

_MAX_RETRIES = 100
_NO_RESULTS = ("secrets", "tmp")
_PATTERN = str.maketrans({char: f"[{char}]" for char in "*?["})


def run_settings(job: JobSpecification, facts: RunFacts) -> JobSettings:
    """What the puller is told beside the script.

    Raises:
        FactsRefused: with these facts, an artifact's destination leads out of the allocation.
    """
    durations = [group.max_run_duration for group in job.groups]
    limited = [seconds for seconds in durations if seconds is not None]
    return JobSettings(
        priority=job.priority,
        time_limit=max(limited) if limited and len(limited) == len(durations) else None,
        resources=Resources(
            cpus=_most(job.groups, lambda stated: stated.cores),
            memory_mb=_most(job.groups, lambda stated: stated.memory_max or stated.memory),
            gpus=_most(job.groups, lambda stated: stated.gpus),
        ),
        count=job.elements if job.elements > 1 else None,
        queue=job.node_pool,
        retries=_retries(job.groups),
        exclude=_excluded(job),
        artifacts=staged_artifacts(job, facts),
        logs=_logs(job),
        small_artifacts=SMALL_ARTIFACT if has_artifacts(job) else None,
        drivers=tuple(sorted({task.driver for group in job.groups for task in group.tasks})),
    )


def _logs(job: JobSpecification) -> tuple[str, ...]:
    """What is pushed while the job runs: the tasks' logs, and what the script tells of them."""
    folder = ("elements/*/" if job.swept else "*/") if job.elements > 1 else ""
    return (f"{folder}alloc/logs/*.std*", f"{folder}{TASK_STATES_PATH}")


def _most(groups: Iterable[Group], stated: Callable[[StatedResources], int | None]) -> int | None:
    """What the neediest moment of the neediest group states; None where nobody states anything."""
    moments = [moment for group in groups for moment in _moments(group)]
    return max(sum(stated(t.resources) or 0 for t in tasks) for tasks in moments) or None


def _moments(group: Group) -> list[list[Task]]:
    """The tasks that run at once: before the main tasks, with them, and behind them."""

    def hooked(*hooks: str) -> list[Task]:
        return [task for task in group.tasks if task.hook in hooks]

    beside = [task for task in hooked(PRESTART) if task.sidecar]
    return [hooked(PRESTART), [*beside, *hooked(MAIN, POSTSTART)], hooked(POSTSTOP)]


def _retries(groups: Iterable[Group]) -> Retries | None:
    policies = [group.reschedule for group in groups]
    attempts = max(_MAX_RETRIES if p.unlimited else min(p.attempts, _MAX_RETRIES) for p in policies)
    delay = max([1, *(p.delay for p in policies if p.attempts or p.unlimited)])
    return Retries(attempts=attempts, delay=delay) if attempts else None


def _excluded(job: JobSpecification) -> tuple[str, ...]:
    """What is no result: the run's own data, secrets (Nomad shows them to nobody either), tmp."""
    folders = [".nomad/**"]
    for group in job.groups:
        element = element_folder(job, group, "").translate(_PATTERN)
        prefix = f"{element}*/" if element else ""
        names = ["alloc", *(task.name.translate(_PATTERN) for task in group.tasks)]
        folders += [f"{prefix}{name}/{kind}" for name in names for kind in _NO_RESULTS]
    # Without stars at the end the folders themselves are meant, too: each would be an object.
    return tuple(dict.fromkeys(folders))
