"""What a policy bounds of all jobs together: at a time, in a day, on disk, out of the site."""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import datetime, time
from pathlib import Path

from puller.durable_file import write_durably
from puller.errors import NotNow

_FOLDER = "trust/days"
_KEPT_DAYS = 7
_SPAN = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])-([01][0-9]|2[0-3]):([0-5][0-9])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """Bounds for all jobs together. None means that the policy says nothing of it.

    Attributes:
        active_jobs: jobs that the scheduler has at a time.
        jobs_a_day: submissions in a day, by the site's clock.
        disk: bytes in the jobs directory; the directories of running jobs are not measured.
        bytes_out_a_day: bytes of results after which no further results leave that day.
    """

    active_jobs: int | None = None
    jobs_a_day: int | None = None
    disk: int | None = None
    bytes_out_a_day: int | None = None


@dataclass(frozen=True, slots=True)
class QuietHours:
    """A time of day in which nothing is submitted; it may go over midnight."""

    begin: time
    end: time

    @staticmethod
    def parse(text: str) -> QuietHours:
        """Read `HH:MM-HH:MM`.

        Raises:
            ValueError: it is not written so.
        """
        found = _SPAN.fullmatch(text)
        if found is None:
            raise ValueError('write "HH:MM-HH:MM", in 24 hours')
        hours = [int(part) for part in found.groups()]
        span = QuietHours(time(hours[0], hours[1]), time(hours[2], hours[3]))
        if span.begin == span.end:
            raise ValueError("it begins when it ends")
        return span

    def contain(self, now: time) -> bool:
        """Whether it is quiet at this time of day; the end is not."""
        if self.begin < self.end:
            return self.begin <= now < self.end
        return now >= self.begin or now < self.end

    def __str__(self) -> str:
        return f"{self.begin:%H:%M}-{self.end:%H:%M}"


@dataclass(slots=True)
class Day:
    """What took place in a day.

    Attributes:
        jobs: the tokens of the claims that were submitted.
        bytes_out: bytes of results that left, by the id of the allocation.
    """

    jobs: list[str] = field(default_factory=list)
    bytes_out: dict[str, int] = field(default_factory=dict)


class Days:
    """The days of one installation, on disk."""

    def __init__(self, state: Path) -> None:
        """Name the folder; nothing is touched yet.

        Args:
            state: the installation's state directory.
        """
        self._folder = state / _FOLDER

    def today(self, now: datetime) -> Day:
        """What took place so far.

        Raises:
            NotNow: it cannot be read.
        """
        return self._read(self._file(now))

    def submit(self, token: str, now: datetime, most: int | None) -> None:
        """Count a submission, unless it is counted already.

        Args:
            token: the token of its claim.
            now: the site's time.
            most: how many may take place today; None is any number.

        Raises:
            NotNow: that many took place today.
        """
        with self._changed(now) as day:
            if token in day.jobs:
                return
            if most is not None and len(day.jobs) >= most:
                raise NotNow(
                    f"{most} jobs were submitted today, which is all that the site's policy allows "
                    "(jobs_a_day); it waits for tomorrow"
                )
            day.jobs.append(token)

    def left(self, allocation: str, size: int, now: datetime) -> None:
        """Count bytes that left.

        Args:
            allocation: whose results they are.
            size: bytes.
            now: the site's time.

        Raises:
            NotNow: the disk does not take it.
        """
        with self._changed(now) as day:
            day.bytes_out[allocation] = size

    def _file(self, now: datetime) -> Path:
        return self._folder / f"{now:%Y-%m-%d}.json"

    @contextmanager
    def _changed(self, now: datetime) -> Iterator[Day]:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(
                self._folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                day = self._read(self._file(now))
                yield day
                write_durably(self._file(now), json.dumps(asdict(day)).encode())
                self._forget_old()
            finally:
                os.close(descriptor)
        except OSError as error:
            raise _unknown(error) from error

    def _forget_old(self) -> None:
        for file in sorted(self._folder.glob("*.json"))[:-_KEPT_DAYS]:
            file.unlink(missing_ok=True)

    def _read(self, file: Path) -> Day:
        try:
            return Day(**json.loads(file.read_bytes()))
        except FileNotFoundError:
            return Day()
        except (OSError, ValueError, TypeError) as error:
            raise _unknown(f"{file}: {error}") from error


def _unknown(error: object) -> NotNow:
    return NotNow(
        f"the day's quotas cannot be kept, so nothing is submitted: {error}; the site's "
        "administrator has to look at the state directory"
    )
