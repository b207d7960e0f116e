"""`jobferry-puller clean`: removes directories of jobs whose results are in the bucket."""

from __future__ import annotations

import argparse
import re
import time
from datetime import UTC, datetime

from puller.administration.invocation import Invocation

_EXAMPLES = """examples:
  jobferry-puller clean --published --older-than 30d --dry-run  what would go
  jobferry-puller clean --published --older-than 30d            remove it

Only a directory goes that carries the mark of an allocation whose end this site has published at
least so long ago, that lies where the puller put it, and that nothing here still uses. Directories
of earlier runs (.jobferry/earlier) count too. What was interrupted goes on when it is called again.
"""

_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_WAIT_SECONDS = 150.0


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `clean`."""
    parser = commands.add_parser(
        "clean",
        help="remove directories of published jobs",
        description="Removes directories of jobs whose results are in the bucket.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "--published",
        action="store_true",
        required=True,
        help="of jobs whose end has been published; nothing else can be asked for",
    )
    parser.add_argument(
        "--older-than",
        type=duration,
        default=duration("30d"),
        metavar="AGE",
        help="since their end was published: 12h, 30d, 4w; default: 30d",
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")
    parser.add_argument("--json", action="store_true", help="tell it as JSON")


def duration(text: str) -> int:
    """Seconds of an age such as `30d`.

    Raises:
        argparse.ArgumentTypeError: it is none.
    """
    found = re.fullmatch(r"([0-9]{1,6})([hdw])", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r}: write 12h, 30d or 4w")
    return int(found[1]) * _UNITS[found[2]]


def run(invocation: Invocation) -> int:
    """Clean up, or say what would go."""
    from puller.administration.jobs_dir_owner import refuse_foreign
    from puller.finished import FinishedAllocations
    from puller.removal import Removal

    given = invocation.given
    settings = invocation.settings()
    refuse_foreign(settings)
    removal = Removal(settings, FinishedAllocations(settings.state).read())
    wanted = removal.plan(time.time() - given.older_than)
    if not given.dry_run:
        wanted = removal.put_aside(wanted, wait=_WAIT_SECONDS)
    problems = [] if given.dry_run else removal.delete_put_aside()
    if given.json:
        rows = [
            {"path": d.path, "job": d.job, "allocation": d.allocation, "published": _utc(at)}
            for d, at in wanted
        ]
        invocation.tell_json({"dry_run": given.dry_run, "removed": rows, "problems": problems})
    else:
        verb = "would remove" if given.dry_run else "removed"
        for directory, at in wanted:
            told = datetime.fromtimestamp(at).astimezone().isoformat(" ", "minutes")
            invocation.tell(f"{verb} {settings.jobs_dir / directory.path} (published {told})")
        for problem in problems:
            invocation.tell(problem)
        invocation.tell(f"{len(wanted)} directories {'to remove' if given.dry_run else 'removed'}")
    return 1 if problems else 0


def _utc(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
