"""What the commands share: options, examples at the head of the help, and the progress bar."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import click

from jobferry.client import Client
from jobferry.connect import connect, connect_api
from jobferry.errors import UsageError
from jobferry.interface import JobAccess, Progress
from jobferry.job import SizedProgress, silent
from jobferry.over_api import ApiAccess

PLACE = ("bucket", "site", "stack", "address", "via")
"""The options of `place_options` that `Client` takes."""

_Command = TypeVar("_Command", bound=Callable[..., Any])


def examples(*lines: str) -> str:
    r"""The head of a help text: examples, kept as they stand (`\b` tells click so)."""
    return "\b\nExamples:\n" + "\n".join(f"  {line}" for line in lines)


def place_options(command: _Command) -> _Command:
    """Add the options that say which bucket, and `--json`."""
    for option in (
        click.option("--json", "as_json", is_flag=True, help="Print JSON, with times in UTC."),
        click.option("--via", metavar="WAY", help="auto, api or s3 (JOBFERRY_VIA; auto)."),
        click.option("--address", metavar="URL", help="Of the API (JOBFERRY_ADDRESS, NOMAD_ADDR)."),
        click.option("--stack", metavar="NAME", help="Deployment (JOBFERRY_STACK; jobferry)."),
        click.option("--site", metavar="SITE", help="Site (JOBFERRY_SITE; dc1)."),
        click.option("--bucket", metavar="BUCKET", help="Bucket of the site (JOBFERRY_BUCKET)."),
    ):
        command = option(command)
    return command


def client_of(place: dict[str, Any]) -> Client:
    """The client that the options of `place_options` ask for."""
    return Client(**{name: place[name] for name in PLACE})


def api_of(place: dict[str, Any]) -> ApiAccess:
    """The API, for commands about what there is only there."""
    if place["bucket"] or place["via"] == "s3":
        raise UsageError(
            "this command needs the API; leave out --bucket and --via s3 (over S3 there are "
            "submit, status, wait, stop, retry, get and logs, which take a job)"
        )
    return connect_api(site=place["site"], stack=place["stack"], address=place["address"])


def access_of(place: dict[str, Any]) -> JobAccess:
    """The way to the jobs that the options ask for."""
    return connect(**{name: place[name] for name in PLACE})


def say(message: str) -> None:
    """Print a message, which is no data, to stderr."""
    click.echo(message, err=True)


def print_json(document: object) -> None:
    """Print one JSON document to stdout."""
    click.echo(json.dumps(document, ensure_ascii=False, indent=2))


@contextmanager
def goes_on(what: str) -> Iterator[None]:
    """Say after Ctrl-C that the same command goes on with what was transferred."""
    try:
        yield
    except KeyboardInterrupt:
        say(f"{what} was broken off; the same command goes on with it")
        raise


@contextmanager
def progress_bar(label: str) -> Iterator[SizedProgress]:
    """A progress bar on stderr while the block runs, if stderr is a terminal."""
    if not sys.stderr.isatty():
        yield silent
        return
    with click.progressbar(length=0, label=label, file=sys.stderr) as bar:
        lock = threading.Lock()

        def sized(total: int) -> Progress:
            bar.length = total

            def update(size: int) -> None:
                with lock:
                    bar.update(size)

            return update

        yield sized
