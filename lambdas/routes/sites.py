"""Routes about sites and their health, also as Nomad's nodes."""

from __future__ import annotations

from job_protocol import identifiers
from lambdas.errors import Refused
from lambdas.routes.jobs import refuse_filter
from lambdas.routes.route import Answer, Call
from lambdas.rules import site_views


def list_sites(call: Call) -> Answer:
    """The caller's sites with their health."""
    return Answer(body=[_site(call, name) for name in call.services.usable_sites(call.identity)])


def read_site(call: Call) -> Answer:
    """A site with its health."""
    return Answer(body=_site(call, call.services.site(call.path["name"], call.identity).name))


def drain(call: Call) -> Answer:
    """Let a site claim nothing new; what it holds goes on."""
    site = call.services.site(call.path["name"], call.identity).name
    call.services.controls.drain(site)
    return Answer(body=_site(call, site))


def resume(call: Call) -> Answer:
    """Let a site claim again."""
    site = call.services.site(call.path["name"], call.identity).name
    call.services.controls.resume(site)
    return Answer(body=_site(call, site))


def _site(call: Call, name: str) -> dict[str, object]:
    return site_views.site_view(call.services.health(name), call.services.reader.waiting(name))


def list_nodes(call: Call) -> Answer:
    """The caller's sites as Nomad's nodes."""
    refuse_filter(call)
    prefix = call.query.get("prefix", "")
    return Answer(
        body=[
            site_views.node_view(call.services.health(name))
            for name in call.services.usable_sites(call.identity)
            if identifiers.node(name).startswith(prefix)
        ]
    )


def read_node(call: Call) -> Answer:
    """A site as one of Nomad's nodes, by the node's id."""
    for name in call.services.usable_sites(call.identity):
        if identifiers.node(name) == call.path["node_id"]:
            return Answer(body=site_views.node_view(call.services.health(name)))
    raise Refused(404, "node not found", "GET /v1/nodes lists them: each is a site")
