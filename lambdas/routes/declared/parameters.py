"""Query parameters and headers that several routes have."""

from __future__ import annotations

from lambdas.ports.job_reader import MAX_PAGE
from lambdas.routes.route import Parameter

NEXT_PAGE = "X-Nomad-NextToken"
NEXT_OFFSET = "X-Jobferry-Next-Offset"

SITE = (
    Parameter(name="site", description="The site; the default is dc1, or the only one."),
    Parameter(name="region", description="The same as `site`, as Nomad's clients call it."),
)
ELEMENT = Parameter(
    name="element",
    description="Which element of an array: paths lie in its own folder then.",
    kind="integer",
)
FILTER = Parameter(name="filter", description="Nomad's filter expressions are refused.")
PAGE = (
    Parameter(name="per_page", description="Most rows.", kind="integer", least=1, most=MAX_PAGE),
    Parameter(
        name="next_token",
        description=f"Where to go on: the header {NEXT_PAGE} of the page before.",
    ),
    FILTER,
)
