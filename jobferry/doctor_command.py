"""`jobferry doctor`: whether everything that the other commands need is there."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import boto3
import click

from jobferry import __version__
from jobferry.aws_errors import typed_errors
from jobferry.connect import connect
from jobferry.errors import JobferryError
from jobferry.options import PLACE, examples, place_options, print_json
from jobferry.over_api import ApiAccess
from jobferry.rendering import local_time, printable, table
from jobferry.user_settings import current


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        about: what.
        state: `ok`, `note` or `problem`.
        message: what was found, and what to do about it.
    """

    about: str
    state: str
    message: str


@click.command(
    "doctor",
    short_help="Say what is missing on this side.",
    help=examples("jobferry doctor", "jobferry doctor --site dc1 --via s3")
    + """

Looks at credentials, region, the API, the site's bucket and the sites. Exits with 1 if something is
missing.""",
)
@place_options
def doctor(as_json: bool, **place: Any) -> int:
    """Look."""
    findings = list(_findings({name: place[name] for name in PLACE}))
    if as_json:
        print_json([asdict(one) for one in findings])
    else:
        rows = [(one.state, one.about, printable(one.message)) for one in findings]
        click.echo("\n".join(table([("", "What", "Found"), *rows])))
    return 1 if any(one.state == "problem" for one in findings) else 0


def _findings(place: dict[str, Any]) -> Iterator[Finding]:
    yield Finding(
        "versions",
        "ok",
        f"jobferry {__version__}, Python {platform.python_version()}, boto3 {boto3.__version__}",
    )
    over_api = place["via"] != "s3" and not place["bucket"]
    token = over_api and bool(current().get("JOBFERRY_TOKEN"))
    missing = "note" if token else "problem"  # who shows a token needs nothing else
    yield _looked("credentials", _credentials, missing)
    yield _looked("region", _region, missing)
    if over_api:
        needed = token or place["via"] == "api" or bool(place["address"])
        yield from _api(place, "problem" if needed else "note")
    if place["via"] != "api" and not place["address"]:
        yield _looked("bucket", lambda: _bucket(place), missing)


def _looked(about: str, look: Callable[[], str], missing: str) -> Finding:
    try:
        return Finding(about, "ok", look())
    except JobferryError as error:
        return Finding(about, missing, str(error).splitlines()[0])


def _credentials() -> str:
    with typed_errors("find out whose the credentials are"):
        return str(boto3.Session().client("sts").get_caller_identity()["Arn"])


def _region() -> str:
    with typed_errors("begin an AWS session"):
        region = boto3.Session().region_name
    return region or "none is stated (AWS_REGION)"


def _api(place: dict[str, Any], missing: str) -> Iterator[Finding]:
    try:
        access = connect(**{**place, "via": "api"})
        if not isinstance(access, ApiAccess):
            return
        caller = access.client.get("/v1/acl/token/self", "ask the API who may use it")
        scopes = ", ".join(caller["Scopes"])
        yield Finding("API", "ok", f"{access.client.address}: {caller['Name']} may {scopes}")
        sites = access.client.get("/v1/sites", "list sites")
    except JobferryError as error:
        yield Finding("API", missing, str(error).splitlines()[0])
        return
    for row in sites:
        drained = "drained; " if row["Drain"] else ""
        good = row["Status"] == "alive" and not row["Drain"]
        seen = local_time(row.get("LastSeen"))
        last = f"its puller was seen at {seen}" if seen else "its puller has never been seen"
        problem = f"; {row['Problem']}" if row.get("Problem") else ""
        about = f"{row['Status']}; {drained}{last}{problem}; {row['Waiting']} wait"
        yield Finding(f"site {row['Name']}", "ok" if good else "note", about)


def _bucket(place: dict[str, Any]) -> str:
    access = connect(**{**place, "via": "s3", "address": None})
    access.reports("", 1)
    return f"{access.bucket} can be listed and read"
