"""What a warm call of the HTTP API costs: the handler's own time, and its requests to AWS."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from local_cloud.emulator import PYTHON
from local_cloud.isolation import aws_environment

_DRIVER = Path(__file__).with_name("api_driver.py")


@dataclass(frozen=True, slots=True)
class Warm:
    """Warm calls of one kind: the first one, which imports its route, is left out.

    Attributes:
        wall: seconds in the handler without those that it waited for AWS's services, the median.
        own_cpu: CPU seconds in the handler without those of boto3's requests, the median.
        cpu: CPU seconds in all, the median.
        requests: what one call asked of AWS, such as `dynamodb Query`, in order.
    """

    wall: float
    own_cpu: float
    cpu: float
    requests: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Driven:
    """What a process that answered some calls was like.

    Attributes:
        calls: its warm calls, by name.
        modules: the modules that it had at its end.
    """

    calls: Mapping[str, Warm]
    modules: frozenset[str]


def submission(job_id: str, *, site: str) -> dict[str, Any]:
    """The call that submits a short script; `UNIQUE` in the id becomes another text each time."""
    script = {"Script": "#!/bin/sh\nsleep 1\n", "ID": job_id, "Site": site}
    return {"method": "POST", "path": "/v1/jobs/script", "body": script}


def usual_calls(job_id: str, *, site: str, page: int = 50) -> dict[str, Any]:
    """The usual calls: reading a job, listing a page of jobs, and submitting a script.

    Args:
        job_id: a job of the site.
        site: the site.
        page: rows of the list.
    """
    return {
        "read": {"method": "GET", "path": f"/v1/job/{job_id}", "query": {"site": site}},
        "list": {
            "method": "GET",
            "path": "/v1/jobs",
            "query": {"site": site, "per_page": str(page)},
        },
        "submit": submission("bench-UNIQUE", site=site),
    }


def drive(
    emulator: Any,
    code: Path,
    calls: Mapping[str, Any],
    *,
    before: Sequence[Any] = (),
    rounds: int = 2,
) -> Driven:
    """Answer calls in a process like the function's, and measure them.

    The jobs that they submit are stopped at the end, so that no puller finds them.

    Args:
        emulator: the emulator, with the stack on it.
        code: the folder of the bundle.
        calls: the calls, by name.
        before: calls that are made once before all others.
        rounds: how often each is made, the first one included; at least twice.

    Raises:
        RuntimeError: a call was refused, or the handler failed.
    """
    environment = {
        **aws_environment(emulator.endpoint_url, emulator.region),
        **_variables(emulator),
        "AWS_ENDPOINT_URL": emulator.endpoint_url,
        "PATH": os.defpath,
        "PYTHONPATH": str(code),
        "POWERTOOLS_LOG_LEVEL": "CRITICAL",
    }
    done = subprocess.run(
        [str(PYTHON), str(_DRIVER)],
        env=environment,
        input=json.dumps({"before": before, "calls": calls, "rounds": rounds}),
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
    )
    if done.returncode:
        raise RuntimeError(f"the API's handler failed:\n{done.stderr}{done.stdout}")
    told = json.loads(done.stdout)
    return Driven(
        {name: _warm(rows[1:]) for name, rows in told["calls"].items()},
        frozenset(told["modules"]),
    )


def _variables(emulator: Any) -> dict[str, str]:
    """The environment variables of the API's function."""
    (found,) = (
        row["Environment"]["Variables"]
        for row in emulator.client("lambda").list_functions()["Functions"]
        if row["Handler"] == "lambdas.api.handler"
    )
    return dict(found)


def _warm(rows: list[dict[str, Any]]) -> Warm:
    return Warm(
        wall=median(row["wall"] for row in rows),
        own_cpu=median(row["own_cpu"] for row in rows),
        cpu=median(row["cpu"] for row in rows),
        requests=tuple(rows[-1]["requests"]),
    )
