"""When the last pass began and what became of it, for people who look at the site.

It says nothing that a pass depends on, so it is written without ceremony and may be lost.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

_NAME = "last-pass.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class LastPass:
    """One run of `jobferry-puller pass`, lingering included.

    Attributes:
        host: where it ran.
        pid: its process id there.
        version: the puller's version.
        began: seconds since the epoch.
        ended: the same; None while it runs, or when it was killed.
        problem: why it could not do its work, if so.
    """

    host: str
    pid: int
    version: str
    began: int
    ended: int | None = None
    problem: str | None = None


def read_last_pass(state: Path) -> LastPass | None:
    """The last pass; None before the first one, or if its note cannot be read."""
    try:
        return LastPass(**json.loads((state / _NAME).read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


class PassNote:
    """Notes one pass."""

    def __init__(self, state: Path, host: str, version: str, clock: Callable[[], float]) -> None:
        """Note that it begins."""
        self._state = state
        self._clock = clock
        self._note = LastPass(host=host, pid=os.getpid(), version=version, began=int(clock()))
        self._write(self._note)

    def ended(self, problem: str | None) -> None:
        """Note that it ended.

        Args:
            problem: why it could not do its work, if so.
        """
        self._write(replace(self._note, ended=int(self._clock()), problem=problem))

    def _write(self, note: LastPass) -> None:
        temporary = self._state / f".{_NAME}.tmp"
        with suppress(OSError):
            temporary.write_text(json.dumps(asdict(note)), encoding="utf-8")
            temporary.replace(self._state / _NAME)
