"""`jobferry submit`: a directory or a script becomes a job."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from job_protocol.dependency import On
from jobferry.options import (
    PLACE,
    client_of,
    examples,
    goes_on,
    place_options,
    print_json,
    progress_bar,
    say,
)
from jobferry.rendering import printable
from jobferry.shared_inputs import parse_wish
from jobferry.signing_commands import sign_options, signing_of
from jobferry.silence import tell_silence
from jobferry.state_commands import wait_for_end


@click.command(
    short_help="Upload a directory or a script, and ask for its run.",
    help=examples(
        "jobferry submit simulation",
        "jobferry submit simulation --job projA/run7 --time-limit 2h --wait",
        "jobferry submit job.sh --queue short --results 'out/**'",
        "jobferry submit job.sh --input mesh.h5=data/mesh.h5",
        "jobferry submit job.sh --site tokyo,osaka",
        "jobferry submit sweep --count 1000 --max-running 50",
        "jobferry submit study --sweep values.csv --max-running 20",
        "jobferry submit report --after projA/run7,projA/run8",
        "jobferry submit simulation --sign",
    )
    + """

Uploads a directory with aws-job-run.sh in it, or a script alone, and asks for its run.

What .jobferryignore names is not uploaded; its patterns are those of aws-job.json. The settings
join an aws-job.json in the directory. Prints the job id.

--input puts an object of the site's bucket (s3://BUCKET/KEY, or its key) at the path TO in the job
directory. A file or directory that lies here is uploaded once, under shared/ and named after its
content. The site, too, fetches it once for all jobs. Over the API it becomes a file of the job.

--sweep makes an array of a CSV table: its first row names variables, and each further row is an
element, which finds the row's values in them. All share the job's inputs.

--after lets the job wait until other jobs of the site are complete; --after-any until they have
ended, and --after-notok until they have ended and are not complete. What can never be met any more
ends the job as stopped. aws-job.json can name jobs of other sites.

Of several sites (--site a,b,c) the first that is alive and has room takes the job. An upload that
broke off goes on with the same command: over the API, only what is missing is sent again.""",
)
@click.argument("path", metavar="DIR_OR_SCRIPT", type=click.Path(exists=True, path_type=Path))
@click.option("--job", metavar="ID", help="Job id, the prefix in the bucket.")
@click.option("--name", metavar="NAME", help="The job's name at the scheduler.")
@click.option("--priority", type=click.IntRange(1, 100), help="A higher one first; 50 if unstated.")
@click.option("--time-limit", metavar="TIME", help="Seconds, or such as 1h30m, 01:30:00.")
@click.option("--account", metavar="ACCOUNT", help="Whom the scheduler charges.")
@click.option("--queue", "--partition", metavar="QUEUE", help="The scheduler's queue.")
@click.option(
    "--count", type=click.IntRange(1), metavar="N", help="Runs as an array of N elements."
)
@click.option(
    "--sweep",
    "values",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="CSV",
    help="Runs as an array, an element for each row of values.",
)
@click.option("--max-running", type=click.IntRange(1), metavar="M", help="Elements at once.")
@click.option("--retries", type=click.IntRange(0, 100), help="Attempts after a failed one.")
@click.option("--results", multiple=True, metavar="PATTERN", help="What comes back; repeatable.")
@click.option("--exclude", multiple=True, metavar="PATTERN", help="What stays there; repeatable.")
@click.option("--input", "inputs", multiple=True, metavar="FROM=TO", help="Shared; repeatable.")
@click.option(
    "--after", "--after-ok", "afterok", multiple=True, metavar="JOB,...", help="Once complete."
)
@click.option("--after-any", "afterany", multiple=True, metavar="JOB,...", help="Once ended.")
@click.option(
    "--after-notok", "afternotok", multiple=True, metavar="JOB,...", help="Once not complete."
)
@sign_options
@click.option("--wait", is_flag=True, help="Wait for the end, and exit as `jobferry wait` does.")
@place_options
def submit(path: Path, job: str | None, wait: bool, as_json: bool, **options: Any) -> int:
    """Upload and ask for the run."""
    place = {name: options.pop(name) for name in PLACE}
    wishes = [parse_wish(text) for text in options.pop("inputs")]
    options["depends_on"] = [
        {"job": job_id, "on": on.value}
        for on in On
        for text in options.pop(on.value)
        for job_id in text.split(",")
    ]
    signing = signing_of(*(options.pop(f"sign_{name}") for name in ("key", "expires", "runs")))
    sites = (place["site"] or "").split(",")
    if len(sites) > 1:
        place["site"] = None
    client = client_of(place)
    with goes_on("the upload"), progress_bar("Uploading") as progress:
        submitted = client.submit(
            path,
            job=job,
            inputs=wishes,
            sites=sites if len(sites) > 1 else (),
            progress=progress,
            sign=signing,
            **options,
        )
    site = tell_silence(submitted)
    if len(sites) > 1 and site is not None:
        say(f"site {printable(site)} has taken it")
    if not wait:
        document = {"job": submitted.id, "location": submitted.location}
        if site is not None:
            document["site"] = site
        print_json(document) if as_json else click.echo(submitted.id)
        return 0
    if not as_json:
        click.echo(submitted.id)
    return wait_for_end(submitted, None, as_json)
