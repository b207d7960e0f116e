"""The route that stops a job, and has it purged."""

from __future__ import annotations

from job_protocol.job import Job
from job_protocol.states import Role
from lambdas.errors import Conflict, Refused
from lambdas.purge_requests import NoSuchJob
from lambdas.routes import templating, writing
from lambdas.routes.route import Answer, Call

_TRIES = 8


def stop(call: Call) -> Answer:
    """Stop the job's current run, or a template; a job that is over stays as it is."""
    job = _stopped(call)
    if call.query.get("purge"):
        try:
            job = writing.purging(call.services).ask(job.site, job.id)
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
        job = call.services.job(call.job_id, call.query, call.identity)
        if job.role is Role.TEMPLATE:
            try:
                return templating.registering(call.services, job.site).stop(job)
            except Conflict:
                continue
        if job.active or job.replacement is not None:
            runs = writing.runs(call.services, job.site)
            asked_by = f"stop by {call.identity.name}"
            try:
                by = call.identity.name
                job = runs.stop(job, sequencer=job.sequencer, asked_by=asked_by, by=by)
            except Conflict:
                continue
        return job
    raise Conflict(f"job {call.job_id!r} kept changing")
