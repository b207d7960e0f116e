"""What the commands that fetch files say of it."""

from __future__ import annotations

import click

from jobferry.download import Downloaded
from jobferry.options import print_json, say
from jobferry.rendering import human_size, printable


def tell_fetched(job: str, got: Downloaded, elements: str | None, *, as_json: bool) -> None:
    """Print the directory, and say what was fetched and what was left out.

    Args:
        job: the job.
        got: what was fetched.
        elements: which elements of an array were asked for, if any were.
        as_json: print one JSON document instead of the directory.
    """
    if as_json:
        print_json(
            {
                "job": job,
                "directory": str(got.directory),
                "files": got.files,
                "bytes": got.size,
                "present": got.present,
                "unsafe": got.unsafe,
            }
        )
    else:
        click.echo(str(got.directory))
        files = "1 file" if got.files == 1 else f"{got.files} files"
        say(f"{files} fetched, {human_size(got.size)}; {got.present} were there already")
    if elements is not None and not got.files + got.present:
        say(
            f"no file of job {printable(job)} belongs to these elements alone; theirs are the logs "
            "aws-job-stdout.INDEX.txt and what lies below elements/INDEX/ (of a Nomad job "
            "GROUP.INDEX/), others come with --only"
        )
    for path in got.unsafe:
        say(f"left out, its name is not safe: {printable(path)}")
