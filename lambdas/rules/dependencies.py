"""What a job's dependencies mean: whether they are met, can never be met, or have to be awaited."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from job_protocol import object_keys
from job_protocol.allocation import Allocation
from job_protocol.dependency import Dependency, On
from job_protocol.job import Job
from job_protocol.object_keys import Problem
from job_protocol.states import ClientStatus, Outcome, Role

Jobs = Mapping[tuple[str, str], Job]
"""Jobs by site and id."""

_NAMED = 3


class Verdict(Enum):
    """What has become of a dependency."""

    MET = auto()
    WAITING = auto()
    NEVER = auto()


@dataclass(frozen=True, slots=True)
class Standing:
    """How a new run stands towards the jobs that it depends on.

    Attributes:
        waiting_on: what has to come and has not; or, where `never` is set, what never came.
        never: why the run can never start, a sentence; None if it can.
    """

    waiting_on: tuple[Dependency, ...] = ()
    never: str | None = None

    def held_back(self, allocation: Allocation, now: int, ttl: int) -> Allocation:
        """The first allocation of a run that stands so: ended at once where it can never start.

        Args:
            allocation: the allocation as it would be otherwise.
            now: seconds since the epoch.
            ttl: when an allocation that has ended may be deleted, in seconds since the epoch.
        """
        if self.never is None:
            return allocation
        return replace(
            allocation,
            client_status=ClientStatus.STOPPED,
            ended_at=now,
            reason=self.never,
            ttl=ttl,
        )


def verdict(dependency: Dependency, job: Job | None) -> Verdict:
    """What has become of a dependency, as far as the job that it names tells.

    Args:
        dependency: the dependency.
        job: the job as it stands; None if it has gone.
    """
    if job is None or job.role is not Role.LEAF or job.outcome is Outcome.REJECTED:
        return Verdict.NEVER
    if job.active:
        return Verdict.WAITING
    complete = job.outcome is Outcome.COMPLETE
    met = {On.AFTER_ANY: True, On.AFTER_OK: complete, On.AFTER_NOT_OK: not complete}
    return Verdict.MET if met[dependency.on] else Verdict.NEVER


def standing(site: str, wanted: Iterable[Dependency], jobs: Jobs) -> Standing:
    """How a new run stands towards what it depends on.

    Args:
        site: the site of the job that depends.
        wanted: its dependencies.
        jobs: the jobs that they name, as they were read just now.
    """
    found: dict[Verdict, list[Dependency]] = {one: [] for one in Verdict}
    for dependency in wanted:
        at = dependency.site or site
        job = jobs.get((at, dependency.job))
        named = replace(dependency, site=at, run=job.run if job is not None else None)
        found[verdict(named, job)].append(named)
    if found[Verdict.NEVER]:
        lost = found[Verdict.NEVER]
        first = lost[0]
        never = never_reason(site, first, jobs.get((first.site or site, first.job)))
        return Standing((*lost, *found[Verdict.WAITING]), never)
    return Standing(tuple(found[Verdict.WAITING]))


def problems(
    site: str,
    job_id: str,
    wanted: Iterable[Dependency],
    jobs: Jobs,
    usable: frozenset[str] | None = None,
) -> list[Problem]:
    """Why a job cannot depend on what it names.

    Args:
        site: the job's site.
        job_id: the job.
        wanted: its dependencies.
        jobs: the jobs that they name, as far as there are such.
        usable: the sites that the submitter may name; None for any.
    """
    found: list[Problem] = []
    seen: set[tuple[str, str]] = set()
    for number, dependency in enumerate(wanted):
        at = dependency.site or site
        place = (at, dependency.job)
        wrong = _wrong(place, (site, job_id), jobs.get(place), usable)
        if place in seen:
            wrong = ("it is named twice", "name each job once")
        seen.add(place)
        if wrong is not None:
            problem = f"depends_on.{number}: job {dependency.job!r} of site {at}: {wrong[0]}"
            key = object_keys.input_key(job_id, object_keys.SETTINGS)
            found.append(Problem(key, problem, wrong[1]))
    return found


def _wrong(
    place: tuple[str, str], own: tuple[str, str], job: Job | None, usable: frozenset[str] | None
) -> tuple[str, str] | None:
    if place == own:
        return "a job cannot depend on itself", "name another job"
    if usable is not None and place[0] not in usable:
        return "you may not use that site", "name a job of one of your sites"
    if job is None or job.role is not Role.LEAF:
        return (
            "there is no such job",
            "submit it first: a job can depend only on one that exists",
        )
    if job.outcome is Outcome.REJECTED:
        return "its last upload was rejected", "submit it again first"
    return None


def after_end(waiting: Job, ended: Job) -> tuple[Job, str | None] | None:
    """What follows for a job that waits from the end of another one.

    Args:
        waiting: the job that may wait for it.
        ended: the job that has ended.

    Returns:
        The job without what has come, and why it can never start, if that is so; None if nothing
        follows, since it does not wait for this run, or no longer.
    """
    if not waiting.active:
        return None
    mine = [one for one in waiting.waiting_on if _names(one, waiting, ended)]
    if not mine:
        return None
    if verdict(mine[0], ended) is Verdict.NEVER:
        return waiting, never_reason(waiting.site, mine[0], ended)
    rest = tuple(one for one in waiting.waiting_on if one not in mine)
    return replace(waiting, waiting_on=rest), None


def _names(dependency: Dependency, waiting: Job, ended: Job) -> bool:
    at = dependency.site or waiting.site
    return (at, dependency.job, dependency.run) == (ended.site, ended.id, ended.run)


def never_reason(site: str, dependency: Dependency, job: Job | None) -> str:
    """Why a dependency can never be met, a sentence.

    Args:
        site: the site of the job that depends.
        dependency: the dependency.
        job: the job that it names, if it is still there.
    """
    name = _named(site, dependency)
    if job is None or job.outcome is None:
        return f"dependency {name} never satisfied: that job is not there any more"
    return (
        f"dependency {name} never satisfied: {dependency.on}, but its outcome is "
        f"{job.outcome.value}"
    )


def waiting_sentence(job: Job) -> str | None:
    """What a job waits for; None if it waits for no other job."""
    if job.active and job.turn is not None:
        return f"waits until fewer children of {job.parent} are active (its max_active)"
    if not (job.active and job.waiting_on):
        return None
    named = [f"{_named(job.site, one)} ({one.on})" for one in job.waiting_on[:_NAMED]]
    more = len(job.waiting_on) - _NAMED
    return f"waits for {', '.join(named)}" + (f" and {more} more" if more > 0 else "")


def _named(site: str, dependency: Dependency) -> str:
    elsewhere = dependency.site is not None and dependency.site != site
    return dependency.job + (f" of site {dependency.site}" if elsewhere else "")
