"""The `jobferry` command."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

try:
    import click
except ModuleNotFoundError:
    raise SystemExit("jobferry: click is not installed: pip install 'jobferry[client]'") from None

from jobferry import __version__
from jobferry.alloc_commands import alloc
from jobferry.audit_commands import audit
from jobferry.config_commands import config
from jobferry.doctor_command import doctor
from jobferry.errors import JobferryError
from jobferry.file_commands import fs, get, logs
from jobferry.job_commands import job
from jobferry.options import examples, say
from jobferry.rendering import printable
from jobferry.signing_commands import sign
from jobferry.single_dash import long_options, with_two_dashes
from jobferry.site_commands import site
from jobferry.state_commands import retry, status, stop, wait
from jobferry.submit_command import submit
from jobferry.token_commands import token
from jobferry.trust_commands import trust

_INTERRUPTED = 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code.

    0 done, 1 the job or the operation failed, 2 usage, 3 configuration or credentials, 4 refused
    by the cloud, 130 interrupted.
    """
    try:
        given = sys.argv[1:] if arguments is None else arguments
        code = cli.main(
            with_two_dashes(given, long_options(cli)), prog_name="jobferry", standalone_mode=False
        )
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except JobferryError as error:
        say("error: " + "\n".join(printable(line) for line in str(error).splitlines()))
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        say("interrupted")
        return _INTERRUPTED
    except BrokenPipeError:  # the reader (head, less) has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return code if isinstance(code, int) else 0


@click.group(
    help=examples(
        "jobferry submit simulation --wait",
        "jobferry status",
        "jobferry get simulation-20260102T030405Z-5e1f",
    )
    + """

Runs batch jobs on an on-premises computer that nothing outside can connect to.

The site is named by --site (and --stack), or its bucket by --bucket; profile, region and endpoint
follow AWS's own conventions (AWS_PROFILE, AWS_REGION, AWS_ENDPOINT_URL). The commands use the
deployment's HTTP API where you may use it, else the bucket (--via).

Exit codes: 0 done; 1 the operation failed; 2 usage; 3 configuration or credentials; 4 refused by
the cloud; of `wait` and --wait, the job's own.""",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__)
def cli() -> None:
    """See `help`."""


for _command in (submit, status, wait, stop, retry, get, logs, fs):
    cli.add_command(_command)
for _group in (job, alloc, site, token, config, doctor, sign, trust, audit):
    cli.add_command(_group)
for _short_form in (wait, retry, get):
    job.add_command(_short_form)
