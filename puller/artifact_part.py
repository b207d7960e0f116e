"""The file that an artifact is fetched into: resumed where the server can, bounded in size."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import IO

from puller.confined_tree import ConfinedTree
from puller.errors import ArtifactRefused, ArtifactUnavailable, UnsafePath

FILE = "download"
_NOTE = "download.json"
_NOTE_LIMIT = 64 * 1024

SLICE = 300.0
"""Seconds after which a transfer that can be resumed leaves the rest to the next pass: what else
the site holds waits for the end of this one."""

_SYNC_BYTES = 256 * 1024 * 1024


class ArtifactUnfinished(ArtifactUnavailable):
    """A transfer goes well, and goes on in the next pass."""


@dataclass(frozen=True, slots=True)
class ArtifactPart:
    """What has arrived of one file.

    Attributes:
        folder: the artifact's work folder.
        limit: bytes that the file may have.
        longest: seconds that a transfer may take which cannot be resumed.
        clock: a clock that only goes forward, in seconds.
    """

    folder: ConfinedTree
    limit: int
    longest: float = 3600.0
    clock: Callable[[], float] = time.monotonic

    def begun(self) -> tuple[int, str | None]:
        """How many bytes are safely here, and by what the server knows what they are part of."""
        try:
            note = json.loads(self.folder.read(_NOTE, _NOTE_LIMIT))
            size, validator = int(note["size"]), str(note["validator"])
            return (size, validator) if self.folder.lstat(FILE).st_size >= size else (0, None)
        except (OSError, UnsafePath, ValueError, KeyError, TypeError):
            return 0, None

    def take(self, start: int, validator: str | None, blocks: Iterable[bytes]) -> None:
        """Write what arrives, from byte `start` on.

        Args:
            start: what `begun` said, or 0.
            validator: by what the server will know the file; None if it cannot be resumed.
            blocks: the content from there on.

        Raises:
            ArtifactRefused: it is larger than the limit.
            ArtifactUnfinished: it takes long, and can be resumed.
            ArtifactUnavailable: it took too long.
            OSError: it cannot be written.
        """
        if start == 0:
            self.forget()
        flags = os.O_RDWR | os.O_CREAT
        with os.fdopen(self.folder.open_file(FILE, flags, mode=0o777), "r+b") as file:
            file.truncate(start)
            size = synced = file.seek(start)
            until = self.clock() + (self.longest if validator is None else SLICE)
            try:
                for block in blocks:
                    size += len(block)
                    self.check(size)
                    file.write(block)
                    if size - synced > _SYNC_BYTES:
                        self._note(file, validator)
                        synced = size
                    self._check_time(until, size, validator)
            finally:
                self._note(file, validator)

    def check(self, size: int) -> None:
        """Refuse a file of so many bytes, if it is too large.

        Raises:
            ArtifactRefused: it is.
        """
        if size > self.limit:
            raise ArtifactRefused(
                f"it has more than {self.limit} bytes, the site's max_artifact_bytes; fetch a "
                "smaller one, or ask the site's administrator"
            )

    def _check_time(self, until: float, size: int, validator: str | None) -> None:
        if self.clock() <= until:
            return
        if validator is not None:
            raise ArtifactUnfinished(f"{size} bytes have arrived; the next pass fetches more")
        raise ArtifactUnavailable(f"the transfer took longer than {self.longest:.0f} s")

    def _note(self, file: IO[bytes], validator: str | None) -> None:
        """Say how much is on the disk for good."""
        file.flush()
        os.fsync(file.fileno())
        if validator is not None:
            note = {"size": file.tell(), "validator": validator}
            self.folder.write(_NOTE, json.dumps(note).encode())

    def forget(self) -> None:
        """Begin anew."""
        with self.folder.folder() as folder:
            for name in (_NOTE, FILE):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=folder)
