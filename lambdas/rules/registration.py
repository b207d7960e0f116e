"""Whether a Nomad job may be registered, and what its registration does to what is there.

Words in quotation are Nomad's own: validateJobUpdate and Register in nomad/job_endpoint.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Any

from job_protocol.cron_expression import CronExpression, time_zone
from job_protocol.dependency import Dependency, On
from job_protocol.job import Job
from job_protocol.object_keys import Problem
from job_protocol.states import JobKind, JobStatus, Outcome, Role
from nomad_jobs.job_file.plan import unchanged
from nomad_jobs.job_file.problems import Finding, Places
from nomad_jobs.job_file.validation import Clock, admit
from nomad_jobs.run_script.feasibility import job_problems

KEPT_VERSIONS = 6
"""How many versions of a job can be seen: Nomad's `job_tracked_versions`."""

ENFORCED = "Enforcing job modify index"
"""What the refusal of a stale `JobModifyIndex` begins with; Nomad's clients look for it."""


_RUNS_AGAIN = (Outcome.STOPPED, Outcome.LOST, Outcome.REJECTED)
"""How an unchanged job has ended that runs when it is registered again. What was rejected was a
mark in the bucket."""


class Step(Enum):
    """What a registration does."""

    NOTHING = auto()
    """The job is there as it is wanted."""
    REVIVE = auto()
    """The version is there, and was stopped: it runs again."""
    CHANGE = auto()
    """There is a new version."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """A job that was examined.

    Attributes:
        job: what is stored of it; None if there are problems.
        problems: every reason why it cannot be registered.
        warnings: what it states in vain.
    """

    job: dict[str, Any] | None
    problems: tuple[Problem, ...]
    warnings: tuple[str, ...]


def examine(
    job: Mapping[str, Any], *, places: Places | None = None, most_elements: int | None = None
) -> Examined:
    """Judge a job in Nomad's JSON: its form, and whether it can run on a site.

    Args:
        job: the `Job` object.
        places: the lines of the job file that it came from, if any.
        most_elements: how many elements an array of the site may have, if that is known.
    """
    admission = admit(job, Clock(CronExpression.parse, time_zone), places)
    warnings = tuple(map(str, admission.warnings))
    if admission.job is None:
        found = tuple(map(as_problem, admission.problems))
        return Examined(job=None, problems=found, warnings=warnings)
    problems = job_problems(admission.job)
    if places is not None:
        problems = [_with_line(problem, admission.job, places) for problem in problems]
    elements = sum(group.get("Count", 1) for group in admission.job["TaskGroups"])
    if most_elements is not None and elements > most_elements:
        message = f"the job has {elements} elements; this site takes at most {most_elements}"
        problems.append(Problem("job", message, "let each element do more"))
    return Examined(
        job=None if problems else admission.job, problems=tuple(problems), warnings=warnings
    )


def _with_line(problem: Problem, job: Mapping[str, Any], places: Places) -> Problem:
    """A problem of the renderer, which names groups and tasks, with the line of the job file."""
    path: tuple[str | int, ...] = ()
    for number, group in enumerate(job["TaskGroups"]):
        here = f'group "{group["Name"]}"'
        if problem.key == here:
            path = ("TaskGroups", number)
        for index, task in enumerate(group["Tasks"]):
            if problem.key == f'{here} task "{task["Name"]}"':
                path = ("TaskGroups", number, "Tasks", index)
    return replace(problem, key=f"{places.file}:{places.line_of(path)}: {problem.key}")


def as_problem(finding: Finding) -> Problem:
    """A finding in the shape of all problems; its place goes before the sentence."""
    place = ": ".join(part for part in (_line(finding), finding.block) if part)
    return Problem(place or "job", finding.message, "correct the job file")


def _line(finding: Finding) -> str:
    return f"{finding.file}:{finding.line}" if finding.line else finding.file


def dependencies_of(job: Mapping[str, Any]) -> tuple[Dependency, ...]:
    """What must come before a job that was accepted."""
    return tuple(
        Dependency(job=row["Job"], on=On(row.get("On", On.AFTER_OK)), site=row.get("Site") or None)
        for row in job.get("DependsOn", ())
    )


def kind_of(job: Mapping[str, Any]) -> JobKind:
    """The kind of a job."""
    if job.get("Periodic") is not None:
        return JobKind.PERIODIC
    if job.get("ParameterizedJob") is not None:
        return JobKind.PARAMETERIZED
    return JobKind.BATCH


def enforcement_refusal(item: Job | None, index: int | None) -> str | None:
    """Why a registration that states a `JobModifyIndex` is refused; None if it is not.

    Args:
        item: the registered job, if there is one.
        index: the stated index: 0 for a job that shall not exist yet; None enforces nothing.
    """
    if index is None:
        return None
    there = item.registration if item is not None else None
    if there is None:
        return f"{ENFORCED} {index}: job does not exist" if index else None
    if index == 0:
        return f"{ENFORCED} 0: job already exists"
    if index != there.index:
        return f"{ENFORCED} {index}: job exists with conflicting job modify index: {there.index}"
    return None


def replacement_sentence(item: Job, wanted: int | None = None) -> str | None:
    """What becomes of the active run of a job that is changed; None if none is active.

    Args:
        item: the registered job; once it was changed, as it then is.
        wanted: the version that would be registered; None for one that was.
    """
    follows = f"starts when it has ended at site {item.site}"
    if wanted is not None:
        if not item.active:
            return None
        return (
            f"run {item.run} of job {item.id!r} is active: registering stops it, and version "
            f"{wanted} {follows}"
        )
    if item.replacement is None or item.registration is None:
        return None
    return (
        f"run {item.run} of job {item.id!r} is being stopped; version {item.registration.version} "
        f"{follows}"
    )


def update_refusal(item: Job, new: Mapping[str, Any]) -> str | None:
    """Why a registered job cannot become this one; None if it can.

    Args:
        item: the registered job.
        new: the accepted job.
    """
    if item.parent is not None:
        return "field 'Dispatched' is read-only"
    old, wanted = item.kind, kind_of(new)
    for kind, word in (
        (JobKind.PERIODIC, "periodic"),
        (JobKind.PARAMETERIZED, "parameterized"),
    ):
        if old is kind and wanted is not kind:
            return f"cannot update {word} job to being non-{word}"
        if wanted is kind and old is not kind:
            return f"cannot update non-{word} job to being {word}"
    return None


def step_of(item: Job | None, old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> Step:
    """What the registration of an accepted job does.

    Args:
        item: the registered job, if there is one.
        old: its current specification, if that is still there.
        new: the accepted job.
    """
    if item is None or old is None or not unchanged(old, new):
        return Step.CHANGE
    if item.status is not JobStatus.DEAD or item.replacement is not None:
        return Step.NOTHING
    if item.role is Role.TEMPLATE or item.outcome in _RUNS_AGAIN:
        return Step.REVIVE
    return Step.NOTHING
