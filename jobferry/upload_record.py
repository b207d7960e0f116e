"""Remembers uploads that were begun, so that the same command goes on where it broke off.

Two that upload the same files at the same time are two submissions: a record has one holder.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Self

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

_FIELDS = {"job_id", "site", "upload", "parts"}
_BEYOND = 2**30
"""A byte that no record reaches: on Windows what is locked cannot be read."""


@dataclass(frozen=True, slots=True)
class Begun:
    """A submission whose files are not all there yet.

    Attributes:
        job_id: the job.
        site: its site; over S3 its bucket.
        upload: the submission's id, which starts it; over S3 there is none.
        parts: over S3, the multipart upload of each large file that was begun, by its path.
    """

    job_id: str
    site: str
    upload: str
    parts: Mapping[str, str] = field(default_factory=dict)


class UploadRecord:
    """One file per submission, named after what is submitted and where to; a context manager.

    Where it cannot be written, or another process holds it, nothing is remembered.
    """

    def __init__(self, folder: Path, *about: str) -> None:
        """A record that may be there.

        Args:
            folder: where the records are.
            about: what tells the submission from others.
        """
        name = hashlib.sha256("\0".join(about).encode("utf-8", "surrogatepass")).hexdigest()
        self._path = folder / f"{name}.json"
        self._file: IO[str] | None = None

    def __enter__(self) -> Self:
        """Hold it."""
        file = None
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            file = self._path.open("a+", encoding="utf-8")
            _lock(file)
        except OSError:
            if file is not None:
                file.close()
        else:
            self._file = file
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let go of it; one that says nothing is removed."""
        if self._file is None:
            return
        says_nothing = self.read() is None
        self._file.close()
        self._file = None
        if says_nothing:
            try:
                self._path.unlink(missing_ok=True)
            except OSError:
                return

    def read(self) -> Begun | None:
        """What was begun; None if nothing was."""
        if self._file is None:
            return None
        try:
            self._file.seek(0)
            document = json.loads(self._file.read())
        except (OSError, ValueError):
            return None
        if not isinstance(document, dict) or document.keys() != _FIELDS:
            return None
        parts = document.pop("parts")
        if not isinstance(parts, dict):
            return None
        return Begun(
            **{name: str(value) for name, value in document.items()},
            parts={path: str(upload) for path, upload in parts.items()},
        )

    def write(self, begun: Begun) -> None:
        """Remember."""
        self._replace(json.dumps(asdict(begun)))

    def forget(self) -> None:
        """It is over."""
        self._replace("")

    def _replace(self, text: str) -> None:
        if self._file is None:
            return
        try:
            self._file.truncate(0)
            self._file.write(text)
            self._file.flush()
        except OSError:
            return


def _lock(file: IO[str]) -> None:
    """Hold a file until it is closed, or the process has died; OSError if another one does."""
    if sys.platform == "win32":
        file.seek(_BEYOND)
        msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def folder_of(environment: Mapping[str, str]) -> Path:
    """Where this user's records are: `jobferry/uploads` of `XDG_STATE_HOME`."""
    base = environment.get("XDG_STATE_HOME") or environment.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".local/state") / "jobferry" / "uploads"


def own_folder() -> Path:
    """`folder_of` the environment of this process."""
    return folder_of(os.environ)
