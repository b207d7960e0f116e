"""The route that runs a dead job again."""

from __future__ import annotations

from lambdas.routes.declared.parameters import SITE
from lambdas.routes.route import Route
from lambdas.rules.identity import Access

ROUTES = (
    Route(
        method="POST",
        path="/v1/job/{job_id}/retry",
        name="retryJob",
        summary="Run a dead job again, with the same object versions and settings; of an array, "
        "the elements that are not complete.",
        access=Access.SUBMIT,
        run="lambdas.routes.rerun:retry",
        parameters=SITE,
        answers={200: "Submitted"},
    ),
)
