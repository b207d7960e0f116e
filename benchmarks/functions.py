"""Question: how heavy are the Lambda functions: zip, imports, memory, billed time?"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.api_calls import drive, submission, usual_calls
from benchmarks.bench import Bench
from benchmarks.lambda_calls import gb_seconds
from benchmarks.prices import PRICES
from benchmarks.result import Result, Table, Verdict
from local_cloud.deployment import archive
from local_cloud.emulator import PYTHON

HANDLERS = ("lambdas.intake", "lambdas.publisher", "lambdas.api")
MEMORIES = (0.125, 0.25, 0.5, 1.0)
ZIP_LIMIT = 6 * 1024 * 1024
"""Bytes of the functions' zip archive, ours to keep."""

IMPORT_LIMIT = 0.3
OWN_LIMIT = 0.015
"""Seconds: of CPU to import a handler, and of a warm call of the API without its waits for AWS."""

_LOOK = """
import json, sys, time, resource
begun, cpu = time.perf_counter(), time.process_time()
import importlib
importlib.import_module(sys.argv[1])
print(json.dumps({
    "modules": sorted(sys.modules),
    "wall": time.perf_counter() - begun,
    "cpu": time.process_time() - cpu,
    "memory": int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]),
}))
"""
_CPU = 0.012
"""Seconds of a whole CPU that a warm call takes: an assumption, near what `one_job` measures."""

_WAITING = {"intake, a new job": 0.101, "publisher, one state": 0.085}
"""Seconds that a call waits for AWS's services: `lambda_calls.ASSUMED_LATENCY` of its requests."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What importing a handler takes.

    Attributes:
        modules: the modules that the process then has.
        wall, cpu: seconds.
        memory: MiB of the process.
    """

    modules: frozenset[str]
    wall: float
    cpu: float
    memory: float


def import_handler(module: str, code: Path) -> Imported:
    """Import a handler in a fresh process, as the emulator and AWS would.

    Args:
        module: its module.
        code: the folder of the bundle.
    """
    done = subprocess.run(
        [str(PYTHON), "-c", _LOOK, module],
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(code),
            "AWS_DEFAULT_REGION": "us-east-1",
            "POWERTOOLS_SERVICE_NAME": "bench",
        },
        capture_output=True,
        text=True,
        check=True,
        cwd="/",
    )
    found = json.loads(done.stdout)
    modules = frozenset(found["modules"])
    return Imported(modules, found["wall"], found["cpu"], found["memory"] / 1024)


def bundle(template_folder: Path) -> Path:
    """The folder of the functions' code in an assembly."""
    found = [path.parent for path in template_folder.glob("asset.*/lambdas") if path.is_dir()]
    if len(found) != 1:
        raise AssertionError(f"{template_folder} holds {len(found)} bundles of functions")
    return found[0]


def _warm_api(bench: Bench, code: Path) -> list[tuple[str, float, float, float, int]]:
    """For each usual call of the API: its own time, its CPU time, and its requests."""
    job_id = f"api-{uuid.uuid4().hex}"
    driven = drive(
        bench.rig.emulator,
        code,
        usual_calls(job_id, site="api"),
        before=[submission(job_id, site="api")],
        rounds=20 if bench.quick else 100,
    )
    return [
        (name, call.wall * 1000, call.own_cpu * 1000, call.cpu * 1000, len(call.requests))
        for name, call in driven.calls.items()
    ]


def run(bench: Bench) -> Result:
    """Look at the bundle that was deployed, and import its handlers."""
    code = bundle(bench.directory / "cdk.out")
    size = len(archive(code))
    rounds = 3 if bench.quick else 11
    rows = []
    for handler in HANDLERS:
        looks = [import_handler(handler, code) for _ in range(rounds)]
        rows.append(
            (
                handler,
                len(looks[0].modules),
                median(look.wall for look in looks),
                median(look.cpu for look in looks),
                median(look.memory for look in looks),
            )
        )
    warm = _warm_api(bench, code)
    price = PRICES["lambda-gb-second"].dollars
    billed = [
        (
            call,
            *(
                f"{gb_seconds(_CPU, wait, memory) / memory * 1000:.0f} ms, "
                f"${gb_seconds(_CPU, wait, memory) * price:.2f}"
                for memory in MEMORIES
            ),
        )
        for call, wait in _WAITING.items()
    ]
    return Result(
        question="functions",
        title="The Lambda functions",
        method=(
            "Imports in fresh processes of the emulator's interpreter, medians of "
            f"{rounds}. A warm call's own time is that in the handler without boto3's requests, in "
            "a process like the function's. The billed time is computed: "
            f"{_CPU * 1000:.0f} ms of CPU, stretched by the share of a CPU that the memory gives, "
            "and assumed latencies of the services."
        ),
        tables=[
            Table("Imports", ("handler", "modules", "wall s", "CPU s", "memory MiB"), rows),
            Table(
                "Warm calls of the HTTP API, medians",
                ("call", "own ms", "own CPU ms", "with boto3, CPU ms", "requests to AWS"),
                warm,
            ),
            Table(
                "Billed time of a warm call, and dollars per million",
                ("call", *(f"{memory * 1024:.0f} MB" for memory in MEMORIES)),
                billed,
            ),
        ],
        verdicts=[
            *(
                Verdict(
                    f"a warm {call} at most {OWN_LIMIT * 1000:.0f} ms of its own",
                    f"{own:.1f} ms",
                    own <= OWN_LIMIT * 1000,
                )
                for call, own, *_ in warm
            ),
            *(
                Verdict(
                    f"importing {handler} at most {IMPORT_LIMIT * 1000:.0f} ms of CPU",
                    f"{cpu * 1000:.0f} ms",
                    cpu <= IMPORT_LIMIT,
                )
                for handler, _, _, cpu, _ in rows
            ),
            Verdict(
                f"zip archive under {ZIP_LIMIT / 2**20:.0f} MiB",
                f"{size / 2**20:.2f} MiB",
                size < ZIP_LIMIT,
            ),
        ],
    )
