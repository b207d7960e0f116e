"""Calls the API's handler in a process of its own and prints what each call took.

Run by the emulator's interpreter with the functions' bundle as its path: nothing of the project but
that bundle can be imported here. `api_calls.py` starts it and reads its answer.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
import uuid
from types import SimpleNamespace
from typing import Any


class Waiting:
    """What went to AWS: which requests, the time that they took, and the jobs that they made."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.submitted: list[tuple[str, str]] = []
        self.wall = self.cpu = 0.0

    def watch(self) -> None:
        """From now on, note every request of every boto3 client."""
        client = importlib.import_module("botocore.client").BaseClient
        call = client._make_api_call

        def noted(made: Any, operation: str, arguments: Any) -> Any:
            wall, cpu = time.perf_counter(), time.process_time()
            try:
                return call(made, operation, arguments)
            finally:
                self.wall += time.perf_counter() - wall
                self.cpu += time.process_time() - cpu
                self.requests.append(f"{made.meta.service_model.service_name} {operation}")

        client._make_api_call = noted


def event(method: str, path: str, query: dict[str, str], body: Any) -> dict[str, Any]:
    """A request as API Gateway's HTTP API hands it to a function (payload format 2.0)."""
    return {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "&".join(f"{name}={value}" for name, value in query.items()),
        "headers": {"content-type": "application/json"},
        "queryStringParameters": query,
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.1"},
            "authorizer": {"iam": {"userArn": "arn:aws:iam::000000000000:user/bench"}},
            "stage": "$default",
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }


def main() -> None:
    """Make the calls that standard input names, and stop the jobs that they made."""
    asked = json.load(sys.stdin)
    waiting = Waiting()
    waiting.watch()
    handler: Any = importlib.import_module("lambdas.api").handler
    context = SimpleNamespace(aws_request_id="bench", function_name="api")
    told: dict[str, list[dict[str, Any]]] = {}
    for call in asked["before"]:
        _measured(handler, context, call, waiting)
    for name, call in asked["calls"].items():
        for _ in range(asked["rounds"]):
            told.setdefault(name, []).append(_measured(handler, context, call, waiting))
    modules = sorted(sys.modules)
    for job_id, site in waiting.submitted:
        handler(event("DELETE", f"/v1/job/{job_id}", {"site": site}, None), context)
    print(json.dumps({"calls": told, "modules": modules}))


def _measured(handler: Any, context: Any, call: dict[str, Any], waiting: Waiting) -> dict[str, Any]:
    body = call.get("body")
    if body is not None:
        body = json.loads(json.dumps(body).replace("UNIQUE", uuid.uuid4().hex))
    request = event(call["method"], call["path"], call.get("query", {}), body)
    waiting.requests, waiting.wall, waiting.cpu = [], 0.0, 0.0
    wall, cpu = time.perf_counter(), time.process_time()
    answer = handler(request, context)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    if answer["statusCode"] != 200:
        raise SystemExit(f"{call['method']} {call['path']}: {answer}")
    if call["method"] == "POST":
        made = json.loads(answer["body"])
        waiting.submitted.append((made["ID"], made["Site"]))
    return {
        "wall": wall - waiting.wall,
        "own_cpu": cpu - waiting.cpu,
        "cpu": cpu,
        "requests": list(waiting.requests),
    }


if __name__ == "__main__":
    main()
