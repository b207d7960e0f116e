"""What Nomad's commands ask the API before they print something."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from jobferry.api_client import ApiClient, Query, job_path
from jobferry.nomad_tables import JobAnswers, is_template, monitor_lines
from jobferry.nomad_times import View

MOST_CHILDREN = 100


def answers_of(api: ApiClient, job_id: str, *, verbose: bool) -> JobAnswers:
    """Everything that is printed of a job.

    Args:
        api: asks the API.
        job_id: the job.
        verbose: whether its evaluations are printed, too.
    """
    doing = f"read job {job_id!r}"
    job = api.get(job_path(job_id), doing)
    summary = api.get(job_path(job_id, "summary"), doing)
    if is_template(job):
        return JobAnswers(job, summary, children=_children(api, job))
    return JobAnswers(
        job,
        summary,
        allocations=api.get(job_path(job_id, "allocations"), doing),
        evaluations=api.get(job_path(job_id, "evaluations"), doing) if verbose else (),
    )


def _children(api: ApiClient, job: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The newest children of a template, the newest first."""
    query: Query = {"prefix": f"{job['ID']}/", "site": job.get("Site"), "per_page": MOST_CHILDREN}
    found: list[dict[str, Any]] = []
    for page in api.pages("/v1/jobs", f"list the children of job {job['ID']!r}", query):
        found += page
        if len(found) >= MOST_CHILDREN:
            break
    return found[:MOST_CHILDREN]


def monitored(api: ApiClient, evaluation_id: str, view: View) -> list[str]:
    """The lines that tell what an evaluation has led to."""
    path = f"/v1/evaluation/{quote(evaluation_id, safe='')}"
    doing = f"read evaluation {evaluation_id[:8]}"
    evaluation = api.get(path, doing)
    return monitor_lines(evaluation, api.get(f"{path}/allocations", doing), view)


def view_now(*, verbose: bool = False) -> View:
    """Things as they are shown now and here."""
    return View(datetime.now(UTC), verbose=verbose)
