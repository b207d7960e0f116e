"""The price list, dated, and what a bill of requests comes to by it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

REGION = "us-east-1"
DATED = "2025-12"
SOURCE = (
    "public list prices of us-east-1: pages S3, DynamoDB (on demand), Lambda (arm64), "
    "EventBridge, SQS and CloudWatch pricing"
)

MILLION = 1_000_000
STORAGE_DOLLARS = 0.25
"""US dollars for a GB in a table of DynamoDB, standard class, a month."""


@dataclass(frozen=True, slots=True)
class Price:
    """The price of one kind of unit.

    Attributes:
        dollars: US dollars per million units.
        unit: what a unit is.
    """

    dollars: float
    unit: str


PRICES = {
    "s3-put": Price(5.00, "PUT, COPY, POST or LIST request"),
    "s3-get": Price(0.40, "GET, HEAD or other request"),
    "s3-free": Price(0.0, "DELETE request"),
    "write-unit": Price(0.625, "DynamoDB write request unit"),
    "read-unit": Price(0.125, "DynamoDB read request unit"),
    "lambda-request": Price(0.20, "Lambda invocation"),
    "lambda-gb-second": Price(13.3334, "Lambda GB-second, arm64"),
    "event": Price(1.00, "EventBridge custom event of up to 64 KiB"),
    "sqs-request": Price(0.40, "SQS request, standard queue"),
    "log-kib": Price(0.50 / 1024**2 * MILLION, "KiB of log taken in by CloudWatch Logs"),
    "egress-kib": Price(0.09 / 1024**2 * MILLION, "KiB from AWS to the internet"),
    "ssm-request": Price(0.0, "standard parameter, standard throughput"),
}


@dataclass(frozen=True, slots=True)
class Item:
    """One line of a bill.

    Attributes:
        part: whose line it is (`puller`, `intake`, ...).
        what: what was done, in words.
        kind: a key of `PRICES`.
        units: how many units for one job.
    """

    part: str
    what: str
    kind: str
    units: float

    @property
    def dollars(self) -> float:
        """US dollars for a million jobs."""
        return self.units * PRICES[self.kind].dollars


def total(items: Iterable[Item]) -> float:
    """US dollars for a million jobs."""
    return sum(item.dollars for item in items)
