"""`jobferry-puller trust`: session keys, with which somebody signs jobs for some hours."""

from __future__ import annotations

import argparse
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from job_protocol.settings_document import seconds_of
from puller.administration.invocation import Invocation
from puller.errors import PullerError

if TYPE_CHECKING:
    from puller.trust.session_keys import SessionKey, SessionKeys

_EXAMPLES = """examples:
  jobferry-puller trust add 'ssh-ed25519 AAAA... alice' --for 12h --max-jobs 200 --max-nodes 4
  jobferry-puller trust add session_key.pub --name alice-today
  jobferry-puller trust list
  jobferry-puller trust remove alice-today

`jobferry trust request` in the cloud makes such a key and prints what to type here. The site's
policy says whether session keys are allowed, and their upper bounds.
"""

_PUBLIC_KEY_BYTES = 64 * 1024


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `trust`."""
    parser = commands.add_parser(
        "trust",
        help="allow a key to sign jobs for some hours",
        description="Session keys: keys that may sign jobs of this site for some hours.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    adding = actions.add_parser("add", help="allow a key")
    adding.add_argument("key", nargs="+", metavar="KEY", help="a public key, or its file")
    adding.add_argument(
        "--for",
        dest="seconds",
        type=_seconds,
        default=_seconds("12h"),
        metavar="TIME",
        help="how long; default: 12h",
    )
    adding.add_argument(
        "--max-jobs", type=int, default=100, metavar="N", help="how many jobs may run; default: 100"
    )
    adding.add_argument(
        "--max-nodes", type=int, metavar="N", help="how many nodes each may ask for"
    )
    adding.add_argument("--name", help="what it is called; default: the key's comment")
    listing = actions.add_parser("list", help="show the keys")
    removing = actions.add_parser("remove", help="do not allow a key any more")
    removing.add_argument("key", metavar="NAME", help="its name or fingerprint")
    for action, run in ((adding, _add), (listing, _list), (removing, _remove)):
        action.set_defaults(run=run)
        action.add_argument("--json", action="store_true", help="tell it as JSON; times in UTC")


def _seconds(text: str) -> int:
    try:
        seconds = seconds_of(int(text) if text.isdecimal() else text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    if not isinstance(seconds, int) or seconds < 1:
        raise argparse.ArgumentTypeError("at least one second")
    return seconds


def _add(invocation: Invocation) -> int:
    from puller.trust.session_keys import HOUR, allowed, public_key

    given = invocation.given
    keys, bounds = _keys(invocation)
    text, comment = public_key(_key_text(given.key))
    key = allowed(
        given.name or comment.replace(" ", "-") or "session",
        text,
        now=int(time.time()),
        hours=given.seconds / HOUR,
        jobs=given.max_jobs,
        nodes=given.max_nodes,
        bounds=bounds,
    )
    keys.add(key)
    _tell(invocation, [key])
    return 0


def _list(invocation: Invocation) -> int:
    keys, _ = _keys(invocation)
    _tell(invocation, keys.all())
    return 0


def _remove(invocation: Invocation) -> int:
    keys, _ = _keys(invocation)
    wanted = invocation.given.key
    gone = keys.remove(wanted)
    if not gone:
        raise PullerError(
            f"no session key has the name or fingerprint {wanted!r}: see `trust list`"
        )
    _tell(invocation, gone)
    return 0


def _keys(invocation: Invocation) -> tuple[SessionKeys, Any]:
    from puller.trust.policy import load_policy
    from puller.trust.session_keys import SessionKeys

    settings = invocation.settings()
    if settings.policy is None:
        raise PullerError(
            f"site {settings.site} has no policy, so it asks for no signatures; see "
            "docs/operations.md, 'A site that need not trust the cloud'"
        )
    bounds = load_policy(settings.policy).session_keys
    if bounds is None:
        raise PullerError(f"the policy {settings.policy} does not allow session keys")
    os.umask(int(settings.umask, 8))
    return SessionKeys(settings.state, bounds), bounds


def _key_text(words: list[str]) -> str:
    if len(words) == 1 and " " not in words[0]:
        path = Path(words[0]).expanduser()
        try:
            with path.open("rb") as file:
                return file.read(_PUBLIC_KEY_BYTES).decode(errors="replace")
        except OSError as error:
            raise PullerError(
                f"{words[0]!r} is neither a public key nor a file that can be read ({error})"
            ) from error
    return " ".join(words)


def _tell(invocation: Invocation, keys: list[SessionKey]) -> None:
    now = time.time()
    if invocation.given.json:
        invocation.tell_json(
            [
                {
                    "name": key.name,
                    "fingerprint": key.fingerprint,
                    "added": _utc(key.added),
                    "until": _utc(key.until),
                    "counts": now < key.until,
                    "max_jobs": key.max_jobs,
                    "max_nodes": key.max_nodes,
                }
                for key in keys
            ]
        )
        return
    for key in keys:
        until = datetime.fromtimestamp(key.until).astimezone().isoformat(" ", "minutes")
        nodes = "" if key.max_nodes is None else f", {key.max_nodes} nodes"
        ended = "" if now < key.until else " (ended)"
        invocation.tell(
            f"{key.name}  {key.fingerprint}  until {until}{ended}, {key.max_jobs} jobs{nodes}"
        )


def _utc(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")
