"""The `jobferry site` commands: which sites there are, and how they are."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import click

from jobferry.completion import complete_sites
from jobferry.options import api_of, examples, place_options, print_json, say
from jobferry.rendering import aligned, local_time, printable, table


@click.group(
    short_help="Sites: list, status, drain and resume.",
    help=examples("jobferry site list", "jobferry site drain dc1")
    + """

Which sites there are, and how they are.""",
)
def site() -> None:
    """See `help`."""


@site.command(
    "list",
    short_help="List the sites.",
    help=examples("jobferry site list", "jobferry site list --json")
    + """

Lists the sites that you may use.""",
)
@place_options
def list_sites(as_json: bool, **place: Any) -> None:
    """List them."""
    rows = api_of(place).client.get("/v1/sites", "list sites")
    if as_json:
        print_json(rows)
        return
    head = ("Name", "Status", "Drain", "Active", "Waiting", "Last Seen")
    click.echo(
        "\n".join(
            table(
                [
                    head,
                    *(
                        (
                            printable(row["Name"]),
                            printable(row["Status"]),
                            str(row["Drain"]).lower(),
                            str(row["Active"]),
                            str(row["Waiting"]),
                            local_time(row["LastSeen"]) or "never",
                        )
                        for row in rows
                    ),
                ]
            )
        )
    )


@site.command(
    "status",
    short_help="Show a site.",
    help=examples("jobferry site status dc1")
    + """

Shows a site and its puller.""",
)
@click.argument("name", metavar="SITE", shell_complete=complete_sites)
@place_options
def show_site(name: str, as_json: bool, **place: Any) -> None:
    """Show it."""
    _show(api_of(place).client.get(_path(name), f"read site {name!r}"), as_json)


@site.command(
    "drain",
    short_help="Let a site claim nothing new.",
    help=examples("jobferry site drain dc1")
    + """

Lets a site claim nothing new; what it holds goes on.""",
)
@click.argument("name", metavar="SITE", shell_complete=complete_sites)
@place_options
def drain(name: str, as_json: bool, **place: Any) -> None:
    """Drain it."""
    answer = api_of(place).client.write("PUT", f"{_path(name)}/drain", f"drain site {name!r}")
    _told(answer, as_json, "claims nothing new from its next pass on")


@site.command(
    "resume",
    short_help="Let a drained site claim again.",
    help=examples("jobferry site resume dc1")
    + """

Lets a drained site claim again.""",
)
@click.argument("name", metavar="SITE", shell_complete=complete_sites)
@place_options
def resume(name: str, as_json: bool, **place: Any) -> None:
    """Resume it."""
    answer = api_of(place).client.write("PUT", f"{_path(name)}/resume", f"resume site {name!r}")
    _told(answer, as_json, "claims again from its next pass on")


def _path(name: str) -> str:
    return f"/v1/site/{quote(name, safe='')}"


def _told(answer: dict[str, Any], as_json: bool, what: str) -> None:
    if as_json:
        print_json(answer)
    else:
        say(f"site {printable(answer['Name'])} {what}")


def _show(row: dict[str, Any], as_json: bool) -> None:
    if as_json:
        print_json(row)
        return
    pairs = [
        ("Name", row["Name"]),
        ("Node ID", row["NodeID"]),
        ("Status", row["Status"]),
        ("Last Seen", local_time(row["LastSeen"]) or "never"),
        ("Drain", str(row["Drain"]).lower()),
        ("Active", row["Active"]),
        ("Waiting", row["Waiting"]),
        ("Puller Version", row["Version"] or None),
        ("Puller Host", row["Host"] or None),
        ("Lingering", str(row["Lingering"]).lower()),
    ]
    click.echo("\n".join(aligned(pairs)))
