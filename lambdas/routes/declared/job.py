"""The routes about one job."""

from __future__ import annotations

from lambdas.routes.declared.parameters import SITE
from lambdas.routes.route import Parameter, Route
from lambdas.rules.identity import Access

MAX_WAIT = 20
"""Seconds; API Gateway ends a request after 30."""

ROUTES = (
    Route(
        method="GET",
        path="/v1/job/{job_id}/summary",
        name="readSummary",
        summary="How many allocations of the job are in which state.",
        access=Access.READ,
        run="lambdas.routes.job:summary",
        parameters=SITE,
        answers={200: "Summary"},
    ),
    Route(
        method="GET",
        path="/v1/job/{job_id}/allocations",
        name="listAllocationsOfJob",
        summary="The allocations of the job's current run, the newest first.",
        access=Access.READ,
        run="lambdas.routes.job:allocations",
        parameters=SITE,
        answers={200: "AllocationList"},
    ),
    Route(
        method="GET",
        path="/v1/job/{job_id}/evaluations",
        name="listEvaluationsOfJob",
        summary="The evaluations of the job's current run, the newest first.",
        access=Access.READ,
        run="lambdas.routes.job:evaluations",
        parameters=SITE,
        answers={200: "EvaluationList"},
    ),
    Route(
        method="GET",
        path="/v1/job/{job_id}/events",
        name="listEventsOfJob",
        summary="What happened to the job's current run, oldest first.",
        access=Access.READ,
        run="lambdas.routes.job:events",
        parameters=(
            *SITE,
            Parameter(
                name="all",
                description="Whether the runs before are told of, too: as far as they are kept.",
                kind="boolean",
            ),
        ),
        answers={200: "EventList"},
    ),
    Route(
        method="GET",
        path="/v1/job/{job_id}/wait",
        name="waitForJob",
        summary="The job as soon as it is dead, else as it is when the time is up.",
        access=Access.READ,
        run="lambdas.routes.job:wait",
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
        run="lambdas.routes.starting:missing_files",
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
        run="lambdas.routes.starting:start",
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
        run="lambdas.routes.job:read_job",
        parameters=SITE,
        answers={200: "Job"},
    ),
    Route(
        method="DELETE",
        path="/v1/job/{job_id}",
        name="stopJob",
        summary="Stop the job's current run, or a template, whose children go on; purge it.",
        access=Access.SUBMIT,
        run="lambdas.routes.stopping:stop",
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
