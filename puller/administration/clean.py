"""`jobferry-puller clean`: removes directories of published jobs, or the cache of shared inputs."""

from __future__ import annotations

import argparse
import re
import time
from datetime import UTC, datetime

from puller.administration.invocation import Invocation

_EXAMPLES = """examples:
  jobferry-puller clean --published --older-than 30d --dry-run  what would go
  jobferry-puller clean --published --older-than 30d            remove it
  jobferry-puller clean --cache                                 empty the cache of shared inputs

Only a directory goes that carries the mark of an allocation whose end this site has published at
least so long ago, that lies where the puller put it, and that nothing here still uses. Directories
of earlier runs (.jobferry/earlier) count too. What was interrupted goes on when it is called again.

A job directory keeps its shared inputs when the cache is emptied, and their space stays in use.
"""

_UNITS = {"h": 3600, "d": 86400, "w": 7 * 86400}
_WAIT_SECONDS = 150.0
_PUBLISHED_SECONDS = 30 * 86400


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `clean`."""
    parser = commands.add_parser(
        "clean",
        help="remove directories of published jobs",
        description="Removes directories of published jobs, or the cache of shared inputs.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument(
        "--published",
        action="store_true",
        help="directories of jobs whose end has been published",
    )
    what.add_argument("--cache", action="store_true", help="the cache of shared inputs")
    parser.add_argument(
        "--older-than",
        type=duration,
        metavar="AGE",
        help="since their end was published (default: 30d), or since a cached input was last used "
        "(default: all of them): 12h, 30d, 4w",
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
    return _clean_cache(invocation) if invocation.given.cache else _clean_published(invocation)


def _clean_cache(invocation: Invocation) -> int:
    from puller.administration.jobs_dir_owner import refuse_foreign
    from puller.pass_lock import between_passes
    from puller.shared_cache import cache_of

    given = invocation.given
    settings = invocation.settings()
    refuse_foreign(settings)
    cache = cache_of(settings, time.time)
    before = time.time() - (given.older_than or 0)
    if given.dry_run:
        wanted = [file for file in cache.kept() if file.used <= before]
        kept_on: list[str] = []
    else:
        with between_passes(settings, _WAIT_SECONDS):
            wanted = [file for file in cache.kept() if file.used <= before]
            kept_on = [file.name for file in wanted if not cache.discard(file.name)]
    freed = sum(file.size for file in wanted if not file.linked and file.name not in kept_on)
    count = len(wanted) - len(kept_on)
    if given.json:
        invocation.tell_json(
            {"dry_run": given.dry_run, "files": count, "freed_bytes": freed, "problems": kept_on}
        )
    else:
        verb = "to remove" if given.dry_run else "removed"
        invocation.tell(f"{count} shared inputs {verb}, {freed} bytes of them in no job directory")
    return 1 if kept_on else 0


def _clean_published(invocation: Invocation) -> int:
    from puller.administration.jobs_dir_owner import refuse_foreign
    from puller.finished import FinishedAllocations
    from puller.removal import Removal

    given = invocation.given
    settings = invocation.settings()
    refuse_foreign(settings)
    removal = Removal(settings, FinishedAllocations(settings.state).read())
    age = _PUBLISHED_SECONDS if given.older_than is None else given.older_than
    wanted = removal.plan(time.time() - age)
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
