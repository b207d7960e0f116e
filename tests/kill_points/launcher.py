"""Starts passes of the real puller that die by SIGKILL at a given boundary.

Run as a program it waits for orders, one JSON document a line: each pass is a fork of it, so that
what is slow to import is imported once. `Launcher` is the test's end of that pipe.

A boundary is what a crash can fall before or behind: a request to AWS, a command of the scheduler,
a file that is written durably, renamed or removed.
"""

from __future__ import annotations

import functools
import importlib
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.patience import PATIENCE


class Boundaries:
    """Counts the boundaries of this process, writes each down, and dies at one of them."""

    def __init__(self, kill_at: int | None, trace: int) -> None:
        self._kill_at = kill_at
        self._trace = trace
        self._numbers = itertools.count(1)
        self._lock = threading.Lock()

    def cross(self, name: str) -> None:
        with self._lock:
            os.write(self._trace, f"{name}\n".encode())
            if next(self._numbers) == self._kill_at:
                os.kill(os.getpid(), signal.SIGKILL)


_current: Boundaries | None = None


def _cross(name: str) -> None:
    if _current is not None:
        _current.cross(name)


def _around(function: Callable[..., Any], name_of: Callable[..., str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        name = name_of(*args, **kwargs)
        _cross(f"before {name}")
        answer = function(*args, **kwargs)
        _cross(f"after {name}")
        return answer

    return wrapped


def _before(function: Callable[..., Any], name_of: Callable[..., str]) -> Callable[..., Any]:
    @functools.wraps(function)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        _cross(f"before {name_of(*args, **kwargs)}")
        return function(*args, **kwargs)

    return wrapped


def _request(_session: object, request: Any) -> str:
    target = request.headers.get("X-Amz-Target", b"")
    what = target.decode() if isinstance(target, bytes) else str(target)
    return what or f"{request.method} {request.url.partition('?')[0].rpartition('/')[2]}"


def _name(path: Any) -> str:
    return Path(os.fsdecode(path)).name


def _wrap_boundaries() -> None:
    """Wrap what a crash can fall beside. The puller's modules must not be imported yet."""
    import botocore.httpsession

    session = botocore.httpsession.URLLib3Session
    session.send = _around(session.send, _request)  # type: ignore[method-assign]
    os.rename = _before(os.rename, lambda source, *_, **__: f"rename of {_name(source)}")
    os.link = _before(os.link, lambda source, *_, **__: f"link of {_name(source)}")
    os.unlink = _before(os.unlink, lambda path, **_: f"unlink of {_name(path)}")
    os.rmdir = _before(os.rmdir, lambda path, **_: f"rmdir of {_name(path)}")
    shutil.rmtree = _around(  # type: ignore[assignment]
        shutil.rmtree, lambda path, *_, **__: f"rmtree of {_name(path)}"
    )

    from puller import durable_file
    from puller.schedulers import runner

    durable_file.write_durably_in = _around(
        durable_file.write_durably_in, lambda _folder, name, *_, **__: f"write of {name}"
    )
    runner.run_command = _around(
        runner.run_command, lambda arguments, **_: f"command {_name(arguments[0])}"
    )
    runner._Watch.until = _before(  # type: ignore[method-assign]
        runner._Watch.until, lambda watch, *_: f"the answer of {_name(watch.process.args[0])}"
    )


def _import_puller() -> None:
    """Import all that a pass imports, and keep botocore's models in memory."""
    import boto3
    import botocore.loaders

    loader = botocore.loaders.JSONFileLoader
    loader.load_file = functools.lru_cache(None)(loader.load_file)  # type: ignore[method-assign]
    loader.__hash__ = lambda _: 0  # type: ignore[method-assign,assignment]
    loader.__eq__ = lambda *_: True  # type: ignore[method-assign,assignment]
    for service in ("dynamodb", "s3"):
        boto3.client(
            service, region_name="eu-west-1", aws_access_key_id="-", aws_secret_access_key="-"
        )
    for module in ("cloud.large_transfers", "command", "lingering", "site_pass", "start"):
        importlib.import_module(f"puller.{module}")


def _pass(order: dict[str, Any]) -> int:
    global _current
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["directory"])
    output = os.open(order["output"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    trace = os.open(order["trace"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    from puller import command, watching

    # A crash between the note that a job shall be cancelled and `scancel` costs a minute.
    watching._CANCEL_AGAIN_AFTER = 2.0
    _current = Boundaries(order["kill_at"], trace)
    return command.main(order["arguments"])


def serve() -> None:
    """Fork a pass for each order, and answer with what became of it."""
    _wrap_boundaries()
    _import_puller()
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            code = 70
            try:
                null = os.open(os.devnull, os.O_RDONLY)
                os.dup2(null, 0)
                code = _pass(json.loads(line))
            finally:
                os._exit(code)
        _, status = os.waitpid(pid, 0)
        sys.stdout.write(f"{os.waitstatus_to_exitcode(status)}\n")
        sys.stdout.flush()


@dataclass(frozen=True)
class Pass:
    """What became of a pass.

    Attributes:
        code: its exit code; negative if it was killed.
        crossed: the boundaries that it came to, the last one being where it was killed.
    """

    code: int
    crossed: tuple[str, ...]

    @property
    def killed(self) -> bool:
        return self.code == -signal.SIGKILL


class Launcher:
    """Starts passes, one at a time. `scratch` is a folder of its own."""

    def __init__(self, scratch: Path, checkout: Path) -> None:
        scratch.mkdir(parents=True)
        self._trace = scratch / "trace"
        self.output = scratch / "output"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.kill_points.launcher"],
            cwd=checkout,
            env={"PATH": "/usr/bin:/bin", "AWS_EC2_METADATA_DISABLED": "true", "HOME": "/root"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(PATIENCE)

    def run(
        self,
        arguments: list[str],
        environment: dict[str, str],
        directory: Path,
        kill_at: int | None = None,
    ) -> Pass:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        order = {
            "arguments": arguments,
            "environment": environment,
            "directory": str(directory),
            "kill_at": kill_at,
            "trace": str(self._trace),
            "output": str(self.output),
        }
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        return Pass(code, tuple(self._trace.read_text().splitlines()))


if __name__ == "__main__":
    serve()
