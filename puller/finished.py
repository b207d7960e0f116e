"""Which allocations this site has brought to their published end, so that `clean` may remove them.

A few files of lines, the newest appended to, the oldest dropped: some 300,000 allocations at most.
What has been dropped, or was lost with the state directory, is never cleaned up by a program.
"""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path

_NAME = "finished"
_MAX_BYTES = 4 * 1024 * 1024
_OLDER_FILES = 3
_LINE = re.compile(r"([0-9A-Za-z-]{1,64}) (\d{10})")


class FinishedAllocations:
    """The record of one installation. Threads of one process may share it."""

    def __init__(self, state: Path, *, max_bytes: int = _MAX_BYTES) -> None:
        """Name the record; nothing is touched yet.

        Args:
            state: the installation's state directory.
            max_bytes: of one file.
        """
        self._files = [state / _NAME, *(state / f"{_NAME}.{n}" for n in range(1, _OLDER_FILES + 1))]
        self._max_bytes = max_bytes
        self._lock = threading.Lock()

    def add(self, allocation_id: str, at: int) -> None:
        """Remember that an allocation's end has been published; it survives a power cut.

        A line begins with its line break, so that it is whole even behind one that was cut.

        Args:
            allocation_id: the allocation.
            at: when, in seconds since the epoch.

        Raises:
            OSError: the disk did not take it.
        """
        line = f"\n{allocation_id} {at}".encode()
        with self._lock:
            self._rotate()
            descriptor = os.open(
                self._files[0], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                if os.write(descriptor, line) != len(line):
                    raise OSError(f"{self._files[0]}: the disk took only a part of a line")
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def read(self) -> dict[str, int]:
        """When each allocation's end was published, in seconds since the epoch."""
        found: dict[str, int] = {}
        for file in reversed(self._files):
            try:
                text = file.read_text(encoding="ascii", errors="replace")
            except FileNotFoundError:
                continue
            for line in text.split("\n"):
                if (match := _LINE.fullmatch(line)) is not None:
                    found[match[1]] = int(match[2])
        return found

    def _rotate(self) -> None:
        try:
            if self._files[0].stat().st_size < self._max_bytes:
                return
        except FileNotFoundError:
            return
        for older, newer in zip(self._files[:0:-1], self._files[-2::-1], strict=True):
            if newer.exists():
                newer.replace(older)
