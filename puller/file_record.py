"""Which files were staged or pushed, in which state: an append-only record that survives a crash.

One line per file in a file of the allocation's control directory. A line that a crash cut off is
as good as none: what it was about is done again.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

from puller.confined_tree import ConfinedTree

_LIMIT = 1 << 30


@dataclass(frozen=True, slots=True)
class FileState:
    """By what a file is known to be unchanged.

    A program that rewrites a file with as many bytes and then sets back its time of modification
    goes unnoticed.

    Attributes:
        size: bytes.
        mtime_ns: time of modification, in nanoseconds since the epoch.
        mode: permission bits.
    """

    size: int
    mtime_ns: int
    mode: int

    @staticmethod
    def of(status: os.stat_result) -> FileState:
        """The state that a `stat` shows."""
        return FileState(status.st_size, status.st_mtime_ns, status.st_mode & 0o7777)

    def same_content(self, other: FileState) -> bool:
        """Whether at most the permission bits differ."""
        return (self.size, self.mtime_ns) == (other.size, other.mtime_ns)


NO_STATE = FileState(0, 0, 0)
"""In place of the state of a folder."""


class FileRecord:
    """A record in a control directory. Use it as a context manager to append.

    Attributes:
        files: what is recorded, by relative path; a folder's path ends in `/`.
    """

    def __init__(self, control: ConfinedTree, name: str) -> None:
        """Read the record `name` of a control directory; a missing one is empty.

        Raises:
            OSError: it cannot be read.
        """
        self._control = control
        self._name = name
        self._descriptor: int | None = None
        self.files: dict[str, FileState] = {}
        try:
            lines = control.read(name, _LIMIT).splitlines()
        except FileNotFoundError:
            lines = []
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            path, size, mtime_ns, mode = json.loads(line)
            self.files[str(path)] = FileState(int(size), int(mtime_ns), int(mode))
        except (ValueError, TypeError):
            return

    def replace(self, files: Mapping[str, FileState]) -> None:
        """Forget what was recorded and record `files` instead, in one step.

        Raises:
            OSError: it cannot be written; the record is as it was.
        """
        content = b"".join(_line(path, state) for path, state in files.items())
        self._control.write(self._name, content)
        self.files = dict(files)

    def add(self, path: str, state: FileState) -> None:
        """Append one file.

        Raises:
            OSError: it cannot be written.
        """
        self.files[path] = state
        if self._descriptor is None:
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            self._descriptor = self._control.open_file(self._name, flags)
            os.write(self._descriptor, b"\n")  # ends a line that a crash cut off
        os.write(self._descriptor, _line(path, state))

    def add_if_possible(self, path: str, state: FileState) -> None:
        """Append one file, or only remember it: a full disk must not keep results from leaving."""
        with suppress(OSError):
            self.add(path, state)

    def __enter__(self) -> FileRecord:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _line(path: str, state: FileState) -> bytes:
    return json.dumps([path, state.size, state.mtime_ns, state.mode]).encode() + b"\n"
