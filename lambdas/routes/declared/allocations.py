"""The routes about allocations and evaluations."""

from __future__ import annotations

from lambdas.routes.declared.parameters import PAGE, SITE
from lambdas.routes.route import Parameter, Route
from lambdas.rules.identity import Access

_LIST = (
    *SITE,
    Parameter(name="prefix", description="What their ids begin with."),
    *PAGE,
)

ROUTES = (
    Route(
        method="GET",
        path="/v1/allocations",
        name="listAllocations",
        summary="The current allocations of a site's jobs, newest first.",
        access=Access.READ,
        run="lambdas.routes.allocations:list_allocations",
        parameters=_LIST,
        answers={200: "AllocationList"},
    ),
    Route(
        method="GET",
        path="/v1/allocation/{alloc_id}",
        name="readAllocation",
        summary="An allocation, by its id or the begin of it.",
        access=Access.READ,
        run="lambdas.routes.allocations:read_allocation",
        parameters=SITE,
        answers={200: "Allocation"},
    ),
    Route(
        method="GET",
        path="/v1/evaluations",
        name="listEvaluations",
        summary="The evaluations behind the current allocations of a site's jobs, newest first.",
        access=Access.READ,
        run="lambdas.routes.allocations:list_evaluations",
        parameters=_LIST,
        answers={200: "EvaluationList"},
    ),
    Route(
        method="GET",
        path="/v1/evaluation/{eval_id}",
        name="readEvaluation",
        summary="The evaluation that led to an allocation; both have the same id.",
        access=Access.READ,
        run="lambdas.routes.allocations:read_evaluation",
        parameters=SITE,
        answers={200: "Evaluation"},
    ),
    Route(
        method="GET",
        path="/v1/evaluation/{eval_id}/allocations",
        name="listAllocationsOfEvaluation",
        summary="The allocation that an evaluation led to.",
        access=Access.READ,
        run="lambdas.routes.allocations:allocations_of_evaluation",
        parameters=SITE,
        answers={200: "AllocationList"},
    ),
)
