"""How often each signed document has run here: on disk, before the submission, once for each claim.

One small file for each document, by its SHA-256, replaced whole and synced. A run is known by the
token of the allocation's claim, which this site makes: the same submission tried again after a
crash has the same token and is one run, and an allocation that the cloud offers a second time has
another.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from puller.durable_file import write_durably
from puller.errors import NotNow, Refused

_FOLDER = "trust/runs"
_SINCE = "since"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One run of a signed job.

    Attributes:
        document: the SHA-256 of the signed document, in hex.
        selector: its line that names the job; runs are counted by it.
        token: the token of the claim.
        job: the job, for people.
    """

    document: str
    selector: str
    token: str
    job: str


class RunCounts:
    """The counts of one installation."""

    def __init__(self, state: Path) -> None:
        """Name the counts; nothing is touched yet.

        Args:
            state: the installation's state directory.
        """
        self._folder = state / _FOLDER

    def since(self, now: int) -> int:
        """Since when runs are counted here, in seconds since the epoch.

        The first call makes it now. What was signed before may have run already without being
        counted, or its count may be lost.

        Raises:
            NotNow: the disk does not say.
        """
        file = self._folder / _SINCE
        try:
            return int(file.read_text(encoding="ascii"))
        except FileNotFoundError:
            pass
        except (OSError, ValueError) as error:
            raise _unknown(error) from error
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if any(self._folder.glob("*.json")):
                raise _unknown(f"{file} is missing beside counts")
            write_durably(file, f"{now}\n".encode())
        except OSError as error:
            raise _unknown(error) from error
        return now

    def check_left(self, run: Run, most: int) -> None:
        """Whether a run may be counted.

        Raises:
            Refused: they are used up.
            NotNow: the disk does not say.
        """
        with self._changed(run) as tokens:
            if run.token not in tokens and len(tokens) >= most:
                raise Refused(_used_up(run, most, None))

    def count(self, run: Run, most: int, what: str | None = None) -> int:
        """Count a run, unless it is counted already; the result is which run it is, from 1.

        Args:
            run: the run.
            most: how many were signed.
            what: what is counted, for the message; None for the runs of a signed job.

        Raises:
            Refused: they are used up.
            NotNow: the disk does not take it; it must not be submitted.
        """
        with self._changed(run) as tokens:
            if run.token not in tokens:
                if len(tokens) >= most:
                    raise Refused(_used_up(run, most, what))
                tokens.append(run.token)
            return tokens.index(run.token) + 1

    def take_back(self, run: Run) -> None:
        """Take back a run that surely did not take place: the scheduler had no room.

        Raises:
            NotNow: the disk does not take it.
        """
        with self._changed(run) as tokens:
            if run.token in tokens:
                tokens.remove(run.token)

    @contextmanager
    def _changed(self, run: Run) -> Iterator[list[str]]:
        """The tokens counted so far; what the block makes of them is written."""
        file = self._folder / f"{run.document}.json"
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _locked(self._folder / "lock"):
                counted = _read(file)
                tokens = counted.setdefault(run.selector, [])
                before = list(tokens)
                yield tokens
                if tokens != before:
                    write_durably(file, json.dumps(counted, ensure_ascii=False).encode())
        except OSError as error:
            raise _unknown(error) from error


def _used_up(run: Run, most: int, what: str | None) -> str:
    if what is not None:
        return f"the {most} {what} took place already"
    runs = "run" if most == 1 else "runs"
    return (
        f"it was signed for {most} {runs} (`{run.selector}`), which took place already; "
        "sign it again"
    )


def _read(file: Path) -> dict[str, list[str]]:
    try:
        document: Any = json.loads(file.read_bytes())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise _unknown(f"{file}: {error}") from error
    if not isinstance(document, dict) or not all(isinstance(v, list) for v in document.values()):
        raise _unknown(f"{file} is no count of runs")
    return document


@contextmanager
def _locked(lock: Path) -> Iterator[None]:
    """Hold a lock against other threads and processes, wherever the file system has locks."""
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _unknown(error: object) -> NotNow:
    return NotNow(
        f"the count of runs cannot be kept, so nothing that is signed is submitted: {error}; "
        "the site's administrator has to look at the state directory"
    )
