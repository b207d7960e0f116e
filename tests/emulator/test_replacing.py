"""A changed job that has an active run: the old run ends first, then the new one begins, once."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest

from job_protocol import audit_chain
from job_protocol.job import Job
from job_protocol.states import ClientStatus, Desired, JobStatus, Outcome, Word
from lambdas.errors import LimitReached
from lambdas.registering import Registered
from lambdas.rules.registration import replacement_sentence
from lambdas.rules.site_limits import Quota, SiteLimits, charges
from local_cloud.emulator import Emulator
from tests.emulator.control_plane import UserOfASite
from tests.emulator.interleaving import Program
from tests.emulator.registry import a_job, children, register
from tests.emulator.test_intake_publisher_ordering import Ferry

pytestmark = pytest.mark.emulator

COMPLETE, STOPPED = ClientStatus.COMPLETE, ClientStatus.STOPPED


class Changing(Ferry):
    """A site with a registered batch job, its puller and its publishers."""

    def __init__(self, dynamodb: Any, s3: Any, table: str, bucket: str) -> None:
        super().__init__(dynamodb, s3, table, bucket, retries=False)
        self.user = UserOfASite(self.dynamodb, self.s3, table, bucket, site=self.site)
        self.job_id = f"changing-{uuid.uuid4().hex}"
        self.requests = count(1)

    def register(self, priority: int) -> Registered:
        job = a_job(self.job_id, Priority=priority)
        found: Registered = register(self.user, job, f"k{next(self.requests)}")
        return found

    @property
    def job(self) -> Job:
        return self.user.job(self.job_id)

    def claims(self) -> str:
        """The puller claims what is in the queue."""
        (allocation,) = self.queue.waiting(self.now, 5).pending
        self.claim(allocation)
        return allocation

    def ends(self, allocation: str, status: ClientStatus) -> Program:
        """The publisher of an allocation's end, before its first call."""
        held = self.queue.read(allocation)
        assert held is not None
        self.end(held, status)
        self.deliver_record(self.records[-1])
        return self.running[-1][0]

    def settle(self) -> None:
        for _ in range(300):
            if self.running:
                self.finish(self.running[0][0])
            elif due := [record for record in self.records if record.due <= self.now]:
                self.deliver_record(due[0])
            elif self.records:
                self.now = min(record.due for record in self.records)
            else:
                return
        pytest.fail("the control plane does not come to rest")

    def waiting(self) -> list[str]:
        return list(self.queue.waiting(self.now, 5).pending)


@pytest.fixture
def make(emulator: Emulator, plain_table: str, plain_bucket: str) -> Callable[[], Changing]:
    clients = emulator.client("dynamodb"), emulator.client("s3")
    return lambda: Changing(*clients, plain_table, plain_bucket)


def _after(changing: Changing, program: Program, calls: int) -> bool:
    for _ in range(calls):
        if program.done:
            return False
        changing.step(program)
    return not program.done


def test_the_new_version_waits_until_the_old_run_has_ended(make: Callable[[], Changing]) -> None:
    changing = make()
    changing.register(50)
    old = changing.claims()
    found = changing.register(60)
    assert found.ran
    job = changing.job
    assert job.registration is not None
    assert (job.run, job.current, job.active, job.registration.version) == (1, old, True, 1)
    assert replacement_sentence(job) == (
        f"run 1 of job {changing.job_id!r} is being stopped; version 1 starts when it has ended "
        f"at site {changing.site}"
    )
    assert job.running_version is not None
    assert job.running_version.version == 0
    held = changing.queue.read(old)
    assert held is not None
    assert held.desired is Desired.STOP
    waiting = changing.queue.waiting(changing.now, 5)
    assert (list(waiting.stops), list(waiting.pending)) == ([old], [])
    assert not changing.register(60).ran, "an unchanged one changes nothing"
    changing.settle()
    changing.ends(old, STOPPED)
    changing.settle()
    job = changing.job
    assert (job.run, job.status, job.outcome, job.replacement) == (
        2,
        JobStatus.PENDING,
        None,
        None,
    )
    new = changing.claims()
    assert new == job.current != old
    allocation = changing.user.allocation(changing.job_id)
    assert allocation.settings.priority == 60
    ended = changing.queue.read(old)
    assert ended is not None
    assert (allocation.before, allocation.previous) == (old, audit_chain.head_of(ended))
    assert changing.user.status_word(changing.job_id) == Word.JOB_QUEUED.body
    assert [event["outcome"] for event in changing.bus.sent if event.get("outcome")] == ["stopped"]


