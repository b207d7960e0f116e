"""Routes about one job: what it is, why it waits, what happened; start, stop and wait."""

from __future__ import annotations

import re

from job_protocol import identifiers
from job_protocol.allocation import Allocation
from job_protocol.dispatch_file import DISPATCH_PATH
from job_protocol.job import Job
from job_protocol.states import JobStatus, Role
from lambdas.errors import Conflict, Refused
from lambdas.purge_requests import NoSuchJob
from lambdas.routes.elements import group_names, shown_elements, specification, statuses
from lambdas.routes.jobs import submitted
from lambdas.routes.route import SITE, Answer, Call, Parameter, Route
from lambdas.rules import history, nomad_views, registered_views
from lambdas.rules.identity import Access
from lambdas.submitting import Submitter
from nomad_jobs.run_script.run_facts import read_meta

MAX_WAIT = 20
"""Seconds; API Gateway ends a request after 30."""

_MAX_ATTEMPTS = 99
_MAX_FACTS = 1024 * 1024
_CHILDREN_PAGES = 10
_TRIES = 8
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


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
    version = specification(call, job)
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
    version = specification(call, job)
    newest = list(reversed(found))
    return Answer(body=shown_elements(call, newest, version, health, job.current))


def evaluations(call: Call) -> Answer:
    """The evaluations of the job's current run, the newest first."""
    job = _job(call)
    found = attempts(call, job)
    version = specification(call, job)
    groups = group_names(version.job if version else None)
    return Answer(body=[nomad_views.evaluation_view(one, groups) for one in reversed(found)])


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
    """What happened to the job's current run, oldest first."""
    job = _job(call)
    return Answer(body=history.events(job, attempts(call, job)))


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


def stop(call: Call) -> Answer:
    """Stop the job's current run, or a template; a job that is over stays as it is."""
    job = _stopped(call)
    if call.query.get("purge"):
        try:
            job = call.services.purging().ask(job.site, job.id)
        except NoSuchJob as error:
            raise Refused(404, "job not found", str(error)) from error
    return Answer(
        body={
            "EvalID": job.current or "",
            "EvalCreateIndex": 1,
            "JobModifyIndex": job.registration.index if job.registration else job.rev,
            "Index": job.rev,
            "ID": job.id,
            "Status": job.status.value,
            "Note": job.note,
        }
    )


def _stopped(call: Call) -> Job:
    for _ in range(_TRIES):
        job = _job(call)
        if job.role is Role.TEMPLATE:
            try:
                return call.services.registering(job.site).stop(job)
            except Conflict:
                continue
        if job.active:
            runs = call.services.runs(job.site)
            asked_by = f"stop by {call.identity.name}"
            try:
                by = call.identity.name
                job = runs.stop(job, sequencer=job.sequencer, asked_by=asked_by, by=by)
            except Conflict:
                continue
        return job
    raise Conflict(f"job {call.job_id!r} kept changing")


def missing_files(call: Call) -> Answer:
    """What of a submission has not arrived, and how to put it."""
    site = call.services.one_site(call.query, call.identity).name
    upload = _upload_id(call.query["upload"])
    requests = call.services.submitting(site).announcing.missing(call.job_id, upload)
    body = {"ID": call.job_id, "Site": site, "Upload": upload, "Uploads": requests}
    return Answer(body=body)


def _upload_id(value: object) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise Refused(
            400, "Upload is missing or no id", "state the Upload that the submission answered"
        )
    return value


def start(call: Call) -> Answer:
    """Run a submission whose files have been put; their checksums are verified first."""
    body = call.body if isinstance(call.body, dict) else {}
    upload, task_token = _upload_id(body.get("Upload")), body.get("TaskToken")
    if task_token is not None and not (isinstance(task_token, str) and task_token):
        raise Refused(400, "TaskToken must be a text", "state it as Step Functions gave it")
    site = call.services.one_site(call.query, call.identity).name
    submitting = call.services.submitting(site)
    kept = submitting.files.announced(upload)
    if kept is not None and kept["job"] == call.job_id and kept["dispatch"] is not None:
        children = call.services.children(site)
        return Answer(body=submitted(children.start(kept, submitter=call.identity.name)))
    job = submitting.start(
        call.job_id,
        upload,
        submitter=Submitter(name=call.identity.name, key=call.key),
        task_token=task_token,
    )
    return Answer(body=submitted(job))


ROUTES = (
    Route(
        method="GET",
        path="/v1/job/{job_id}/summary",
        name="readSummary",
        summary="How many allocations of the job are in which state.",
        access=Access.READ,
        run=summary,
        parameters=SITE,
        answers={200: "Summary"},
    ),
    Route(
        method="GET",
        path="/v1/job/{job_id}/allocations",
        name="listAllocationsOfJob",
        summary="The allocations of the job's current run, the newest first.",
        access=Access.READ,
        run=allocations,
        parameters=SITE,
        answers={200: "AllocationList"},
    ),
    Route(
        method="GET",
        path="/v1/job/{job_id}/evaluations",
        name="listEvaluationsOfJob",
        summary="The evaluations of the job's current run, the newest first.",
        access=Access.READ,
        run=evaluations,
        parameters=SITE,
        answers={200: "EvaluationList"},
    ),
    Route(
        method="GET",
        path="/v1/job/{job_id}/events",
        name="listEventsOfJob",
        summary="What happened to the job's current run, oldest first.",
        access=Access.READ,
        run=events,
        parameters=SITE,
        answers={200: "EventList"},
    ),
    Route(
        method="GET",
        path="/v1/job/{job_id}/wait",
        name="waitForJob",
        summary="The job as soon as it is dead, else as it is when the time is up.",
        access=Access.READ,
        run=wait,
        parameters=(
            *SITE,
            Parameter(
                name="seconds",
                description="How long to wait, in seconds.",
                kind="integer",
                most=MAX_WAIT,
            ),
        ),
        answers={200: "Job"},
    ),
    Route(
        method="GET",
        path="/v1/job/{job_id}/start",
        name="listMissingFiles",
        summary="What of a submission has not arrived, and how to put it: an upload that broke "
        "off goes on from there.",
        access=Access.SUBMIT,
        run=missing_files,
        parameters=(
            *SITE,
            Parameter(name="upload", description="The id of the submission.", required=True),
        ),
        answers={200: "Announced"},
    ),
    Route(
        method="POST",
        path="/v1/job/{job_id}/start",
        name="startJob",
        summary="Run a submission whose announced files have been put.",
        access=Access.SUBMIT,
        run=start,
        parameters=SITE,
        body="Start",
        answers={200: "Submitted"},
    ),
    Route(
        method="GET",
        path="/v1/job/{job_id}",
        name="readJob",
        summary="A job, with the reason why it waits.",
        access=Access.READ,
        run=read_job,
        parameters=SITE,
        answers={200: "Job"},
    ),
    Route(
        method="DELETE",
        path="/v1/job/{job_id}",
        name="stopJob",
        summary="Stop the job's current run, or a template, whose children go on; purge it.",
        access=Access.SUBMIT,
        run=stop,
        parameters=(
            *SITE,
            Parameter(
                name="purge",
                description="Whether everything of it is removed as soon as it has ended.",
                kind="boolean",
            ),
        ),
        answers={200: "Stopped"},
    ),
)
