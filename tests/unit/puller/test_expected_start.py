"""When the table is told why a job waits, and when the scheduler expects to start it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from job_protocol.allocation import Allocation
from job_protocol.states import ClientStatus
from puller.journal import Phase, Record
from puller.observation import Live
from puller.watching import Watching

SUBMITTED = 1_700_000_000.0
START = int(SUBMITTED) + 3600
WAITS = "PENDING (Resources)"


@dataclass
class Lifecycle:
    """Notes what is reported."""

    now: float = SUBMITTED
    told: list[tuple[ClientStatus, str | None, int | None]] = field(default_factory=list)
    gives_estimates: bool = True

    @property
    def scheduler(self) -> Any:
        return self

    @property
    def place(self) -> Any:
        return self

    def clock(self) -> float:
        return self.now

    @property
    def journal(self) -> Any:
        return self

    def write(self, record: Record) -> Record:
        return record

    def report(
        self,
        record: Record,
        status: ClientStatus,
        reason: str | None,
        *,
        since: float | None = None,
        expected_start: int | None = None,
    ) -> Record:
        if (status, reason) != (record.reported, record.reported_reason):
            self.told.append((status, reason, expected_start))
        return replace(record, reported=status, reported_reason=reason)


def follow(
    *looks: tuple[float, Live], gives_estimates: bool = True
) -> list[tuple[ClientStatus, str | None, int | None]]:
    """What is told of a submitted job that is looked at so many seconds after its submission."""
    lifecycle: Any = Lifecycle(gives_estimates=gives_estimates)
    watching = Watching(lifecycle)
    record = Record(
        allocation=Allocation(site="dc1", job="j", id="a"),
        token="t",
        phase=Phase.SUBMITTED,
        submitted_at=SUBMITTED,
        scheduler_id="17",
        reported=ClientStatus.QUEUED,
    )
    for seconds, verdict in looks:
        lifecycle.now = SUBMITTED + seconds
        found = watching._follow(record, verdict)
        assert found is not None
        record = found
    return list(lifecycle.told)


def waiting(start: int | None) -> Live:
    return Live(ClientStatus.QUEUED, WAITS, start)


def test_the_expected_start_is_told_together_with_the_reason() -> None:
    told = follow((5, waiting(START)), (31, waiting(START)), (60, waiting(START + 600)))
    assert told == [(ClientStatus.QUEUED, WAITS, START)]


def test_the_reason_waits_a_little_for_an_estimate() -> None:
    told = follow((31, waiting(None)), (45, waiting(START)), (100, waiting(START)))
    assert told == [(ClientStatus.QUEUED, WAITS, START)]


def test_the_reason_does_not_wait_for_what_the_scheduler_never_gives() -> None:
    told = follow((31, waiting(None)), gives_estimates=False)
    assert follow((29, waiting(None)), gives_estimates=False) == []
    assert told == [(ClientStatus.QUEUED, WAITS, None)]


def test_a_scheduler_that_gives_no_estimate_is_heard_without() -> None:
    told = follow((31, waiting(None)), (91, waiting(None)), (200, waiting(START)))
    assert told == [(ClientStatus.QUEUED, WAITS, None)]


def test_a_job_that_runs_is_expected_no_more() -> None:
    told = follow((31, waiting(START)), (50, Live(ClientStatus.RUNNING, "RUNNING")))
    assert told == [
        (ClientStatus.QUEUED, WAITS, START),
        (ClientStatus.RUNNING, None, None),
    ]
