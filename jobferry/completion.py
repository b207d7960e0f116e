"""Completion of job ids and sites in a shell: one cheap request, and never an error."""

from __future__ import annotations

from typing import Any

import click
from click.shell_completion import CompletionItem

from jobferry.errors import JobferryError
from jobferry.over_api import ApiAccess

_MOST = 50


def _access(context: click.Context) -> Any:
    from jobferry.connect import connect
    from jobferry.options import PLACE

    return connect(**{name: context.params.get(name) for name in PLACE})


def complete_jobs(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Ids of the newest jobs that begin so; their status beside them."""
    try:
        listing = _access(context).reports(incomplete, _MOST)
    except (JobferryError, OSError, ValueError):
        return []
    return [CompletionItem(one.job, help=str(one.outcome or one.status)) for one in listing.reports]


def complete_sites(
    context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Names of the sites that begin so, where the API tells them."""
    try:
        access = _access(context)
        if not isinstance(access, ApiAccess):
            return []
        sites = access.client.get("/v1/sites", "list sites")
    except (JobferryError, OSError, ValueError):
        return []
    return [
        CompletionItem(row["Name"], help=row["Status"])
        for row in sites
        if row["Name"].startswith(incomplete)
    ]
