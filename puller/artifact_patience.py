"""How long an artifact that cannot be fetched is tried again, and when: remembered on disk."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass

from puller.confined_tree import ConfinedTree
from puller.errors import UnsafePath

_FILE = "artifact-failures.json"
_LIMIT = 64 * 1024
_FIRST_WAIT = 15.0
_LONGEST_WAIT = 600.0


@dataclass(frozen=True, slots=True)
class Failures:
    """The failures of an allocation's artifacts since the last success. Times: since the epoch.

    Attributes:
        since: when the first of them was.
        count: how many.
        last: when the last of them was.
        reason: its message.
    """

    since: float
    count: int
    last: float
    reason: str

    @property
    def wait(self) -> float:
        """Seconds between the last failure and the next try."""
        return min(_FIRST_WAIT * float(1 << min(self.count - 1, 10)), _LONGEST_WAIT)

    def must_wait(self, now: float) -> bool:
        """Whether it is too early for the next try; a clock that was set back does not stop it."""
        return 0 <= now - self.last < self.wait

    def over(self, now: float, patience: float) -> bool:
        """Whether it has been tried for long enough."""
        return now - self.since >= patience


def load(control: ConfinedTree) -> Failures | None:
    """What is remembered in an allocation's control directory."""
    try:
        return Failures(**json.loads(control.read(_FILE, _LIMIT)))
    except (OSError, UnsafePath, ValueError, TypeError, RecursionError):
        return None


def failed(control: ConfinedTree, now: float, reason: str) -> Failures:
    """Remember a failure.

    Raises:
        OSError: it cannot be written.
    """
    before = load(control)
    if before is None or before.since > now:
        before = Failures(now, 0, now, "")
    failures = Failures(before.since, before.count + 1, now, reason[:4000])
    control.write(_FILE, json.dumps(asdict(failures)).encode())
    return failures


def succeeded(control: ConfinedTree) -> None:
    """Forget the failures.

    Raises:
        OSError: they cannot be removed.
    """
    with control.folder() as folder, suppress(FileNotFoundError):
        os.unlink(_FILE, dir_fd=folder)
