"""What was submitted, refused and sent out of the site: a log whose lines are chained.

It is only appended to. Each line holds the SHA-256 of the line before it, so that a line which is
changed, removed or put in is found (`jobferry-puller audit verify`). What the chain cannot show, a
cut-off end, shows in the system's log: each entry goes there too, with its own SHA-256.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_LOG = logging.getLogger(__name__)

FILE = "audit.log"
BEGIN = "0" * 64
"""In place of the SHA-256 of the line before the first."""

_AFTER_CUT = "after_cut_line"
_DEV_LOG = Path("/dev/log")
_BLOCK = 64 * 1024


class AuditLog:
    """The audit log of one installation. Threads and processes may share it."""

    def __init__(
        self,
        state: Path,
        site: str,
        clock: Callable[[], float],
        system_log: Callable[[str], None] | None = None,
    ) -> None:
        """Name the log; nothing is touched yet.

        Args:
            state: the installation's state directory.
            site: the site, for each entry.
            clock: the time in seconds since the epoch.
            system_log: takes a line for the system's log; None is syslog, where it is.
        """
        self._path = state / FILE
        self._site = site
        self._clock = clock
        self._system_log = system_log or to_syslog

    def write(self, event: str, **facts: str | int | None) -> None:
        """Write an entry; it survives a power cut. A disk that does not take it stops no job.

        Args:
            event: what happened, a word.
            facts: of it; what is None is left out.
        """
        entry: dict[str, Any] = {
            "at": datetime.fromtimestamp(int(self._clock()), UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "site": self._site,
            "event": event,
            **{name: value for name, value in facts.items() if value is not None},
        }
        try:
            digest = self._append(entry)
        except OSError as error:
            _LOG.error("the audit log %s does not take an entry: %s", self._path, error)
            digest = "none"
        told = " ".join(f"{name}={json.dumps(value)}" for name, value in entry.items())
        self._system_log(f"{told} entry={digest}")

    def _append(self, entry: dict[str, Any]) -> str:
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            last = _last_line(descriptor)
            open_end = last is not None and not last.endswith(b"\n")
            cut = open_end or (last is not None and _entry(last) is None)
            previous = BEGIN if last is None else digest_of(last)
            chained = {**entry, **({_AFTER_CUT: True} if cut else {}), "previous": previous}
            line = json.dumps(chained).encode() + b"\n"
            content = b"\n" + line if open_end else line
            if os.write(descriptor, content) != len(content):
                raise OSError("the disk took only a part of a line")
            os.fsync(descriptor)
            return digest_of(line)
        finally:
            os.close(descriptor)


def to_syslog(line: str) -> None:
    """Write a line to the system's log, on machines that have one."""
    if not _DEV_LOG.exists():
        return
    import syslog  # only a pass with something to tell needs it

    syslog.openlog("jobferry-puller", syslog.LOG_PID, syslog.LOG_USER)
    syslog.syslog(syslog.LOG_INFO, line)


def digest_of(line: bytes) -> str:
    """The SHA-256 of a line without its line break, in hex."""
    return hashlib.sha256(line.rstrip(b"\n")).hexdigest()


def _last_line(descriptor: int) -> bytes | None:
    """The last line of a file, with its line break if it has one; None if there is no line."""
    end = os.fstat(descriptor).st_size
    found = b""
    while end > 0:
        begin = max(0, end - _BLOCK)
        found = os.pread(descriptor, end - begin, begin) + found
        end = begin
        at = found.rstrip(b"\n").rfind(b"\n")
        if at >= 0:
            return found[at + 1 :]
    return found or None


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found.

    Attributes:
        entries: how many entries were read.
        last: the SHA-256 of the last one.
        problems: each line that does not follow from the one before it, a sentence.
        has_wanted: whether the wanted entry is among them.
    """

    entries: int
    last: str
    problems: tuple[str, ...]
    has_wanted: bool


def verify(state: Path, wanted: str | None = None) -> Verified:
    """Read the whole chain.

    Args:
        state: the installation's state directory.
        wanted: the SHA-256 of an entry that must be there, as the system's log shows it.

    Raises:
        OSError: it cannot be read.
    """
    problems: list[str] = []
    previous, count, cut, has_wanted = BEGIN, 0, False, wanted is None
    for number, line in _lines(state / FILE):
        entry = _entry(line)
        digest = digest_of(line)
        if entry is None or not line.endswith(b"\n"):
            cut = True  # the next entry has to say so
        else:
            if entry.get("previous") != previous:
                problems.append(f"line {number} does not follow the line before it")
            elif cut and not entry.get(_AFTER_CUT):
                problems.append(f"line {number - 1} is no entry")
            cut = False
            count += 1
            has_wanted = has_wanted or digest == wanted
        previous = digest
    if cut:
        problems.append("the last line is no whole entry")
    return Verified(count, previous, tuple(problems), has_wanted)


def entries_of(state: Path, job: str) -> Iterator[str]:
    """The lines of the log that are about a job.

    Args:
        state: the installation's state directory.
        job: the job id.

    Raises:
        OSError: it cannot be read.
    """
    for _, line in _lines(state / FILE):
        entry = _entry(line)
        if entry is not None and entry.get("job") == job:
            yield line.decode(errors="replace").rstrip("\n")


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        yield from enumerate(file, 1)


def _entry(line: bytes) -> dict[str, Any] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) else None
