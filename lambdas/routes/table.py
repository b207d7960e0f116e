"""All routes, and which of them a request is for."""

from __future__ import annotations

from lambdas.errors import Refused
from lambdas.routes.declared import (
    allocations,
    downloads,
    files,
    job,
    jobs,
    registration,
    rerun,
    sites,
    templates,
    tokens,
)
from lambdas.routes.route import JOB_ID, Route

ROUTES: tuple[Route, ...] = (
    *jobs.ROUTES,
    *registration.ROUTES,
    *templates.ROUTES,
    *job.ROUTES,
    *allocations.ROUTES,
    *files.ROUTES,
    *downloads.ROUTES,
    *rerun.ROUTES,
    *sites.ROUTES,
    *tokens.ROUTES,
)

# A job id takes everything up to the end of the path, so that its plain routes come last: thus the
# action is read from the right.
_IN_ORDER = sorted(ROUTES, key=lambda route: route.path.endswith(f"{{{JOB_ID}}}"))


def route_of(method: str, path: str) -> tuple[Route, dict[str, str]]:
    """The route of a request and the values of its path's placeholders.

    Raises:
        Refused: there is none; the message says whether another method would do.
    """
    # Nomad takes PUT wherever it takes POST, and its clients send either.
    method = "POST" if method == "PUT" else method
    others: list[str] = []
    for route in _IN_ORDER:
        values = route.match(path)
        if values is not None and route.method == method:
            return route, values
        if values is not None:
            others.append(route.method)
    if others:
        allowed = ", ".join(sorted(set(others)))
        raise Refused(405, f"{method} is not allowed here", f"this path takes: {allowed}")
    raise Refused(404, "there is no such path", "docs/openapi.json lists all of them")
