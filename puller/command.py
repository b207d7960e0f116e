"""`jobferry-puller`: the command that cron starts."""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
import time
from collections.abc import Sequence
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any

from puller import __version__
from puller.administration.invocation import Invocation
from puller.administration.subcommands import add_subcommands
from puller.errors import CloudRefused, HeldElsewhere, PullerError, SettingsError
from puller.inherited_signals import let_programs_react
from puller.settings import DEFAULT_FILE, ENVIRONMENT_PREFIX, Settings, load_settings

_LOG = logging.getLogger(__name__)

OK, FAILED, USAGE, MISCONFIGURED, REFUSED = 0, 1, 2, 3, 4

_EXAMPLES = f"""examples:
  jobferry-puller install --from settings.txt settings and crontab line
  jobferry-puller doctor                      what is wrong here, and how to mend it
  jobferry-puller status                      what this site holds
  jobferry-puller pass                        one pass, as cron starts it
  jobferry-puller pass --linger 55            keep passing for 55 s: jobs start within a second
  jobferry-puller --settings ./dc1.toml pass  with another settings file

`install` writes the crontab line. A second pass that finds one at work leaves at once.

Settings come from {DEFAULT_FILE}, from environment variables
({ENVIRONMENT_PREFIX}SITE, ...), and from flags; a later one wins.
A file named stop-submitting in the state directory stops every submission at once.

exit codes: 0 ok, 1 failed, 2 usage, 3 settings or credentials, 4 refused by the cloud
"""

_LOG_BYTES = 5 * 1024 * 1024
_LOG_FILES = 5


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(
        prog="jobferry-puller",
        description="Carries batch jobs from the site's bucket to the local scheduler, and the "
        "results back, over outbound HTTPS.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"jobferry-puller {__version__}")
    top.add_argument("--settings", type=Path, metavar="FILE", help=f"default: {DEFAULT_FILE}")
    top.add_argument("--verbose", action="store_true", help="tell on stderr what is done")
    for name in ("site", "scheduler", "jobs-dir", "state-dir", "profile"):
        top.add_argument(f"--{name}", metavar="VALUE", help="instead of the setting's value")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    one = commands.add_parser(
        "pass",
        help="make one pass",
        description="Looks at what the site holds, claims what waits, submits, pushes results.",
    )
    one.add_argument(
        "--linger",
        type=_seconds,
        default=0.0,
        metavar="SECONDS",
        help="keep passing for so long, so that a job that comes meanwhile starts at once",
    )
    add_subcommands(commands)
    return top


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 24 * 3600:
        raise argparse.ArgumentTypeError("between 0 and 86400 seconds")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the result is its exit code."""
    given = parser().parse_args(arguments)
    flags: dict[str, Any] = {
        name: getattr(given, name)
        for name in ("site", "scheduler", "jobs_dir", "state_dir", "profile")
    }
    try:
        if given.command != "pass":
            return _administer(Invocation(given=given, flags=flags, environment=os.environ))
        settings = load_settings(given.settings, os.environ, flags)
        _prepare_process(settings, verbose=given.verbose or sys.stderr.isatty())
        return _pass(settings, given.linger)
    except SettingsError as error:
        print(f"jobferry-puller: {error}", file=sys.stderr)  # noqa: T201 - no log file yet
        return MISCONFIGURED
    except HeldElsewhere as error:
        _LOG.warning("%s", error)
        return OK
    except CloudRefused as error:
        _LOG.error("%s", error)
        return REFUSED
    except (PullerError, OSError) as error:
        _LOG.error("%s", error)
        return FAILED


def _administer(invocation: Invocation) -> int:
    """Run a subcommand beside `pass`; it speaks on the terminal and not into the log."""
    logging.basicConfig(level=logging.WARNING, format="jobferry-puller: %(message)s", force=True)
    code: int = invocation.given.run(invocation)
    return code


def _prepare_process(settings: Settings, *, verbose: bool) -> None:
    os.umask(int(settings.umask, 8))
    let_programs_react()
    try:
        settings.state.mkdir(mode=0o700, parents=True, exist_ok=True)
        file = RotatingFileHandler(
            settings.state / "puller.log", maxBytes=_LOG_BYTES, backupCount=_LOG_FILES
        )
    except OSError as error:
        raise SettingsError(f"cannot write to the state directory: {error}") from error
    file.setFormatter(_UtcFormatter("%(asctime)s %(levelname)s %(message)s"))
    screen = logging.StreamHandler()
    screen.setFormatter(logging.Formatter("jobferry-puller: %(message)s"))
    screen.setLevel(logging.INFO if verbose else logging.ERROR)
    for name in ("puller", __name__):
        logging.getLogger(name).setLevel(settings.log_level)
    logging.basicConfig(level=logging.WARNING, handlers=[file, screen], force=True)


class _UtcFormatter(logging.Formatter):
    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"


def _pass(settings: Settings, linger: float) -> int:
    from puller.last_pass import PassNote
    from puller.lock import exclusive_lock, prepare_lock_dir
    from puller.pass_lock import pass_lock

    prepare_lock_dir(settings.locks)
    deadline = time.monotonic() + linger
    with exclusive_lock(pass_lock(settings)):
        # Only now what is slow to import: a pass that finds another at work costs nothing.
        from puller.lingering import Lingering
        from puller.site_pass import SitePass
        from puller.start import open_workplace

        host = socket.gethostname()
        note = PassNote(settings.state, host, __version__, time.time)
        try:
            place = open_workplace(settings)
            one = SitePass(place, host, lingering=linger > 0)
            outcome = Lingering(one, place, settings.linger_interval).run(deadline)
        except (PullerError, OSError) as error:
            note.ended(str(error))
            raise
        note.ended(outcome.refused or outcome.unreachable)
    if outcome.refused:
        return REFUSED
    return FAILED if outcome.unreachable else OK


if __name__ == "__main__":
    sys.exit(main())
