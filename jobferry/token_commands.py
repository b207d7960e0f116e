"""The `jobferry token` commands: API tokens for callers that AWS does not know."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

import click

from jobferry.errors import UsageError
from jobferry.options import api_of, examples, place_options, print_json, say
from jobferry.rendering import aligned, local_time, printable, table

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}
_TTL = re.compile(r"([0-9]{1,9})([smhd]?)")


@click.group(
    short_help="API tokens: create, list and revoke.",
    help=examples(
        "jobferry token create ci --scope read --scope submit --ttl 30d", "jobferry token list"
    )
    + """

API tokens, for callers that AWS does not know. They are made with AWS credentials, and used by
JOBFERRY_TOKEN or NOMAD_TOKEN.""",
)
def token() -> None:
    """See `help`."""


@token.command(
    "create",
    short_help="Make a token; its secret is told once.",
    help=examples(
        "jobferry token create ci --scope read --scope submit --ttl 30d",
        "export JOBFERRY_TOKEN=$(jobferry token create me --scope read --json | jq -r .SecretID)",
    )
    + """

Makes a token; its secret is told once and kept nowhere.""",
)
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    required=True,
    type=click.Choice(["read", "submit"]),
    help="Repeatable.",
)
@click.option("--for-site", "sites", multiple=True, metavar="SITE", help="Only it; repeatable.")
@click.option("--ttl", metavar="TIME", help="How long it is good: seconds, or such as 12h, 30d.")
@place_options
def create(
    name: str,
    scopes: tuple[str, ...],
    sites: tuple[str, ...],
    ttl: str | None,
    as_json: bool,
    **place: Any,
) -> None:
    """Make it."""
    body: dict[str, Any] = {"Name": name, "Scopes": list(scopes)}
    if sites:
        body["Sites"] = list(sites)
    if ttl is not None:
        body["ExpirationTTL"] = _seconds(ttl)
    made = api_of(place).client.write(
        "POST", "/v1/acl/token", f"make the token {name!r}", body, repeatable=False
    )
    if as_json:
        print_json(made)
        return
    pairs = [
        ("Accessor ID", made["AccessorID"]),
        ("Secret ID", made["SecretID"]),
        ("Name", made["Name"]),
        ("Scopes", ", ".join(made["Scopes"])),
        ("Sites", ", ".join(made["Sites"]) or "all"),
        ("Expiry Time", local_time(made["ExpirationTime"]) or "<none>"),
    ]
    click.echo("\n".join(aligned(pairs)))
    say("the secret is shown only now; export it as JOBFERRY_TOKEN")


def _seconds(text: str) -> int:
    found = _TTL.fullmatch(text)
    if found is None:
        raise UsageError(f"--ttl {text!r}: write seconds, or such as 90m, 12h, 30d")
    return int(found[1]) * _UNITS[found[2]]


@token.command(
    "list",
    short_help="List the tokens, without their secrets.",
    help=examples("jobferry token list")
    + """

Lists the tokens, without their secrets.""",
)
@place_options
def list_tokens(as_json: bool, **place: Any) -> None:
    """List them."""
    pages = api_of(place).client.pages("/v1/acl/tokens", "list tokens")
    rows = [row for page in pages for row in page]
    if as_json:
        print_json(rows)
        return
    if not rows:
        say("there are no tokens")
        return
    head = ("Accessor ID", "Name", "Scopes", "Sites", "Expiry Time")
    shown = [
        (
            printable(row["AccessorID"]),
            printable(row["Name"]),
            ",".join(row["Scopes"]),
            ",".join(row["Sites"]) or "all",
            local_time(row["ExpirationTime"]) or "<none>",
        )
        for row in rows
    ]
    click.echo("\n".join(table([head, *shown])))


@token.command(
    "revoke",
    short_help="Revoke a token.",
    help=examples("jobferry token revoke 5d8f2d1c-3ab1-4f0e-9c1c-0d6b6a1e7f11")
    + """

Revokes a token by its accessor id: it is refused from then on.""",
)
@click.argument("accessor")
@place_options
def revoke(accessor: str, as_json: bool, **place: Any) -> None:
    """Revoke it."""
    path = f"/v1/acl/token/{quote(accessor, safe='')}"
    answer = api_of(place).client.write("DELETE", path, f"revoke token {accessor}")
    print_json(answer) if as_json else say(f"token {printable(accessor)} is revoked")
