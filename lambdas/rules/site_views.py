"""Sites in the JSON of the API: with their health, and as Nomad's nodes."""

from __future__ import annotations

from typing import Any

from job_protocol import identifiers
from lambdas.rules.site_health import SiteHealth
from lambdas.rules.status_document import iso


def node_view(health: SiteHealth) -> dict[str, Any]:
    """A site as one of Nomad's nodes."""
    return {
        "ID": identifiers.node(health.site),
        "Name": health.site,
        "Datacenter": health.site,
        "NodeClass": "",
        "Address": "",
        "Version": health.version,
        "Drain": health.drain,
        "SchedulingEligibility": "ineligible" if health.drain else "eligible",
        "Status": "down" if health.silent else "ready",
        "StatusDescription": _last_seen(health),
        "CreateIndex": 1,
        "ModifyIndex": health.last_seen or 1,
    }


def site_view(health: SiteHealth, waiting: int) -> dict[str, Any]:
    """A site with its health.

    Args:
        health: its state.
        waiting: how many allocations wait for it.
    """
    return {
        "Name": health.site,
        "NodeID": identifiers.node(health.site),
        "Status": "silent" if health.silent else "alive",
        "LastSeen": iso(health.last_seen),
        "SilentSince": iso(health.last_seen) if health.silent else None,
        "Lingering": health.lingering,
        "Drain": health.drain,
        "Version": health.version,
        "Host": health.host,
        "Active": health.active,
        "Waiting": waiting,
        "Problem": health.problem,
        "Description": _last_seen(health),
    }


def _last_seen(health: SiteHealth) -> str:
    if health.last_seen is None:
        return "its puller has never been seen"
    return f"its puller was seen at {iso(health.last_seen)}"
