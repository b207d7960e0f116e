"""The windows in which the emulator gathers the records of a stream, as AWS would."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from local_cloud.emulator_process import StreamWindows

ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/jobs/stream/2026"
ENDS, PASSING, QUEUE = (
    {"UUID": "ends", "EventSourceArn": ARN, "MaximumBatchingWindowInSeconds": 0},
    {"UUID": "passing", "EventSourceArn": ARN, "MaximumBatchingWindowInSeconds": 3, "BatchSize": 4},
    {"UUID": "queue", "EventSourceArn": "arn:aws:sqs:eu-west-1:000000000000:retries"},
)


class Emulated:
    """What the windows see of the emulator's modules; records of `passing` match its filter."""

    def __init__(self) -> None:
        self.records: list[str] = []
        self.position = 0
        self.now = 100.0
        self._esm_wake = threading.Event()
        self._dynamodb_stream_positions = self

    def get_scoped(self, account: str, region: str, name: str) -> int:
        assert (account, region, name) == ("0", "eu-west-1", "passing")
        return self.position

    def stream_records_since(self, table: str, position: int, limit: int, **_: str) -> list[str]:
        assert table == "jobs"
        return self.records[position : position + limit]

    def _apply_filter_criteria(self, records: list[str], _mapping: Any) -> list[str]:
        return [record for record in records if record == "passing"]


@pytest.fixture
def emulated() -> Emulated:
    return Emulated()


@pytest.fixture
def windows(emulated: Emulated) -> StreamWindows:
    return StreamWindows(emulated, emulated, lambda: emulated.now)


def ready(windows: StreamWindows) -> list[str]:
    mappings = iter([("0", "eu-west-1", mapping) for mapping in (ENDS, PASSING, QUEUE)])
    return [mapping["UUID"] for _, _, mapping in windows.ready(mappings)]


def test_what_gathers_nothing_is_looked_at(emulated: Emulated, windows: StreamWindows) -> None:
    assert ready(windows) == ["ends", "passing", "queue"]
    emulated.records = ["end"]
    assert ready(windows) == ["ends", "passing", "queue"]


def test_records_wait_for_their_window_and_the_others_do_not(
    emulated: Emulated, windows: StreamWindows
) -> None:
    emulated.records = ["end", "passing"]
    assert ready(windows) == ["ends", "queue"]
    emulated.now += 2.9
    assert ready(windows) == ["ends", "queue"]
    emulated.now += 0.2
    for _ in range(2):  # each kind of poller looks, and one of them takes the records
        assert ready(windows) == ["ends", "passing", "queue"]


def test_each_batch_has_a_window_of_its_own(emulated: Emulated, windows: StreamWindows) -> None:
    emulated.records = ["passing"]
    assert ready(windows) == ["ends", "queue"]
    emulated.now += 10
    assert "passing" in ready(windows)
    emulated.position = 1  # the batch was taken
    assert "passing" in ready(windows)
    emulated.records.append("passing")
    assert ready(windows) == ["ends", "queue"]


def test_a_full_batch_does_not_wait(emulated: Emulated, windows: StreamWindows) -> None:
    emulated.records = ["passing"] * 3
    assert ready(windows) == ["ends", "queue"]
    emulated.records += ["end", "passing"]
    assert ready(windows) == ["ends", "passing", "queue"]
