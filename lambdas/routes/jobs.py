"""Routes about all jobs: the list, and the submission of a script."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from job_protocol.job import Job
from job_protocol.states import JobStatus, Outcome, Role
from lambdas.announcing import Announced
from lambdas.errors import Refused
from lambdas.ports.job_reader import MAX_PAGE, JobFilter
from lambdas.routes.route import SITE, Answer, Call, Parameter, Route
from lambdas.rules import nomad_views, pagination
from lambdas.rules.identity import Access
from lambdas.rules.site_health import first_with_room
from lambdas.submitting import Submitter

_AT_ONCE = 16
NEXT_PAGE = "X-Nomad-NextToken"
PAGE = (
    Parameter(name="per_page", description="Most rows.", kind="integer", least=1, most=MAX_PAGE),
    Parameter(
        name="next_token",
        description=f"Where to go on: the header {NEXT_PAGE} of the page before.",
    ),
    Parameter(name="filter", description="Nomad's filter expressions are refused."),
)


def refuse_filter(call: Call) -> None:
    """Refuse what would otherwise silently list too much.

    Raises:
        Refused: the request has a filter expression.
    """
    if call.query.get("filter"):
        raise Refused(
            400,
            "filter expressions are not supported",
            "use the parameters of this list, such as prefix and status",
        )


def list_jobs(call: Call) -> Answer:
    """The jobs of a site, newest first."""
    refuse_filter(call)
    services, query = call.services, call.query
    site = services.one_site(query, call.identity).name
    token = query.get("next_token")
    after = pagination.decode(token, 2) if token else None
    wanted = JobFilter(
        prefix=query.get("prefix", ""),
        status=query.get("status"),
        outcome=query.get("outcome"),
        after=query.get("after", 0),
        before=query.get("before", 10**12 - 1),
    )
    jobs, position = services.reader.page_of_jobs(
        site,
        wanted,
        limit=query.get("per_page", MAX_PAGE),
        after=(after[0], after[1]) if after else None,
    )
    children = _children(call, jobs)
    rows = [
        nomad_views.job_stub(job, children.get(job.id, ()))
        | ({"Meta": None} if query.get("meta") else {})
        for job in jobs
        if job.role is not Role.FOLDER
    ]
    headers = {NEXT_PAGE: pagination.encode(*position)} if position else {}
    return Answer(body=rows, headers=headers)


def _children(call: Call, jobs: Iterable[Job]) -> dict[str, list[Job]]:
    """The children of those jobs that are templates, as far as one page of each goes."""
    templates = [job for job in jobs if job.role is Role.TEMPLATE]
    if not templates:
        return {}
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        found = pool.map(
            lambda job: call.services.templates.children(job.site, job.id, pages=1), templates
        )
        return {job.id: rows for job, rows in zip(templates, found, strict=True)}


def submit_script(call: Call) -> Answer:
    """Submit a script, with its files and settings, in one call."""
    from lambdas.rules.submission_form import read_submission

    submission, problems = read_submission(call.body)
    if submission is None:
        raise Refused(400, problems[0].problem, problems[0].remedy, tuple(problems))
    site = _site_with_room(call, submission.sites)
    found = call.services.submitting(site).submit(
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
        "Uploads": call.services.submitting(body["Site"]).announcing.requests(announced),
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


ROUTES = (
    Route(
        method="GET",
        path="/v1/jobs",
        name="listJobs",
        summary="The jobs of a site, newest first.",
        access=Access.READ,
        run=list_jobs,
        parameters=(
            *SITE,
            Parameter(name="prefix", description="What their ids begin with."),
            Parameter(
                name="status",
                description="Their status.",
                choices=tuple(status.value for status in JobStatus),
            ),
            Parameter(
                name="outcome",
                description="Their outcome.",
                choices=tuple(outcome.value for outcome in Outcome),
            ),
            Parameter(
                name="after",
                description="Submitted at this time or later, in seconds since the epoch.",
                kind="integer",
                most=10**12 - 1,
            ),
            Parameter(
                name="before",
                description="Submitted at this time or before, in seconds since the epoch.",
                kind="integer",
                most=10**12 - 1,
            ),
            Parameter(name="meta", description="Whether to show Meta.", kind="boolean"),
            *PAGE,
        ),
        answers={200: "JobList"},
    ),
    Route(
        method="POST",
        path="/v1/jobs/script",
        name="submitScript",
        summary="Submit a script with its files and settings. Files that are announced are put by "
        "the requests that the answer names; then the job is started.",
        access=Access.SUBMIT,
        run=submit_script,
        parameters=SITE,
        body="ScriptJob",
        answers={200: "Submitted", 202: "Announced"},
        finish=with_requests,
    ),
)
