"""The ports of the publisher in memory, with the conditions of the real ones."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from job_protocol.allocation import Allocation
from job_protocol.job import Job
from lambdas.errors import Conflict
from lambdas.publication import Publication
from tests.unit.lambdas.examples import NOW


@dataclass
class MemoryTable:
    """The job table: a job is written only as it was read."""

    jobs: dict[str, Job] = field(default_factory=dict)
    allocations: dict[str, Allocation] = field(default_factory=dict)
    writes: int = 0
    last_seen: int | None = None
    task_tokens: dict[int, str] = field(default_factory=dict)
    token_ttl: int | None = None

    def job(self, site: str, job_id: str) -> Job | None:
        return self.jobs.get(job_id)

    def allocation(self, site: str, allocation_id: str) -> Allocation | None:
        return self.allocations.get(allocation_id)

    def site_last_seen(self, site: str) -> int | None:
        return self.last_seen

    def task_token(self, site: str, job_id: str, run: int) -> str | None:
        return self.task_tokens.get(run)

    def forget_task_token(self, job: Job, *, ttl: int) -> None:
        del self.task_tokens[job.run]
        self.token_ttl = ttl

    def replace_job(self, read: Job | None, new: Job) -> None:
        there = self.jobs.get(new.id)
        if (there and (there.rev, there.lease)) != (read and (read.rev, read.lease)):
            raise Conflict(f"job {new.id!r} changed meanwhile")
        self.jobs[new.id] = new
        self.writes += 1

    def create_allocation(self, read: Job | None, new: Job, allocation: Allocation) -> None:
        if allocation.id in self.allocations:
            raise Conflict(f"allocation {allocation.id} is there")
        self.replace_job(read, new)
        self.allocations[allocation.id] = allocation


@dataclass
class MemoryBucket:
    """What the publisher wrote; `before_put` runs at each call and may raise."""

    words: list[bytes] = field(default_factory=list)
    documents: list[dict[str, Any]] = field(default_factory=list)
    before_put: Callable[[], None] = lambda: None

    def put_status(self, job_id: str, word: bytes, details: bytes) -> None:
        self.before_put()
        self.documents.append(json.loads(details))
        self.words.append(word)


@dataclass
class MemoryEvents:
    """The events that were sent; `before_put` runs at each call and may raise."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    before_put: Callable[[], None] = lambda: None

    def put(self, detail_type: str, detail: dict[str, Any]) -> None:
        self.before_put()
        assert detail_type == "Job State Change"
        self.sent.append(detail)


@dataclass
class MemoryWorkflows:
    """What workflows were told: the task token and the error, None for a success."""

    told: list[tuple[str, str | None]] = field(default_factory=list)

    def succeed(self, task_token: str, output: dict[str, Any]) -> None:
        assert output["word"] == "JOB_COMPLETE"
        self.told.append((task_token, None))

    def fail(self, task_token: str, error: str, cause: str) -> None:
        assert cause
        self.told.append((task_token, error))


class MemoryCloud:
    """All of it for one job, and a clock that the test moves."""

    def __init__(self, job: Job, *allocations: Allocation, every_transition: bool = False) -> None:
        self.table = MemoryTable({job.id: job}, {a.id: a for a in allocations})
        self.bucket, self.events = MemoryBucket(), MemoryEvents()
        self.workflows = MemoryWorkflows()
        self.now, self.every_transition = NOW, every_transition
        self._leases = 0
        self.purged: list[tuple[str, str]] = []
        self.tell_dependents: Callable[[Job], None] = lambda _job: None

    @property
    def job(self) -> Job:
        return self.table.jobs["job0001"]

    def _new_lease(self) -> str:
        self._leases += 1
        return f"lease-{self._leases}"

    def publisher(self) -> Publication:
        ports: dict[str, Any] = {
            "table": self.table,
            "events": self.events,
            "workflows": self.workflows,
        }
        return Publication(
            bucket_of=lambda _bucket: self.bucket,
            every_transition=self.every_transition,
            clock=lambda: self.now,
            new_lease=self._new_lease,
            purge=lambda site, job_id: self.purged.append((site, job_id)),
            tell_dependents=self.tell_dependents,
            **ports,
        )

    def publish(self) -> None:
        self.publisher().publish("dc1", "job0001")
