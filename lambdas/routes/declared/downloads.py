"""The routes for who fetches whole directories."""

from __future__ import annotations

from lambdas.routes.declared.parameters import ELEMENT, NEXT_PAGE, SITE
from lambdas.routes.route import Parameter, Route
from lambdas.rules.identity import Access

ROUTES = (
    Route(
        method="GET",
        path="/v1/client/fs/tree/{alloc_id}",
        name="listTree",
        summary="Everything under the job's prefix, in the order of the paths.",
        access=Access.READ,
        run="lambdas.routes.downloads:list_tree",
        parameters=(
            *SITE,
            ELEMENT,
            Parameter(name="under", description="What the paths begin with."),
            Parameter(name="after", description="Only paths that come after this one."),
            Parameter(name="next_token", description=f"The header {NEXT_PAGE} of the page before."),
        ),
        answers={200: "FlatFileList"},
    ),
    Route(
        method="GET",
        path="/v1/client/fs/url/{alloc_id}",
        name="locateFile",
        summary="Where a file can be fetched in pieces, and by which checksum it is verified.",
        access=Access.READ,
        run="lambdas.routes.downloads:locate",
        parameters=(
            *SITE,
            ELEMENT,
            Parameter(name="path", description="The path in the job's directory.", required=True),
        ),
        answers={200: "Download"},
    ),
)
