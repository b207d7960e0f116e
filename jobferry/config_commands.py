"""The `jobferry config` commands: the user's own settings, in a small file."""

from __future__ import annotations

import os

import click

from jobferry.errors import UsageError
from jobferry.options import examples, print_json, say
from jobferry.rendering import aligned
from jobferry.user_settings import VARIABLES, current, path_of, read_file, write

_HIDDEN_NAME = "token"
_HIDDEN = "<hidden>"


@click.group(
    short_help="Your own settings.",
    help=examples("jobferry config set site dc1", "jobferry config show")
    + """

Your own settings. Precedence is option, environment, file, default.""",
)
def config() -> None:
    """See `help`."""


@config.command(
    "show",
    short_help="Show what counts, and where it comes from.",
    help=examples("jobferry config show", "jobferry config show --json")
    + """

Shows what counts, and whether the environment or the file says so.""",
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(as_json: bool) -> None:
    """Show them."""
    path = path_of(os.environ)
    stated, counts = read_file(path), current()
    settings = {}
    for name, variable in VARIABLES.items():
        if (value := counts.get(variable)) is not None:
            source = "file" if stated.get(name) == value else "environment"
            settings[name] = {"value": _HIDDEN if name == _HIDDEN_NAME else value, "from": source}
    if as_json:
        print_json({"file": str(path), "settings": settings})
        return
    say(f"file: {path}" + ("" if path.exists() else " (there is none)"))
    rows = [(name, f"{one['value']}  ({one['from']})") for name, one in settings.items()]
    click.echo("\n".join(aligned(rows))) if rows else say("nothing is set: the defaults count")


@config.command(
    "set",
    short_help="Set one, or take it out.",
    help=examples(
        "jobferry config set site dc1",
        "jobferry config set address https://abc.execute-api.ap-northeast-1.amazonaws.com",
        "jobferry config set --unset token",
    )
    + f"""

Sets one of: {", ".join(VARIABLES)}. The file can be read by you alone.""",
)
@click.argument("name")
@click.argument("value", required=False)
@click.option("--unset", is_flag=True, help="Take it out of the file.")
def set_one(name: str, value: str | None, unset: bool) -> None:
    """Set it."""
    if (value is None) != unset:
        raise UsageError("state a value, or --unset")
    write(path_of(os.environ), name, value)
