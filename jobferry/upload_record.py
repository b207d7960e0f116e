"""Remembers uploads that were begun, so that the same command goes on where it broke off."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

_FIELDS = {"job_id", "site", "upload"}


@dataclass(frozen=True, slots=True)
class Begun:
    """A submission whose files are not all there yet.

    Attributes:
        job_id: the job.
        site: its site.
        upload: the submission's id, which starts it.
    """

    job_id: str
    site: str
    upload: str


class UploadRecord:
    """One file per submission, named after what is submitted and where to."""

    def __init__(self, folder: Path, *about: str) -> None:
        """A record that may be there.

        Args:
            folder: where the records are.
            about: what tells the submission from others.
        """
        name = hashlib.sha256("\0".join(about).encode("utf-8", "surrogatepass")).hexdigest()
        self._path = folder / f"{name}.json"

    def read(self) -> Begun | None:
        """What was begun; None if nothing was."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        if not isinstance(document, dict) or document.keys() != _FIELDS:
            return None
        return Begun(**{name: str(document[name]) for name in _FIELDS})

    def write(self, begun: Begun) -> None:
        """Remember; without a place to write to, the next run starts anew."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.write_text(json.dumps(asdict(begun)), encoding="utf-8")
        except OSError:
            return

    def forget(self) -> None:
        """It is over."""
        try:
            self._path.unlink(missing_ok=True)
        except OSError:
            return


def folder_of(environment: Mapping[str, str]) -> Path:
    """Where this user's records are: `jobferry/uploads` of `XDG_STATE_HOME`."""
    base = environment.get("XDG_STATE_HOME") or environment.get("LOCALAPPDATA")
    return (Path(base) if base else Path.home() / ".local/state") / "jobferry" / "uploads"


def own_folder() -> Path:
    """`folder_of` the environment of this process."""
    return folder_of(os.environ)
