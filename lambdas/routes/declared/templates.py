"""The routes that make children of templates."""

from __future__ import annotations

from lambdas.routes.declared.parameters import SITE
from lambdas.routes.route import Parameter, Route
from lambdas.rules.identity import Access

ROUTES = (
    Route(
        method="POST",
        path="/v1/job/{job_id}/dispatch",
        name="dispatchJob",
        summary="Dispatch a parameterized job. A payload over 16 KiB is announced and put by the "
        "request that the answer names; then the child is started.",
        access=Access.SUBMIT,
        run="lambdas.routes.templates:dispatch",
        parameters=(
            *SITE,
            Parameter(
                name="idempotency_token",
                description="Two dispatches of one job with the same token are one.",
            ),
        ),
        body="Dispatch",
        answers={200: "Dispatched", 202: "Announced"},
        finish="lambdas.routes.templates:with_payload_request",
    ),
    Route(
        method="POST",
        path="/v1/job/{job_id}/periodic/force",
        name="forcePeriodicJob",
        summary="Launch a periodic job now, whatever else of it runs.",
        access=Access.SUBMIT,
        run="lambdas.routes.templates:force",
        parameters=SITE,
        answers={200: "Forced"},
    ),
)
