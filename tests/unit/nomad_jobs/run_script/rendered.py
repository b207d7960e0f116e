"""Rendered scripts, run by the real bash in a directory of their own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from job_protocol.object_keys import SCRIPT
from nomad_jobs.run_script.render import RenderedRun, render_run
from nomad_jobs.run_script.run_facts import RunFacts

ALLOCATION = "0f8fad5b-d9cb-469f-a165-70867728950e"
RECORDER = """
import json, os, sys
arguments = [os.fsencode(a).hex() for a in sys.argv[2:]]
variables = {os.fsencode(k).hex(): os.fsencode(v).hex() for k, v in os.environ.items()}
with open(sys.argv[1], "w") as file:
    json.dump({"arguments": arguments, "variables": variables, "cwd": os.getcwd()}, file)
"""
"""Writes down, byte for byte, what a process got."""


def task(name: str = "main", command: str = "/bin/sh", *args: str, **more: Any) -> dict[str, Any]:
    """A raw_exec task; keywords are further members of Nomad's `Task`."""
    config = {"command": command, "args": list(args)}
    return {"Name": name, "Driver": "raw_exec", "Config": config, **more}


def shell(text: str, name: str = "main", **more: Any) -> dict[str, Any]:
    """A task that runs a line of sh."""
    return task(name, "/bin/sh", "-c", text, **more)


def hooked(
    text: str, name: str, hook: str, *, sidecar: bool = False, **more: Any
) -> dict[str, Any]:
    """A task with a lifecycle hook."""
    return shell(text, name, Lifecycle={"Hook": hook, "Sidecar": sidecar}, **more)


def recording(*args: str, **more: Any) -> dict[str, Any]:
    """A task that writes what it got to `record` in its directory."""
    return task("main", sys.executable, "-S", "-c", RECORDER, "record", *args, **more)


def job(*tasks: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A job of one group without restarts; keywords are further members of the group."""
    policy = {"Attempts": 0, "Interval": 10**9, "Delay": 0, "Mode": "fail"}
    group = {"Name": "work", "Tasks": list(tasks), "RestartPolicy": policy, **more}
    return {"ID": "job0001", "Name": "job0001", "Type": "batch", "TaskGroups": [group]}


def facts(**more: Any) -> RunFacts:
    return RunFacts(**{"site": "dc1", "job_id": "job0001", "allocation_id": ALLOCATION, **more})


@dataclass
class Run:
    """A job directory with a rendered run in it."""

    root: Path
    rendered: RenderedRun
    environment: Mapping[str, str] = field(default_factory=dict)

    def start(self, index: int | None = None, **variables: str) -> subprocess.Popen[str]:
        if index is not None:
            variables["JOBFERRY_ARRAY_INDEX"] = str(index)
        scratch = self.root.parent / f"{self.root.name}.scratch"
        scratch.mkdir(exist_ok=True)
        base = {"PATH": os.environ["PATH"], "TMPDIR": str(scratch), **self.environment}
        return subprocess.Popen(
            ["/bin/bash", str(self.root / SCRIPT)],
            cwd="/",
            env={**base, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, index: int | None = None, **variables: str) -> tuple[int, str]:
        process = self.start(index, **variables)
        try:
            said, _ = process.communicate(timeout=60)
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
        return process.returncode, said

    def log(self, name: str = "main", kind: str = "stdout", folder: str = ".") -> str:
        return (self.root / folder / f"alloc/logs/{name}.{kind}.0").read_text()

    def record(
        self, folder: str = ".", name: str = "main"
    ) -> tuple[list[bytes], dict[bytes, bytes]]:
        got = json.loads((self.root / folder / name / "record").read_text())
        arguments = [bytes.fromhex(a) for a in got["arguments"]]
        return arguments, {bytes.fromhex(k): bytes.fromhex(v) for k, v in got["variables"].items()}

    def events(self, name: str | None = None, folder: str = ".") -> list[str]:
        lines = (self.root / folder / "alloc/task-states").read_text().splitlines()
        rows = [line.split("\t") for line in lines]
        return [row[1] for row in rows if name in (None, row[2])]

    def wait_for(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 30
        while not condition():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    def wait_for_text(self, path: str) -> None:
        file = self.root / path
        self.wait_for(lambda: file.exists() and file.read_text() != "")


def place(root: Path, specification: Mapping[str, Any], run_facts: RunFacts | None = None) -> Run:
    """Render a run into a new job directory."""
    rendered = render_run(specification, run_facts or facts())
    root.mkdir(parents=True)
    (root / SCRIPT).write_bytes(rendered.script)
    for path, content in rendered.files.items():
        target = root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
    return Run(root, rendered)
