"""The list of a site's jobs."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor

from job_protocol.job import Job
from job_protocol.states import Role
from lambdas.errors import Refused
from lambdas.ports.job_reader import MAX_PAGE, JobFilter
from lambdas.routes.declared.parameters import NEXT_PAGE
from lambdas.routes.route import Answer, Call
from lambdas.rules import nomad_views, pagination

_AT_ONCE = 16


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
