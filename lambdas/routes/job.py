"""Routes that tell about one job: what it is, why it waits, what happened, and its end."""

from __future__ import annotations

from job_protocol import identifiers
from job_protocol.allocation import Allocation
from job_protocol.dispatch_file import DISPATCH_PATH
from job_protocol.job import Job
from job_protocol.states import JobStatus, Role
from lambdas.routes.declared.job import MAX_WAIT
from lambdas.routes.elements import group_names, running, shown_elements, specification, statuses
from lambdas.routes.route import Answer, Call
from lambdas.rules import history, nomad_views, registered_views
from lambdas.rules.evaluation_views import evaluation_view
from nomad_jobs.run_script.run_facts import read_meta

_MAX_ATTEMPTS = 99
_MAX_FACTS = 1024 * 1024
_CHILDREN_PAGES = 10


def _job(call: Call) -> Job:
    return call.services.job(call.job_id, call.query, call.identity)


def read_job(call: Call) -> Answer:
    """A job, with the reason why it waits."""
    return _shown(call, _job(call))


def _shown(call: Call, job: Job) -> Answer:
    allocation = call.services.current(job)
    view = nomad_views.job_view(job, allocation, call.services.reasons(job, allocation))
    version = specification(call, job)
    if version is None or job.registration is None:
        return Answer(body=view)
    shown = registered_views.registered_view(
        view,
        job,
        version.job,
        version=version.version,
        index=job.registration.index,
        meta=_meta(call, job),
    )
    return Answer(body=shown)


def _meta(call: Call, job: Job) -> dict[str, str]:
    """What the dispatch of a child gave, as its file of facts has it."""
    if job.parent is None:
        return {}
    files = call.services.files(job.site)
    return read_meta(files.read(job.id, DISPATCH_PATH, 0, _MAX_FACTS))


def summary(call: Call) -> Answer:
    """How many allocations of the job, and how many of its children, are in which state."""
    job = _job(call)
    version = running(call, job)
    counted = statuses(attempts(call, job), version.job if version else None)
    children = _children(call, job)
    return Answer(body=nomad_views.summary_view(job, counted, children))


def _children(call: Call, job: Job) -> list[Job]:
    if job.role is not Role.TEMPLATE:
        return []
    return call.services.templates.children(job.site, job.id, pages=_CHILDREN_PAGES)


def allocations(call: Call) -> Answer:
    """The allocations of the job's current run, the newest first."""
    job = _job(call)
    found = attempts(call, job)
    health = call.services.health(job.site) if found else None
    version = running(call, job)
    newest = list(reversed(found))
    return Answer(body=shown_elements(call, newest, version, health, job.current))


def evaluations(call: Call) -> Answer:
    """The evaluations of the job's current run, the newest first."""
    job = _job(call)
    found = attempts(call, job)
    version = running(call, job)
    groups = group_names(version.job if version else None)
    return Answer(body=[evaluation_view(one, groups) for one in reversed(found)])


def attempts(call: Call, job: Job) -> list[Allocation]:
    """All allocations of the current run: their ids follow from the first one's."""
    if job.current is None or job.upload is None:
        return []
    ids = [identifiers.first_allocation(job.site, job.id, job.upload)]
    while ids[-1] != job.current and len(ids) <= _MAX_ATTEMPTS:
        ids.append(identifiers.next_allocation(ids[-1]))
    return call.services.reader.allocations(
        job.site, ids if ids[-1] == job.current else [job.current]
    )


def events(call: Call) -> Answer:
    """What happened to the job's current run, or to all of its runs, oldest first."""
    job = _job(call)
    found = attempts(call, job)
    if call.query.get("all"):
        found = [*_of_earlier_runs(call, job), *found]
    return Answer(body=history.events(job, found))


def _of_earlier_runs(call: Call, job: Job) -> list[Allocation]:
    """The allocations of the runs before, as far as they are still there."""
    ids = [identifiers.first_allocation(job.site, job.id, one) for one in job.earlier_uploads]
    found: list[Allocation] = []
    for _ in range(_MAX_ATTEMPTS):
        some = call.services.reader.allocations(job.site, ids) if ids else []
        found += some
        ids = [identifiers.next_allocation(one.id) for one in some]
    return found


def wait(call: Call) -> Answer:
    """The job as soon as it is dead, else as it is when the time is up."""
    deadline = call.services.clock() + call.query.get("seconds", MAX_WAIT)
    pause = 0.25
    while True:
        job = _job(call)
        left = deadline - call.services.clock()
        if job.status is JobStatus.DEAD or left <= 0:
            return _shown(call, job)
        call.services.sleep(min(pause, left))
        pause = min(pause * 1.5, 2.0)
