"""`jobferry-puller audit`: whether the audit log is as it was written; what it says of a job."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict

from puller.administration.invocation import Invocation
from puller.errors import PullerError

_EXAMPLES = """examples:
  jobferry-puller audit verify
  jobferry-puller audit verify --entry SHA256   also: that this entry is there
  jobferry-puller audit show job0001            for: jobferry audit verify job0001 --site-log FILE

The log is STATE_DIR/audit.log, one JSON object a line: what was submitted, refused and sent out of
the site. The system's log has the SHA-256 of each entry (entry=...): look one of the last up there,
to see that the end was not cut off. Exit code 1: a line was changed, removed or put in, or the
entry is missing.
"""


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `audit`."""
    parser = commands.add_parser(
        "audit",
        help="verify the audit log",
        description="The audit log of this installation.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    verifying = actions.add_parser("verify", help="verify the chain of its lines")
    verifying.set_defaults(run=run)
    verifying.add_argument("--entry", type=_digest, metavar="SHA256", help="it must be there")
    verifying.add_argument("--json", action="store_true", help="tell it as JSON")
    showing = actions.add_parser("show", help="print the entries of a job, one JSON object a line")
    showing.set_defaults(run=show)
    showing.add_argument("job", metavar="JOB", help="the job id")


def _digest(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text):
        raise argparse.ArgumentTypeError("64 hex digits, as `entry=` in the system's log")
    return text


def show(invocation: Invocation) -> int:
    """Print the entries of a job."""
    from puller.audit import FILE, entries_of

    settings = invocation.settings()
    try:
        found = list(entries_of(settings.state, invocation.given.job))
    except FileNotFoundError:
        raise PullerError(f"there is no audit log {settings.state / FILE}") from None
    for line in found:
        invocation.tell(line)
    return 0 if found else 1


def run(invocation: Invocation) -> int:
    """Verify and tell."""
    from puller.audit import FILE, verify

    settings = invocation.settings()
    path = settings.state / FILE
    try:
        found = verify(settings.state, invocation.given.entry)
    except FileNotFoundError:
        raise PullerError(f"there is no audit log {path}: nothing has happened yet") from None
    sound = not found.problems and found.has_wanted
    if invocation.given.json:
        invocation.tell_json({"ok": sound, **asdict(found)})
        return 0 if sound else 1
    for problem in found.problems:
        invocation.tell(f"{path}: {problem}")
    if not found.has_wanted:
        invocation.tell(f"{path}: the entry {invocation.given.entry} is not there")
    invocation.tell(f"{path}: {found.entries} entries, the last is {found.last}")
    return 0 if sound else 1
