"""The records that the wrapper leaves in an allocation's control directory.

`start` and `exit` are lines of `key=value`; the last line is `end`, so that a cut file is known as
such. Keys that a reader does not know are ignored. ARCHITECTURE.md has the format.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

START_NAME = "start"
EXIT_NAME = "exit"
ONCE_NAME = "once"

_MAX_SIZE = 65536
"""Bytes; a longer file is not the wrapper's."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartRecord:
    """That the script was started.

    Attributes:
        scheduler_id: the scheduler's id of the submission.
        restart: how often the scheduler had requeued it.
        host: the node.
        time: seconds since the epoch.
        stdout, stderr: the files that the script's outputs grow in, absolute; None where an
            output is no file.
    """

    scheduler_id: str
    restart: int
    host: str
    time: int
    stdout: Path | None = None
    stderr: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ExitRecord:
    """That the script has ended.

    Attributes:
        scheduler_id: the scheduler's id of the submission.
        restart: how often the scheduler had requeued it.
        host: the node.
        started, ended: seconds since the epoch.
        code: the script's exit code, 128 + n for signal n.
    """

    scheduler_id: str
    restart: int
    host: str
    started: int
    ended: int
    code: int


@dataclass(frozen=True, slots=True)
class Broken:
    """A record that is there and says nothing.

    Attributes:
        problem: why, a sentence that names the file.
    """

    problem: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Records:
    """What the wrapper has left so far.

    Attributes:
        owner: the scheduler's id of the submission that runs the script: of two submissions of one
            allocation, the first to start.
        start, exit: the records; None where there is none, or none that can be trusted.
        problems: why a record that is there cannot be trusted, a sentence each.
    """

    owner: str | None = None
    start: StartRecord | None = None
    exit: ExitRecord | None = None
    problems: tuple[str, ...] = ()


def parse_start(content: bytes) -> StartRecord | Broken:
    """The start record in a file's content."""
    return _parse(content, _start)


def parse_exit(content: bytes) -> ExitRecord | Broken:
    """The exit record in a file's content."""
    return _parse(content, _exit)


def read_records(control_dir: Path) -> Records:
    """Read both records. Never raises: what cannot be read is a problem."""
    start = _read(control_dir / START_NAME, parse_start)
    ended = _read(control_dir / EXIT_NAME, parse_exit)
    return Records(
        owner=_owner(control_dir / ONCE_NAME),
        start=None if isinstance(start, Broken) else start,
        exit=None if isinstance(ended, Broken) else ended,
        problems=tuple(found.problem for found in (start, ended) if isinstance(found, Broken)),
    )


def _start(values: dict[str, str]) -> StartRecord:
    return StartRecord(
        scheduler_id=_filled(values["id"]),
        restart=_number(values["restart"]),
        host=values["host"],
        time=_number(values["time"]),
        stdout=_file(values.get("stdout", "")),
        stderr=_file(values.get("stderr", "")),
    )


def _exit(values: dict[str, str]) -> ExitRecord:
    return ExitRecord(
        scheduler_id=_filled(values["id"]),
        restart=_number(values["restart"]),
        host=values["host"],
        started=_number(values["started"]),
        ended=_number(values["ended"]),
        code=_number(values["code"], most=255),
    )


def _owner(path: Path) -> str | None:
    try:
        line, newline, _ = _content(path).decode("utf-8", "surrogateescape").partition("\n")
    except OSError:
        return None
    return line if newline and line else None


def _parse(content: bytes, build: Callable[[dict[str, str]], T]) -> T | Broken:
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    if lines[-2:] != ["end", ""]:
        return Broken("it is not complete")
    values: dict[str, str] = {}
    for line in lines[:-2]:
        name, separator, value = line.partition("=")
        if separator and name in values:
            return Broken(f"it says {name} twice")
        if separator:
            values[name] = value
    try:
        return build(values)
    except KeyError as missing:
        return Broken(f"it does not say {missing.args[0]}")
    except ValueError as error:
        return Broken(str(error))


def _filled(text: str) -> str:
    if not text:
        raise ValueError("its id is empty")
    return text


def _number(text: str, *, most: int = 2**53) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 16 and int(text) <= most):
        raise ValueError(f"{text!r} is not a number from 0 to {most}")
    return int(text)


def _file(text: str) -> Path | None:
    return Path(text) if text.startswith("/") and not text.startswith("/dev/") else None


def _read(path: Path, parse: Callable[[bytes], T | Broken]) -> T | Broken | None:
    try:
        found = parse(_content(path))
    except FileNotFoundError:
        return None
    except OSError as error:
        return Broken(f"{path} cannot be read: {error.strerror or error}")
    if isinstance(found, Broken):
        return Broken(f"{path} is no record of the wrapper's: {found.problem}")
    return found


def _content(path: Path) -> bytes:
    """Read a small regular file; a job that puts a pipe or a link in its place stops nobody."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError("it is not a regular file")
        return os.read(descriptor, _MAX_SIZE)
    finally:
        os.close(descriptor)
