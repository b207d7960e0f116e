"""What the executor uploads: many calls as one job, an array of elements with some calls each."""

from __future__ import annotations

import json
import pickle
import shlex
import sys
import zipfile
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any

from job_protocol.object_keys import SCRIPT, SETTINGS
from jobferry import executor_runner as runner
from jobferry.executor_pickles import PickledFunction, cloudpickle_archive

FOLDER = "executor"
"""Where everything of the executor lies in the job directory, except the script."""

RESULTS = f"{FOLDER}/{runner.RESULTS}/"
JOB = f"{FOLDER}/{runner.JOB}"
FORMAT = 1
MOST_ELEMENTS = 1000
"""Elements of one job: Slurm's MaxArraySize is 1001 unless the site raised it."""


@dataclass(frozen=True, slots=True, eq=False)
class Call:
    """One call that waits for its upload.

    Attributes:
        function: what is called.
        pickle: the name of the function and the arguments, pickled.
        future: what the caller holds.
    """

    function: PickledFunction
    pickle: bytes
    future: Future[Any]


@dataclass(frozen=True, slots=True)
class Batch:
    """Calls that become one job.

    Attributes:
        calls: the calls; their numbers are their places.
        chunk: how many of them one array element runs, one after the other.
    """

    calls: Sequence[Call]
    chunk: int

    @property
    def elements(self) -> int:
        """How many array elements the job has."""
        return -(-len(self.calls) // self.chunk)


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What all calls of an executor run in.

    Attributes:
        python: the interpreter on the site; `~/` is the account's home there.
        setup: lines of bash that come before it.
        resources: `resources` of `aws-job.json`.
    """

    python: str = "python3"
    setup: str = ""
    resources: Mapping[str, Any] = field(default_factory=dict)


def batches_of(calls: Sequence[Call], chunk: int) -> list[Batch]:
    """Calls as as few jobs as hold them."""
    most = chunk * MOST_ELEMENTS
    return [Batch(calls[n : n + most], chunk) for n in range(0, len(calls), most)]


def environment_script(surroundings: Surroundings) -> str:
    """What the run script reads first. Its exit code is that of the setup's last command."""
    python = surroundings.python
    if python.startswith("~/"):
        quoted = f'"$HOME"/{shlex.quote(python[2:])}'
    else:
        quoted = shlex.quote(python)
    return f"JOBFERRY_PYTHON={quoted}\n{surroundings.setup}\n"


def write_upload(directory: Path, batch: Batch, surroundings: Surroundings) -> None:
    """Write the files of a job into an empty directory.

    Args:
        directory: becomes what `Client.submit` uploads.
        batch: the calls.
        surroundings: what they run in.
    """
    settings: dict[str, Any] = {}
    if surroundings.resources:
        settings["resources"] = dict(surroundings.resources)
    if batch.elements > 1:
        settings["count"] = batch.elements
    folder = directory / FOLDER
    folder.mkdir()
    own = files("jobferry")
    (directory / SCRIPT).write_bytes((own / "executor_run.sh").read_bytes())
    (directory / SETTINGS).write_text(json.dumps(settings), encoding="utf-8")
    (folder / "environment.sh").write_text(environment_script(surroundings), encoding="utf-8")
    (folder / "runner.py").write_bytes((own / "executor_runner.py").read_bytes())
    (folder / runner.CLOUDPICKLE).write_bytes(cloudpickle_archive())
    (folder / runner.JOB).write_text(json.dumps(job_facts(batch)), encoding="utf-8")
    with zipfile.ZipFile(folder / runner.CALLS, "w") as archive:
        for name, body in {c.function.name: c.function.body for c in batch.calls}.items():
            archive.writestr(name, body)
        for index in range(batch.elements):
            calls = batch.calls[index * batch.chunk : (index + 1) * batch.chunk]
            archive.writestr(runner.element_name(index), pickle.dumps([c.pickle for c in calls]))


def job_facts(batch: Batch) -> dict[str, Any]:
    """What the runner, and a later `Executor.attach`, must know of a job; no pickle."""
    return {
        "format": FORMAT,
        "calls": len(batch.calls),
        "chunk": batch.chunk,
        "python": f"{sys.version_info.major}.{sys.version_info.minor}",
    }
