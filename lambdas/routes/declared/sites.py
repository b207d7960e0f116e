"""The routes about sites and their health."""

from __future__ import annotations

from lambdas.routes.declared.parameters import FILTER
from lambdas.routes.route import Parameter, Route
from lambdas.rules.identity import Access

ROUTES = (
    Route(
        method="GET",
        path="/v1/sites",
        name="listSites",
        summary="The sites with their health.",
        access=Access.READ,
        run="lambdas.routes.sites:list_sites",
        answers={200: "SiteList"},
    ),
    Route(
        method="GET",
        path="/v1/site/{name}",
        name="readSite",
        summary="A site with its health.",
        access=Access.READ,
        run="lambdas.routes.sites:read_site",
        answers={200: "Site"},
    ),
    Route(
        method="POST",
        path="/v1/site/{name}/drain",
        name="drainSite",
        summary="Let a site claim nothing new; what it holds goes on.",
        access=Access.MANAGE,
        run="lambdas.routes.sites:drain",
        answers={200: "Site"},
    ),
    Route(
        method="POST",
        path="/v1/site/{name}/resume",
        name="resumeSite",
        summary="Let a drained site claim again.",
        access=Access.MANAGE,
        run="lambdas.routes.sites:resume",
        answers={200: "Site"},
    ),
    Route(
        method="GET",
        path="/v1/nodes",
        name="listNodes",
        summary="The sites as Nomad's nodes.",
        access=Access.READ,
        run="lambdas.routes.sites:list_nodes",
        parameters=(
            Parameter(name="prefix", description="What their ids begin with."),
            FILTER,
        ),
        answers={200: "NodeList"},
    ),
    Route(
        method="GET",
        path="/v1/node/{node_id}",
        name="readNode",
        summary="A site as one of Nomad's nodes.",
        access=Access.READ,
        run="lambdas.routes.sites:read_node",
        answers={200: "Node"},
    ),
)
