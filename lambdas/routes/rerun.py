"""The route that runs a dead job again, with the same object versions and settings."""

from __future__ import annotations

from job_protocol import identifiers
from job_protocol.states import Outcome
from lambdas.errors import Refused
from lambdas.routes import writing
from lambdas.routes.route import Answer, Call
from lambdas.routes.scripts import submitted
from lambdas.runs import Cause


def retry(call: Call) -> Answer:
    """Run a dead job again as `JOB_RETRY` does: of an array, the elements that are not complete."""
    services = call.services
    job = services.job(call.job_id, call.query, call.identity)
    upload = identifiers.request(job.site, job.id, call.key)
    if job.upload == upload:
        return Answer(body=submitted(job))
    if job.active:
        raise Refused(
            409, f"run {job.run} of job {job.id!r} is still active", "wait for its end, or stop it"
        )
    if job.outcome is Outcome.COMPLETE:
        raise Refused(409, f"job {job.id!r} is complete", "submit it again to run all of it")
    cause = Cause(
        upload=upload,
        sequencer=job.sequencer,
        time=services.clock(),
        submitter=call.identity.name,
    )
    again = writing.runs(services, job.site).start_again(job, cause)
    if again is None:
        raise Refused(409, f"no inputs of job {job.id!r} are recorded", "submit it again")
    return Answer(body=submitted(again))