def test_a_run_that_nobody_has_claimed_ends_at_once(make: Callable[[], Changing]) -> None:
    changing = make()
    changing.register(50)
    (old,) = changing.waiting()
    changing.register(60)
    assert changing.waiting() == []
    held = changing.queue.read(old)
    assert held is not None
    assert held.reason == "replaced by a newer version of the job before the site had claimed it"
    changing.settle()
    assert changing.claims() != old


def test_a_third_version_replaces_the_second(make: Callable[[], Changing]) -> None:
    changing = make()
    changing.register(50)
    old = changing.claims()
    changing.register(60)
    assert changing.job.replacement is not None
    second = changing.job.replacement.allocation
    changing.register(70)
    given_up = changing.queue.read(second)
    assert given_up is not None
    assert (given_up.client_status, given_up.ttl is not None) == (STOPPED, True)
    changing.ends(old, COMPLETE)
    changing.settle()
    assert changing.claims() not in (old, second)
    assert changing.job.registration is not None
    assert (changing.job.run, changing.job.registration.version) == (2, 2)


def test_a_stop_gives_the_new_run_up(make: Callable[[], Changing]) -> None:
    changing = make()
    changing.register(50)
    old = changing.claims()
    changing.register(60)
    runs = children(changing.user).runs
    runs.stop(changing.job, sequencer=None, asked_by="stop by me")
    changing.ends(old, STOPPED)
    changing.settle()
    assert (changing.job.outcome, changing.waiting()) == (Outcome.STOPPED, [])
    assert changing.register(60).ran, "a stopped job runs again"
    assert len(changing.waiting()) == 1


def test_a_run_that_was_told_to_stop_is_followed_by_the_unchanged_job(
    make: Callable[[], Changing],
) -> None:
    changing = make()
    changing.register(50)
    old = changing.claims()
    children(changing.user).runs.stop(changing.job, sequencer=None, asked_by="stop by me")
    assert changing.register(50).ran
    changing.ends(old, STOPPED)
    changing.settle()
    assert changing.claims() == changing.job.current
    assert changing.job.registration is not None
    assert (changing.job.run, changing.job.registration.version) == (2, 0)


@pytest.mark.parametrize("which", ["end first", "registration first"])
def test_the_end_and_the_registration_meet_at_any_two_calls(
    make: Callable[[], Changing], which: str
) -> None:
    for calls in count():
        changing = make()
        changing.register(50)
        old = changing.claims()
        registers = partial(Program, "register", partial(changing.register, 60))
        ends = partial(changing.ends, old, COMPLETE)
        first, second = (ends, registers) if which == "end first" else (registers, ends)
        interrupted = first()
        more = _after(changing, interrupted, calls)
        changing.finish(second())
        changing.finish(interrupted)
        changing.settle()
        assert (changing.job.run, changing.job.replacement) == (2, None)
        assert changing.claims() == changing.job.current
        if not more:
            return


def test_the_publisher_of_the_end_may_die_before_any_of_its_calls(
    make: Callable[[], Changing],
) -> None:
    for calls in count():
        changing = make()
        changing.register(50)
        old = changing.claims()
        changing.register(60)
        program = changing.ends(old, STOPPED)
        more = _after(changing, program, calls)
        if more:
            changing.kill(program)
        changing.settle()
        assert (changing.job.run, changing.job.status) == (2, JobStatus.PENDING)
        assert changing.claims() == changing.job.current
        if not more:
            return


def test_the_limits_of_a_day_hold_and_the_place_among_active_jobs_goes_over(
    make: Callable[[], Changing],
) -> None:
    changing = make()
    limits = SiteLimits(site=Quota(active_jobs=1, jobs_a_day=2))
    found = charges(limits, site=changing.site, submitter=None, size=0, now=changing.now)
    (active, day) = found

    def counted() -> tuple[int, int]:
        numbers = [changing.user.jobs.numbers(one.key) for one in (active, day)]
        return numbers[0].get("active_jobs", 0), numbers[1].get("jobs_a_day", 0)

    changing.user.quotas = limits
    changing.register(50)
    old = changing.claims()
    changing.register(60)
    assert counted() == (1, 2)
    with pytest.raises(LimitReached, match="has a limit of 2 jobs a day"):
        changing.register(70)
    changing.ends(old, STOPPED)
    changing.settle()
    assert (changing.job.run, counted()) == (2, (1, 2))
    changing.ends(changing.claims(), COMPLETE)
    changing.settle()
    assert (changing.job.outcome, counted()) == (Outcome.COMPLETE, (0, 2))
