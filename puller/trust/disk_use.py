"""How much the jobs directory holds, measured seldom: the walk costs the file server."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from puller.durable_file import write_durably

MEASURE_AGAIN_AFTER = 600.0
"""Seconds."""

_FILE = "trust/disk.json"


class DiskUse:
    """The use of one jobs directory."""

    def __init__(self, jobs_dir: Path, state: Path, clock: Callable[[], float]) -> None:
        """Measure a directory.

        Args:
            jobs_dir: the directory.
            state: the installation's state directory, where the last measurement is kept.
            clock: the time in seconds since the epoch.
        """
        self._jobs_dir = jobs_dir
        self._file = state / _FILE
        self._clock = clock
        self._lock = threading.Lock()

    def used(self, without: frozenset[Path]) -> int:
        """Bytes of all files, as measured some minutes ago at most.

        Args:
            without: folders that are not looked into: those of running jobs.

        Raises:
            OSError: the measurement cannot be kept.
        """
        with self._lock:
            now = self._clock()
            with suppress(OSError, ValueError, TypeError):
                at, size = json.loads(self._file.read_bytes())
                if 0 <= now - float(at) < MEASURE_AGAIN_AFTER:
                    return int(size)
            measured = bytes_in(self._jobs_dir, without)
            self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            write_durably(self._file, json.dumps([now, measured]).encode())
            return measured


def bytes_in(folder: Path, without: frozenset[Path]) -> int:
    """Bytes of all files in a folder; what cannot be looked at counts nothing.

    Args:
        folder: the folder.
        without: folders in it that are not looked into.
    """
    size = 0
    ahead = [folder]
    while ahead:
        with suppress(OSError), os.scandir(ahead.pop()) as entries:
            for entry in entries:
                with suppress(OSError):
                    if not entry.is_dir(follow_symlinks=False):
                        size += entry.stat(follow_symlinks=False).st_size
                    elif Path(entry.path) not in without:
                        ahead.append(Path(entry.path))
    return size
