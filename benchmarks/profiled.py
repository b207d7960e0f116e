"""`python -m benchmarks.profiled FILE ...`: a pass, or calls of a function, looked at meanwhile.

What is seen goes into FILE as JSON. `pass` and the puller's options follow for a pass; for calls
`calls HANDLER`, with the events, a JSON list, on stdin: the first warms up and is not looked at.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.sampling import Area, Sampler

WAITING = "waiting for AWS"
IDLE = "a thread without work"

_WIRE = (
    Area(WAITING, ("socket.py:readinto", "ssl.py:read", "connection.py:_new_conn")),
    Area("connections, HTTP", ("urllib3/", "http/client.py", "socket.py", "ssl.py")),
    Area("botocore: signing", ("botocore/auth.py", "hmac.py")),
    Area(
        "botocore: requests and answers",
        ("botocore/serialize.py", "botocore/parsers.py", "botocore/validate.py"),
    ),
    Area("botocore: the rest", ("botocore/", "boto3/")),
)
OF_A_CALL = (
    *_WIRE,
    Area("Powertools: log, parameters", ("aws_lambda_powertools/",)),
    Area("jobferry", ("job_protocol/", "lambdas/")),
)
OF_A_PASS = (
    Area("imports", ("<frozen importlib",)),
    Area("the journal: writes that are synced", ("puller/durable_file.py", "puller/journal.py")),
    Area("making clients", ("boto3/session.py", "botocore/session.py")),
    *_WIRE,
    Area("starting the job", ("subprocess.py", "puller/schedulers/")),
    Area("the login's environment", ("puller/login_environment.py",)),
    Area(IDLE, ("concurrent/futures/", "threading.py")),
    Area("jobferry", ("job_protocol/", "puller/")),
)


@dataclass(frozen=True, slots=True)
class _Context:
    """What a handler may ask of its context."""

    function_name: str = "bench"
    memory_limit_in_mb: int = 256
    invoked_function_arn: str = "arn:aws:lambda:us-east-1:000000000000:function:bench"
    aws_request_id: str = "00000000-0000-4000-8000-000000000000"

    def get_remaining_time_in_millis(self) -> int:
        """As if the call had just begun."""
        return 30_000


def main(arguments: Sequence[str]) -> int:
    """Do it; the exit code is that of what was looked at."""
    file, what, *others = arguments
    cpu = time.process_time()
    if what == "pass":
        with Sampler(OF_A_PASS) as sampler:
            command = importlib.import_module("puller.command")
            code = int(command.main([*others, "pass"]))
        times = 1
    else:
        handler: Any = importlib.import_module(others[0]).handler
        first, *events = json.loads(sys.stdin.read())
        handler(first, _Context())
        cpu = time.process_time()
        with Sampler(OF_A_CALL, every=0.001) as sampler:
            for event in events:
                handler(event, _Context())
        code, times = 0, len(events)
    seen = {
        "main": sampler.main,
        "workers": sampler.workers,
        "seconds": sampler.seconds,
        "cpu": time.process_time() - cpu,
        "times": times,
    }
    Path(file).write_text(json.dumps(seen))
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
