"""Runs a scheduler's commands: argument lists only, never a shell string, and never for ever."""

from __future__ import annotations

import contextlib
import os
import selectors
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from puller.errors import SchedulerUnavailable

DEFAULT_TIMEOUT = 60.0
"""Seconds. Slurm's commands block 9 to 18 s while its controller is down."""

MAX_OUTPUT = 32 * 1024 * 1024
"""Bytes kept of each output; a listing of 10,000 jobs has about 2 MB."""

_LOOK = 0.2
"""Seconds between two looks at a command that says nothing."""

_AFTER_EXIT = 1.0
"""Seconds for which a descendant may hold the output open after the command has ended."""


class CommandMissing(SchedulerUnavailable):
    """The program is not installed, or PATH does not lead to it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completed:
    """What came of one command.

    Attributes:
        arguments: what ran.
        code: the exit code, negative for a signal; None if it was killed here.
        stdout, stderr: what it wrote, undecodable bytes as surrogates.
        timed_out: whether it was killed because its time was over.
        cut: whether an output was longer than the bound.
        gave_up_after: set if it was killed for the words to give up at: seconds from the last
            moment at which it had not yet said them until it was dead.
    """

    arguments: tuple[str, ...]
    code: int | None
    stdout: str = ""
    stderr: str = ""
    timed_out: bool = False
    cut: bool = False
    gave_up_after: float | None = None

    @property
    def says(self) -> str:
        """What happened in one line, for people."""
        if self.timed_out:
            return f"{self.arguments[0]} did not answer in time and was killed"
        text = self.stderr.strip() or self.stdout.strip() or f"exit code {self.code}, no message"
        return " / ".join(line.strip() for line in text.splitlines() if line.strip())[:2000]


class Run(Protocol):
    """How an adapter runs a command; `run_command` is the real one and documents it."""

    def __call__(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        timeout: float = ...,
        search_path: str | None = ...,
        directory: Path | None = ...,
        pass_fds: Sequence[int] = ...,
        own_locale: bool = ...,
        give_up_at: str | None = ...,
        stdin: int = ...,
    ) -> Completed:
        """Run it and wait for its end."""


def run_command(
    arguments: Sequence[str],
    *,
    environment: Mapping[str, str],
    timeout: float = DEFAULT_TIMEOUT,
    search_path: str | None = None,
    directory: Path | None = None,
    pass_fds: Sequence[int] = (),
    own_locale: bool = False,
    give_up_at: str | None = None,
    executable: str | None = None,
    stdin: int = subprocess.DEVNULL,
    max_output: int = MAX_OUTPUT,
) -> Completed:
    """Run a command in a session of its own and wait for its end.

    A time-out is no exception, because it means something else to each caller.

    Args:
        arguments: the program and its arguments.
        environment: its whole environment; `LC_ALL=C` is added.
        timeout: seconds until its process group is killed.
        search_path: the PATH to find the program in; by default that of `environment`.
        directory: its working directory.
        pass_fds: file descriptors that it inherits.
        own_locale: leaves `LC_ALL` as `environment` has it, for a command that hands its
            environment on to a job.
        give_up_at: words on stderr at which it is killed at once.
        executable: the program's path, where `arguments[0]` is only what it is to be called.
        stdin: a file descriptor; by default an empty input.
        max_output: bytes kept of each output; what is beyond is read and dropped.

    Raises:
        CommandMissing: the program is not found.
        SchedulerUnavailable: the program cannot be started.
    """
    started = time.monotonic()
    path = search_path or environment.get("PATH") or os.defpath
    try:
        process = subprocess.Popen(
            arguments,
            executable=executable or _find(arguments[0], path),
            env=dict(environment) if own_locale else {**environment, "LC_ALL": "C"},
            cwd=directory,
            pass_fds=pass_fds,
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        raise SchedulerUnavailable(f"cannot start {arguments[0]}: {error}") from error
    watch = _Watch(process, max_output, give_up_at, last_silent=started)
    with process:
        try:
            over = watch.until(started + timeout)
        except BaseException:
            _kill_group(process)
            raise
        if not over:
            _kill_group(process)
        process.wait()
        gave_up_after = time.monotonic() - watch.last_silent if watch.said else None
    return Completed(
        arguments=tuple(arguments),
        code=process.returncode if over else None,
        stdout=watch.text("stdout"),
        stderr=watch.text("stderr"),
        timed_out=not over and not watch.said,
        cut=watch.cut,
        gave_up_after=gave_up_after,
    )


def _find(program: str, search_path: str) -> str:
    found = shutil.which(program, path=search_path)
    if found is None:
        raise CommandMissing(
            f"{program} is not found in PATH={search_path}; "
            "set `path` in the puller's settings to where the scheduler's commands are"
        )
    return found


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


@dataclass(slots=True)
class _Watch:
    """Reads a process's output until it ends, its time is over, or it says certain words.

    Attributes:
        last_silent: the last moment at which stderr was seen to hold nothing unread.
        said: whether it said the words.
        cut: whether an output was longer than the bound.
    """

    process: subprocess.Popen[bytes]
    max_output: int
    give_up_at: str | None
    last_silent: float
    said: bool = False
    cut: bool = False
    kept: dict[str, bytearray] = field(
        default_factory=lambda: {"stdout": bytearray(), "stderr": bytearray()}
    )

    def until(self, deadline: float) -> bool:
        """Whether it ended by itself before `deadline` (of the monotonic clock)."""
        exited_at: float | None = None
        with selectors.DefaultSelector() as selector:
            for name in self.kept:
                selector.register(getattr(self.process, name), selectors.EVENT_READ, name)
            while selector.get_map():
                now = time.monotonic()
                if self.process.poll() is not None:
                    exited_at = now if exited_at is None else exited_at
                    if now - exited_at > _AFTER_EXIT:
                        return True
                if now >= deadline:
                    return exited_at is not None
                self._read(selector, now, min(_LOOK, deadline - now))
                if self.said:
                    return False
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return False
        return True

    def text(self, name: str) -> str:
        """What was kept of one output."""
        return self.kept[name].decode("utf-8", "surrogateescape")

    def _read(self, selector: selectors.BaseSelector, now: float, wait: float) -> None:
        ready = {key.data: key.fileobj for key, _ in selector.select(wait)}
        if "stderr" not in ready:
            self.last_silent = now
        for name, stream in ready.items():
            chunk = os.read(stream.fileno(), 65536) if not isinstance(stream, int) else b""
            if not chunk:
                selector.unregister(stream)
                continue
            room = self.max_output - len(self.kept[name])
            self.cut = self.cut or len(chunk) > room
            self.kept[name] += chunk[: max(0, room)]
        if self.give_up_at is not None:
            self.said = self.give_up_at.encode() in self.kept["stderr"]
