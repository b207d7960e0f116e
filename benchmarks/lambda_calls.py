"""How often the Lambda functions ran, from their logs, and what a call would be billed on AWS.

The emulator writes what AWS writes: START, END and REPORT of every invocation and the function's
own lines. The time that it reports is this machine's and not AWS's; `billed_seconds` computes
that from the CPU time of the function's process and from assumed latencies of AWS's services.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.exchange import Exchange

MEMORY_OF_ONE_CPU = 1.769
"""GB of memory for which a function gets one whole CPU (Lambda guide, "Memory")."""

_MEMORY = re.compile(r"^REPORT .*Memory Size: (\d+) MB")

LOG_EVENT_OVERHEAD = 26
"""Bytes that CloudWatch Logs adds to each event."""

ASSUMED_LATENCY = {
    ("dynamodb", "GetItem"): 0.004,
    ("dynamodb", "BatchGetItem"): 0.006,
    ("dynamodb", "Query"): 0.005,
    ("dynamodb", "PutItem"): 0.006,
    ("dynamodb", "UpdateItem"): 0.006,
    ("dynamodb", "TransactWriteItems"): 0.018,
    ("s3", "GetObject"): 0.022,
    ("s3", "HeadObject"): 0.015,
    ("s3", "PutObject"): 0.030,
    ("s3", "ListObjectVersions"): 0.035,
    ("events", "PutEvents"): 0.012,
    ("sqs", "SendMessage"): 0.008,
}
"""Seconds of one request within a region, a usual median of a warm connection: an assumption."""


@dataclass(frozen=True, slots=True)
class Calls:
    """The invocations of one function.

    Attributes:
        count: how many.
        log_bytes: what they logged, as CloudWatch Logs bills it.
        memory: GB of the function.
    """

    count: int
    log_bytes: int
    memory: float

    def since(self, earlier: Calls) -> Calls:
        """What came after an earlier count."""
        return Calls(
            self.count - earlier.count,
            self.log_bytes - earlier.log_bytes,
            self.memory,
        )


def calls_of(logs: Any, group: str) -> Calls:
    """Count the invocations in a log group."""
    count = size = 0
    memory = 0.0
    for page in logs.get_paginator("filter_log_events").paginate(logGroupName=group):
        for event in page["events"]:
            message = event["message"]
            size += len(message.encode()) + LOG_EVENT_OVERHEAD
            if message.startswith("START "):
                count += 1
            elif found := _MEMORY.search(message):
                memory = int(found[1]) / 1024
    return Calls(count, size, memory)


def waited(exchanges: Iterable[Exchange]) -> float:
    """Seconds that a function would wait for AWS's services, its requests one after another."""
    return sum(ASSUMED_LATENCY.get((e.service, e.operation), 0.01) for e in exchanges)


def gb_seconds(cpu: float, wait: float, memory: float) -> float:
    """Billed GB-seconds of a function that computes and waits.

    Args:
        cpu: seconds of a whole CPU.
        wait: seconds.
        memory: GB.
    """
    share = min(1.0, memory / MEMORY_OF_ONE_CPU)
    return memory * (cpu / share + wait)


def cpu_seconds(function: str) -> dict[str, float]:
    """CPU time so far of the emulator's processes that run a function, by process id."""
    marker = f"AWS_LAMBDA_FUNCTION_NAME={function}".encode()
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if marker not in (process / "environ").read_bytes().split(b"\0"):
                continue
            threads = [file.read_text() for file in process.glob("task/*/schedstat")]
        except OSError:
            continue
        found[process.name] = sum(int(text.split()[0]) for text in threads) / 1e9
    return found


def warm_cpu(before: dict[str, float], after: dict[str, float]) -> float:
    """CPU seconds between two looks, without processes that have started meanwhile."""
    return sum(after[process] - spent for process, spent in before.items() if process in after)
