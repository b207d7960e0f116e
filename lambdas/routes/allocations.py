"""Routes about allocations, and the evaluations that Nomad's clients look for behind them."""

from __future__ import annotations

import re

from job_protocol import identifiers
from job_protocol.allocation import Allocation
from job_protocol.audit_chain import document_of
from job_protocol.job import Job
from lambdas.errors import Refused
from lambdas.ports.job_reader import JobFilter
from lambdas.routes.declared.parameters import NEXT_PAGE
from lambdas.routes.elements import (
    MAX_SHOWN,
    running,
    shown_element,
    shown_elements,
    specifications,
)
from lambdas.routes.jobs import refuse_filter
from lambdas.routes.route import Answer, Call
from lambdas.rules import pagination
from lambdas.rules.evaluation_views import evaluation_view
from lambdas.rules.task_groups import element_count

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_PREFIX = re.compile(r"[0-9a-f][0-9a-f-]{0,35}")
_MAX_PAGE = 100
"""The list reads each job and its allocation: one BatchGetItem takes a hundred items."""


def the_element(call: Call, alloc_id: str) -> tuple[Allocation, int]:
    """The allocation with this id, or the only one whose id begins so, and which element it is.

    Raises:
        Refused: there is none, or more than one.
    """
    wanted = alloc_id.lower()
    if not _PREFIX.fullmatch(wanted) or len(wanted) < 2:
        raise Refused(404, "alloc not found", "an allocation id is a UUID, or the begin of one")
    found: list[Allocation] = []
    for site in call.services.searched_sites(call.query, call.identity):
        if _ID.fullmatch(wanted):
            # The ids of an array's elements are not kept: they follow from the allocation's.
            prefix = identifiers.element_prefix(wanted)
            near = call.services.reader.allocations_by_prefix(site, prefix, 2)
            found += [one for one in near if _index(one, wanted) is not None]
        else:
            found += call.services.reader.allocations_by_prefix(site, wanted, 2)
    if not found:
        raise Refused(404, "alloc not found", "GET /v1/job/ID/allocations lists a job's")
    if len(found) > 1:
        raise Refused(400, f"several allocations begin with {wanted!r}", "write more of the id")
    return found[0], _index(found[0], wanted) or 0


def _index(allocation: Allocation, wanted: str) -> int | None:
    """Which element has this id; None if none of the allocation has."""
    if not _ID.fullmatch(wanted):
        return None
    index = identifiers.element_index(allocation.id, wanted)
    return index if index is not None and index < element_count(allocation) else None


def read_allocation(call: Call) -> Answer:
    """An allocation."""
    allocation, index = the_element(call, call.path["alloc_id"])
    job = call.services.table.job(allocation.site, allocation.job)
    shown = shown_element(
        call,
        allocation,
        index,
        running(call, job) if job is not None else None,
        call.services.health(allocation.site),
        with_task_states=job is not None and job.current == allocation.id,
    )
    return Answer(body={**shown, "Audit": document_of(allocation)})


def list_allocations(call: Call) -> Answer:
    """The current allocations of a site's jobs, newest first; or those whose ids begin so."""
    refuse_filter(call)
    found, jobs, headers = _listed(call)
    versions = specifications(call, jobs.values())
    shown = [
        row
        for one in found
        for row in shown_elements(call, [one], versions.get(one.job), None, None)
    ]
    return Answer(body=shown[:MAX_SHOWN], headers=headers)


def _listed(call: Call) -> tuple[list[Allocation], dict[str, Job], dict[str, str]]:
    query, services = call.query, call.services
    site = services.one_site(query, call.identity).name
    limit = min(query.get("per_page", _MAX_PAGE), _MAX_PAGE)
    prefix = query.get("prefix", "").lower()
    if prefix:
        if not _PREFIX.fullmatch(prefix):
            return [], {}, {}
        found = services.reader.allocations_by_prefix(site, prefix, limit)
        return found, services.table.jobs(site, sorted({one.job for one in found})), {}
    token = query.get("next_token")
    after = pagination.decode(token, 2) if token else None
    rows, position = services.reader.page_of_jobs(
        site, JobFilter(), limit=limit, after=(after[0], after[1]) if after else None
    )
    jobs = services.table.jobs(site, [row.id for row in rows])
    ids = [jobs[row.id].current for row in rows if row.id in jobs]
    found = services.reader.allocations(site, [one for one in ids if one is not None])
    return found, jobs, ({NEXT_PAGE: pagination.encode(*position)} if position else {})


def read_evaluation(call: Call) -> Answer:
    """The evaluation that led to an allocation; both have the same id."""
    return Answer(body=evaluation_view(_of_evaluation(call)))


def allocations_of_evaluation(call: Call) -> Answer:
    """The allocation that an evaluation led to."""
    allocation = _of_evaluation(call)
    job = call.services.table.job(allocation.site, allocation.job)
    version = running(call, job) if job is not None else None
    return Answer(body=shown_elements(call, [allocation], version, None, None))


def list_evaluations(call: Call) -> Answer:
    """The evaluations of the current allocations of a site's jobs, newest first."""
    refuse_filter(call)
    found, _, headers = _listed(call)
    return Answer(body=[evaluation_view(one) for one in found], headers=headers)


def _of_evaluation(call: Call) -> Allocation:
    try:
        return the_element(call, call.path["eval_id"])[0]
    except Refused as error:
        if error.status != 404:
            raise
        raise Refused(404, "eval not found", error.remedy) from error
