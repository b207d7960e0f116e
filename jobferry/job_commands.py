"""The group `jobferry job`: commands about Nomad's kinds of jobs, one module for each subject."""

from __future__ import annotations

import click

from jobferry.options import examples
from jobferry.periodic_commands import periodic


@click.group(
    short_help="Jobs as Nomad has them.",
    help=examples("jobferry job periodic next '0 9 * * mon-fri' --time-zone Europe/London")
    + """

Jobs as Nomad has them.""",
)
def job() -> None:
    """See `help`."""


job.add_command(periodic)
