"""The submission of a script in one call."""

from __future__ import annotations

from typing import Any

from job_protocol.job import Job
from lambdas.announcing import Announced
from lambdas.errors import Refused, refused_fields
from lambdas.routes import writing
from lambdas.routes.route import Answer, Call
from lambdas.rules.site_health import first_with_room
from lambdas.rules.submission_form import read_submission
from lambdas.submitting import Submitter


def submit_script(call: Call) -> Answer:
    """Submit a script, with its files and settings, in one call."""
    submission, problems = read_submission(call.body)
    if submission is None:
        raise refused_fields(problems)
    site = _site_with_room(call, submission.sites)
    found = writing.submitting(call.services, site).submit(
        submission,
        Submitter(
            name=call.identity.name,
            key=call.key,
            sites=frozenset(call.services.usable_sites(call.identity)),
        ),
    )
    if isinstance(found, Announced):
        return Answer(body={"ID": found.job_id, "Site": site, "Upload": found.upload}, status=202)
    return Answer(body=submitted(found))


def with_requests(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The answer with fresh URLs for the files that are still to come."""
    if "Upload" not in body:
        return body
    announced = Announced(job_id=body["ID"], upload=body["Upload"])
    return {
        **body,
        "Uploads": writing.submitting(call.services, body["Site"]).announcing.requests(announced),
    }


def submitted(job: Job) -> dict[str, Any]:
    """What is answered about a run that was just created."""
    return {
        "ID": job.id,
        "Site": job.site,
        "Run": job.run,
        "AllocID": job.current,
        "EvalID": job.current,
        "Status": job.status.value,
        "JobModifyIndex": job.rev,
    }


def _site_with_room(call: Call, names: tuple[str, ...]) -> str:
    """The site that takes the job: of several the first that is alive and has room."""
    services = call.services
    if len(names) == 0:
        return services.one_site(call.query, call.identity).name
    sites = [services.site(name, call.identity).name for name in names]
    if len(sites) == 1:
        return sites[0]
    chosen = first_with_room(
        (services.health(site), services.reader.waiting(site)) for site in sites
    )
    if chosen is None:
        raise Refused(
            409,
            f"none of the sites {', '.join(sites)} takes work at the moment",
            "GET /v1/sites tells why; name one site to wait for it",
        )
    return chosen.site
