"""The routes that take Nomad jobs, and show what was registered."""

from __future__ import annotations

from lambdas.routes.declared.parameters import SITE
from lambdas.routes.route import Route
from lambdas.rules.identity import Access

ROUTES = (
    Route(
        method="POST",
        path="/v1/jobs",
        name="registerJob",
        summary="Register a Nomad job: a batch job runs, a template waits for dispatches or its "
        "next launch.",
        access=Access.SUBMIT,
        run="lambdas.routes.registration:register",
        parameters=SITE,
        body="NomadJob",
        answers={200: "Registered"},
    ),
    Route(
        method="POST",
        path="/v1/jobs/parse",
        name="parseJob",
        summary="Read a job file: HCL, or Nomad's JSON.",
        access=Access.READ,
        run="lambdas.routes.parsing:parse",
        body="JobFile",
        answers={200: "Specification"},
    ),
    Route(
        method="POST",
        path="/v1/validate/job",
        name="validateJob",
        summary="Whether a job may be registered.",
        access=Access.READ,
        run="lambdas.routes.registration:validate",
        body="NomadJob",
        answers={200: "Validation"},
    ),
    Route(
        method="POST",
        path="/v1/job/{job_id}/plan",
        name="planJob",
        summary="What registering a job would change.",
        access=Access.READ,
        run="lambdas.routes.registration:plan",
        parameters=SITE,
        body="NomadJob",
        answers={200: "Plan"},
    ),
    Route(
        method="GET",
        path="/v1/job/{job_id}/versions",
        name="listVersionsOfJob",
        summary="The registered versions of a job, the newest first.",
        access=Access.READ,
        run="lambdas.routes.registration:versions",
        parameters=SITE,
        answers={200: "Versions"},
    ),
    Route(
        method="POST",
        path="/v1/job/{job_id}",
        name="updateJob",
        summary="Register a Nomad job under the id in the path.",
        access=Access.SUBMIT,
        run="lambdas.routes.registration:register",
        parameters=SITE,
        body="NomadJob",
        answers={200: "Registered"},
    ),
)
