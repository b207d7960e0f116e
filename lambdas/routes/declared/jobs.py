"""The routes about all jobs, and about the submission of a script."""

from __future__ import annotations

from job_protocol.states import JobStatus, Outcome
from lambdas.routes.declared.parameters import PAGE, SITE
from lambdas.routes.route import Parameter, Route
from lambdas.rules.identity import Access

ROUTES = (
    Route(
        method="GET",
        path="/v1/jobs",
        name="listJobs",
        summary="The jobs of a site, newest first.",
        access=Access.READ,
        run="lambdas.routes.jobs:list_jobs",
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
        run="lambdas.routes.scripts:submit_script",
        parameters=SITE,
        body="ScriptJob",
        answers={200: "Submitted", 202: "Announced"},
        finish="lambdas.routes.scripts:with_requests",
    ),
)
