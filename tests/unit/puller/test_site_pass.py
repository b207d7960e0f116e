"""Passes in a world in memory: what a bad allocation, an outage or a full disk does to the rest."""

from __future__ import annotations

import dataclasses
import itertools
import json
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from job_protocol import dynamodb_json
from job_protocol.allocation import Allocation
from job_protocol.audit_chain import chain_of
from job_protocol.items import from_attributes
from job_protocol.states import ClientStatus
from puller.bringing import Bringing
from puller.cloud.queue import CloudQueue
from puller.cloud.waiting import Waiting
from puller.errors import CloudRefused
from puller.journal import Journal, Phase, Record
from puller.pass_outcome import Outcome
from puller.schedulers.interface import EndReason, SchedulerState
from puller.site_pass import SitePass
from puller.workplace import KILL_SWITCH
from tests.kill_points.world import HOUR, Faults, World
from tests.patience import PATIENCE

CLOUD = frozenset({"read", "write", "bucket"})


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.check()


def one(world: World, plan: dict[int, str] | None = None, **more: Any) -> bool:
    return world.one_pass(world.installations[0], "a1", plan, **more)


def records(world: World) -> list[Record]:
    return Journal(world.installations[0].home / "state").records()


def status(world: World, allocation: str) -> ClientStatus:
    return ClientStatus(world.item(allocation)["client_status"])


def heartbeat(world: World) -> dict[str, Any]:
    (item,) = [item for (pk, _), item in world.table.items.items() if pk.startswith("S#")]
    return dynamodb_json.decode(item)


def start_all(world: World) -> None:
    for job in world.cluster.of(SchedulerState.QUEUED):
        world.cluster.start(job)


def finish_all(world: World, code: int = 0) -> None:
    for job in world.cluster.of(SchedulerState.RUNNING):
        world.cluster.finish(job, code)


def submitted(world: World) -> str:
    allocation = world.upload()
    one(world)
    assert status(world, allocation) is ClientStatus.QUEUED
    return allocation


def test_a_job_from_the_queue_to_its_end(world: World) -> None:
    allocation = submitted(world)
    start_all(world)
    one(world)
    assert status(world, allocation) is ClientStatus.RUNNING
    finish_all(world)
    one(world)
    assert status(world, allocation) is ClientStatus.COMPLETE
    assert records(world) == []
    alloc = world.installations[0].home / "aws-job/.jobferry/alloc"
    assert list(alloc.iterdir()) == []


def test_one_allocation_that_always_fails_does_not_keep_others_from_running(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    poisonous, healthy = world.upload(), world.upload()
    stage = Bringing.stage

    def failing(self: Bringing, record: Record) -> Record | None:
        if record.id == poisonous:
            raise RuntimeError("nobody has thought of this")
        return stage(self, record)

    monkeypatch.setattr(Bringing, "stage", failing)
    for _ in range(2):
        one(world)
    assert status(world, healthy) is ClientStatus.QUEUED
    assert status(world, poisonous) is ClientStatus.STARTING


def test_an_object_that_aws_refuses_holds_up_its_own_job_alone_and_its_user_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = world.upload()
    stage = Bringing.stage

    def failing(self: Bringing, record: Record) -> Record | None:
        if record.id == refused:
            raise CloudRefused("cannot read s3://b/job1/x: no right to use its KMS key")
        return stage(self, record)

    monkeypatch.setattr(Bringing, "stage", failing)
    one(world)
    assert "KMS key" in world.item(refused)["reason"]
    healthy = world.upload()
    one(world)
    assert status(world, healthy) is ClientStatus.QUEUED


def test_a_broken_journal_entry_does_not_stop_the_pass(world: World) -> None:
    one(world)
    broken = world.installations[0].home / "state/journal/0.json"
    broken.write_text("null")
    assert submitted(world)
    assert broken.read_text() == "null"


def test_an_end_during_an_outage_is_remembered_and_published_by_the_next_good_pass(
    world: World,
) -> None:
    allocation = submitted(world)
    start_all(world)
    finish_all(world)
    one(world, broken=CLOUD)
    assert [record.phase for record in records(world)] == [Phase.ENDED]
    for job in world.cluster.jobs.values():
        job.forgotten = True
    world.advance(100 * HOUR)
    one(world)
    assert status(world, allocation) is ClientStatus.COMPLETE


@pytest.mark.parametrize("call", range(20))
def test_the_cloud_may_go_away_at_any_call(world: World, call: int) -> None:
    """From one call on nothing gets through; later all does, and the job has run once."""
    allocation = world.upload()
    broken = dict.fromkeys(range(call, 100), "answer lost")
    one(world, dict.fromkeys(broken, "fail"))
    one(world, broken)
    world.advance(60)
    world.settle()
    assert len(world.cluster.executions[allocation]) == 1
    assert status(world, allocation) is ClientStatus.COMPLETE


def test_credentials_that_expire_half_way_through_a_push_cost_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocation = submitted(world)
    start_all(world)
    (job,) = world.cluster.of(SchedulerState.RUNNING)
    assert job.job_dir is not None
    for number in range(5):
        (job.job_dir / f"{number}.txt").write_text(str(number))
    finish_all(world)
    put = type(world.bucket).put_file
    left = iter([True, True])

    def expiring(self: object, *args: Any) -> None:
        if not next(left, False):
            raise CloudRefused("the credentials have expired; renew them")
        put(self, *args)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(type(world.bucket), "put_file", expiring)
        one(world)
        assert status(world, allocation) is not ClientStatus.COMPLETE
    one(world)
    assert status(world, allocation) is ClientStatus.COMPLETE
    assert all(f"job1/{number}.txt" in world.bucket.latest for number in range(5))
    assert world.bucket.written.count("job1/0.txt") == 1


def test_a_full_disk_is_the_reason_why_a_job_waits_until_there_is_room(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    allocation = world.upload()
    one(world, broken=frozenset({"bucket"}))  # claimed, not staged
    one(world, broken=frozenset({"journal"}))
    assert "No space left" in world.item(allocation)["reason"]
    assert world.cluster.jobs == {}
    one(world)
    assert status(world, allocation) is ClientStatus.QUEUED
    assert "reason" not in world.item(allocation)


def test_nothing_is_claimed_where_the_journal_cannot_be_written(world: World) -> None:
    allocation = world.upload()
    one(world, broken=frozenset({"journal"}))
    assert status(world, allocation) is ClientStatus.PENDING
    assert "token" not in world.item(allocation)
    assert "No space left" in heartbeat(world)["problem"]
    one(world)
    assert status(world, allocation) is ClientStatus.QUEUED
    world.advance(61)
    one(world)
    assert "problem" not in heartbeat(world)


@pytest.mark.parametrize("job", ["../out", "/etc/x", "a//b", ".jobferry/alloc", ".."])
def test_a_job_id_that_is_no_directory_ends_the_allocation(world: World, job: str) -> None:
    allocation, good = world.upload(job), world.upload()
    one(world)
    assert status(world, allocation) is ClientStatus.FAILED
    assert "can have no directory here" in world.item(allocation)["reason"]
    assert status(world, good) is ClientStatus.QUEUED
    assert {record.id for record in records(world)} == {good}


def test_what_is_no_allocation_keeps_nobody_waiting(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    allocation = world.upload()
    (key,) = [key for key, item in world.table.items.items() if "qpk" in item]
    for strange in ("../../x", allocation.upper()):
        row = {**world.table.items[key], "sk": {"S": strange}}
        world.table.items[key[0], strange] = row
    one(world)
    assert status(world, allocation) is ClientStatus.QUEUED
    assert "problem" not in heartbeat(world)
    assert "'../../x' in the queue is no allocation's id" in caplog.text
    for strange in ("../../x", allocation.upper()):
        del world.table.items[key[0], strange]


def test_a_kill_switch_is_told_to_the_cloud(world: World) -> None:
    switch = world.installations[0].home / "state" / KILL_SWITCH
    allocation = world.upload()
    switch.parent.mkdir(parents=True, exist_ok=True)
    switch.touch()
    one(world)
    assert status(world, allocation) is ClientStatus.PENDING
    assert "switched submissions off" in heartbeat(world)["problem"]
    switch.unlink()
    world.advance(61)
    one(world)
    assert "problem" not in heartbeat(world)
    assert status(world, allocation) is ClientStatus.QUEUED


def test_a_queue_without_room_gives_the_job_back_until_later(world: World) -> None:
    allocation = world.upload()
    one(world, dict.fromkeys(range(100), "full"))
    assert status(world, allocation) is ClientStatus.PENDING
    assert "QOSMaxSubmitJobPerUserLimit" in world.item(allocation)["reason"]
    assert records(world) == []
    one(world)
    assert world.cluster.jobs == {}
    world.advance(61)
    one(world)
    assert status(world, allocation) is ClientStatus.QUEUED


@pytest.mark.parametrize("accident", ["crash before", "crash after", "answer lost", "late"])
def test_an_accident_while_a_job_is_given_back_does_not_strand_it(
    world: World, accident: str
) -> None:
    allocation = world.upload()
    full = dict.fromkeys(range(100), "full")
    giving_back = next(
        n for n in range(100) if _phase_when_killed(world, n, full) is Phase.DEFERRED
    )
    fresh = World(world.installations[0].home / "fresh")
    allocation = fresh.upload()
    one(fresh, full | {giving_back: accident})
    one(fresh)
    fresh.settle()
    assert len(fresh.cluster.executions[allocation]) == 1
    assert status(fresh, allocation) is ClientStatus.COMPLETE


def _phase_when_killed(world: World, call: int, plan: dict[int, str]) -> Phase | None:
    trial = World(world.installations[0].home / f"trial{call}")
    trial.upload()
    one(trial, plan | {call: "crash before"})
    found = records(trial)
    return found[0].phase if found else None


def test_after_a_submission_of_unknown_fate_the_claim_is_kept_even_if_there_is_no_room(
    world: World,
) -> None:
    allocation = world.upload()
    one(world, dict.fromkeys(range(100), "late") | dict.fromkeys(range(8), ""))
    assert [record.phase for record in records(world)] == [Phase.SUBMITTING]
    world.advance(31)
    one(world, dict.fromkeys(range(100), "full"))
    assert status(world, allocation) is ClientStatus.STARTING
    assert world.item(allocation)["token"] == records(world)[0].token


def test_of_two_submissions_the_one_that_runs_is_followed(world: World) -> None:
    allocation = submitted(world)
    (job,) = world.cluster.of(SchedulerState.QUEUED)
    assert job.wrapper is not None
    assert job.job_dir is not None
    twin = world.cluster.jobs[world.cluster.submit(job.wrapper, job.job_dir)]
    world.cluster.start(twin)
    world.cluster.start(job)
    assert job.state is SchedulerState.ENDED
    for _ in range(3):
        one(world)
        world.advance(121)
    assert status(world, allocation) is ClientStatus.RUNNING
    assert world.item(allocation)["scheduler_id"] == twin.id
    world.cluster.finish(twin, 3)
    one(world)
    assert (status(world, allocation), world.item(allocation)["exit_code"]) == (
        ClientStatus.FAILED,
        3,
    )


@pytest.mark.parametrize("when", ["before", "after"])
def test_the_kill_switch_stops_first_and_repeated_submissions(world: World, when: str) -> None:
    allocation = world.upload()
    one(world, broken=frozenset({"bucket"} if when == "before" else {"submit"}))
    switch = world.installations[0].home / "state" / KILL_SWITCH
    switch.touch()
    world.advance(31)
    one(world)
    assert world.cluster.jobs == {}
    assert "administrator has stopped submissions" in world.item(allocation)["reason"]
    switch.unlink()
    one(world)
    assert status(world, allocation) is ClientStatus.QUEUED


def test_a_submission_of_unknown_fate_is_repeated_only_after_a_while(world: World) -> None:
    world.upload()
    one(world, broken=frozenset({"submit"}))
    world.advance(29)
    one(world)
    assert world.cluster.jobs == {}
    world.advance(1)
    one(world)
    assert len(world.cluster.jobs) == 1


def test_a_submission_whose_answer_was_lost_is_found_in_the_listing(world: World) -> None:
    allocation = world.upload()
    call = next(n for n in range(40) if _submits(world, n))
    one(world, {call: "answer lost"})
    one(world)
    assert len(world.cluster.jobs) == 1
    assert status(world, allocation) is ClientStatus.QUEUED


def _submits(world: World, call: int) -> bool:
    before = World(world.installations[0].home / f"before{call}")
    after = World(world.installations[0].home / f"after{call}")
    for trial, accident in ((before, "crash before"), (after, "crash after")):
        trial.upload()
        one(trial, {call: accident})
    return not before.cluster.jobs and bool(after.cluster.jobs)


def test_a_clock_that_is_set_back_does_not_hurry_a_second_submission(world: World) -> None:
    world.upload()
    one(world, broken=frozenset({"submit"}))
    world.jump(-50)
    one(world)
    assert world.cluster.jobs == {}
    world.advance(31)
    one(world)
    assert len(world.cluster.jobs) == 1


def test_a_claim_that_lands_after_it_was_given_up_is_refused(world: World) -> None:
    allocation = world.upload()
    first = next(n for n in range(20) if _is_claim(world, n))
    one(world, {first: "late"})
    assert [record.phase for record in records(world)] == [Phase.CLAIMING]
    two = world.installations[1]
    world.one_pass(two, "b1", dict.fromkeys(range(100), "full"))
    # The first installation sees it taken or not due, and forgets it; then its claim arrives.
    one(world)
    assert records(world) == []
    world.deliver(0)
    assert "token" not in world.item(allocation)


def _is_claim(world: World, call: int) -> bool:
    trial = World(world.installations[0].home / f"claim{call}")
    id_ = trial.upload()
    one(trial, {call: "crash after"})
    return "token" in trial.item(id_)


def test_a_stop_is_asked_of_the_scheduler_and_repeated_only_after_a_minute(world: World) -> None:
    allocation = submitted(world)
    start_all(world)
    one(world)
    world.stop(allocation)
    one(world, broken=frozenset({"cancel"}))
    one(world)
    assert world.cluster.of(SchedulerState.RUNNING)
    world.advance(61)
    one(world)
    assert [job.end for job in world.cluster.jobs.values()] == [EndReason.CANCELLED]
    one(world)
    assert status(world, allocation) is ClientStatus.STOPPED


def test_a_job_that_an_operator_took_is_never_cancelled_again(world: World) -> None:
    allocation = submitted(world)
    start_all(world)
    world.stop(allocation)
    one(world, broken=frozenset({"cancel"}))
    world.give_to_an_operator(allocation)
    world.advance(61)
    one(world)
    assert world.cluster.of(SchedulerState.RUNNING)


def test_a_fenced_holder_keeps_the_directory_and_pushes_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    allocation = submitted(world)
    start_all(world)
    one(world)
    world.give_to_an_operator(allocation)
    finish_all(world)
    pushed = len(world.bucket.written)
    with caplog.at_level(logging.ERROR):
        one(world)
        one(world)
    assert "names another claim" in caplog.text
    assert len(world.bucket.written) == pushed
    assert [record.phase for record in records(world)] == [Phase.FENCED]
    assert (world.installations[0].home / "aws-job/job1/out.txt").exists()


@pytest.mark.parametrize("call", range(30))
def test_a_pass_that_stood_still_for_an_hour_disturbs_nothing_of_the_other_host_s(
    world: World, call: int
) -> None:
    allocation = world.upload()
    one(world, {call: "pause"})
    world.settle()
    assert len(world.cluster.executions[allocation]) == 1
    assert status(world, allocation) is ClientStatus.COMPLETE


def anchors(world: World, allocation: str) -> set[tuple[str, str]]:
    """What the sites' audit logs say of an allocation's event log."""
    logs = [one.home / "state/audit.log" for one in world.installations]
    lines = [line for log in logs if log.exists() for line in log.read_text().splitlines()]
    entries = [json.loads(line) for line in lines]
    return {
        (entry["event"], entry["head"])
        for entry in entries
        if entry["allocation"] == allocation and "head" in entry
    }


@pytest.mark.parametrize("call", range(30))
@pytest.mark.parametrize("how", ["crash before", "crash after"])
def test_a_pass_that_dies_at_any_call_loses_and_repeats_nothing(
    world: World, call: int, how: str
) -> None:
    allocation = world.upload()
    one(world, {call: how})
    one(world, {call: how})
    world.settle()
    assert len(world.cluster.executions[allocation]) == 1
    assert status(world, allocation) is ClientStatus.COMPLETE
    # Whatever died, the site has noted what the table tells of the job.
    chain = chain_of(from_attributes(Allocation, world.item(allocation)))
    told = {event["event"]: event["hash"] for event in chain}
    assert anchors(world, allocation) == {("claimed", told["created"]), ("ended", told["ended"])}


def test_a_requeued_job_with_a_stale_exit_file_goes_on(world: World) -> None:
    allocation = submitted(world)
    start_all(world)
    one(world)
    (job,) = world.cluster.of(SchedulerState.RUNNING)
    world.cluster.requeue(job)
    world.advance(HOUR)
    one(world)
    assert status(world, allocation) is ClientStatus.QUEUED
    start_all(world)
    finish_all(world)
    one(world)
    assert status(world, allocation) is ClientStatus.COMPLETE


def test_an_id_that_was_recycled_is_not_taken_for_the_job(world: World) -> None:
    allocation = submitted(world)
    (job,) = world.cluster.of(SchedulerState.QUEUED)
    world.cluster.start(job)
    world.cluster.finish(job, 3)
    job.forgotten = True
    world.cluster.recycle(job, SchedulerState.RUNNING)
    one(world)
    assert world.item(allocation)["exit_code"] == 3


def test_an_exit_file_that_shows_up_two_minutes_late_is_waited_for(world: World) -> None:
    allocation = submitted(world)
    start_all(world)
    (job,) = world.cluster.of(SchedulerState.RUNNING)
    world.cluster.finish(job, 0, late=110)
    job.forgotten = True
    one(world)
    world.advance(111)
    one(world)
    assert status(world, allocation) is ClientStatus.COMPLETE


def test_a_scheduler_that_fails_is_no_evidence(world: World) -> None:
    allocation = submitted(world)
    start_all(world)
    one(world)
    for _ in range(3):
        one(world, broken=frozenset({"list", "detail"}))
        world.advance(HOUR)
    assert status(world, allocation) is ClientStatus.RUNNING


def test_what_lasts_is_logged_once_and_again_when_it_comes_back(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    error = CloudRefused("no credentials")
    told: set[str] = set()
    for _ in range(3):
        Outcome(told=told).note(error)
    assert [record.getMessage() for record in caplog.records] == ["pass: no credentials"]
    told.clear()
    Outcome(told=told).note(error)
    assert len(caplog.records) == 2


def test_what_has_ended_does_not_wait_until_all_that_waits_is_claimed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each look at the clock is a second later: a pass has time for the first claim alone."""
    monkeypatch.setattr("puller.site_pass.CLAIM_SECONDS", 2.0)
    seconds = itertools.count(1.0)
    monkeypatch.setattr("puller.site_pass.time", SimpleNamespace(monotonic=lambda: next(seconds)))
    allocations = {world.upload() for _ in range(3)}

    def those(wanted: ClientStatus) -> set[str]:
        return {allocation for allocation in allocations if status(world, allocation) is wanted}

    one(world)
    first = those(ClientStatus.QUEUED)
    assert len(first) == 1
    start_all(world)
    finish_all(world)
    one(world)
    assert those(ClientStatus.COMPLETE) == first
    assert len(those(ClientStatus.QUEUED)) == len(those(ClientStatus.PENDING)) == 1
    one(world)
    assert those(ClientStatus.PENDING) == set()


class Large:
    """A puller that lingers, and an allocation whose inputs take their time to arrive there."""

    def __init__(self, world: World) -> None:
        self.allocation = world.upload()
        self.arrived = threading.Event()
        job = world.item(self.allocation)["job"]

        def fetch(key: str) -> None:
            if key.startswith(f"{job}/"):
                assert self.arrived.wait(PATIENCE)

        place = world.place(world.installations[0], "a1", Faults({}, [], lambda: None, frozenset()))
        slow = dataclasses.replace(place.bucket, before_fetch=fetch)  # type: ignore[type-var]
        self._passes = SitePass(dataclasses.replace(place, bucket=slow), "a1", lingering=True)

    def one_pass(self) -> bool:
        """A pass; whether something is under way after it."""
        return self._passes.run(leaving=False, to_the_end=False).under_way

    def arrives(self) -> None:
        self.arrived.set()
        self._passes.finish()


@pytest.fixture
def large(world: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[Large]:
    monkeypatch.setattr("puller.at_work.LONG_AFTER", 0.1)
    made = Large(world)
    yield made
    made.arrives()


def test_a_large_input_keeps_nobody_else_waiting(world: World, large: Large) -> None:
    small = world.upload()
    while status(world, small) is not ClientStatus.COMPLETE:
        assert large.one_pass()
        start_all(world)
        finish_all(world)
    assert status(world, large.allocation) is ClientStatus.STARTING
    assert heartbeat(world)["active"] == 0
    large.arrives()
    start_all(world)
    finish_all(world)
    one(world)
    assert status(world, large.allocation) is ClientStatus.COMPLETE


def test_what_is_under_way_is_not_claimed_again_because_the_queue_is_a_moment_old(
    world: World, large: Large, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask = CloudQueue.waiting

    def stale(self: CloudQueue, now: int, free: int) -> Waiting:
        """The step that was under way ends while the queue is asked."""
        large.arrives()
        return dataclasses.replace(ask(self, now, free), pending=(large.allocation,))

    assert large.one_pass()
    token = world.item(large.allocation)["token"]
    monkeypatch.setattr(CloudQueue, "waiting", stale)
    assert not large.one_pass()
    (record,) = records(world)
    assert (record.token, record.phase) == (token, Phase.SUBMITTED)


def test_what_takes_long_counts_for_what_may_be_active(
    large: Large, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[int] = []
    ask = CloudQueue.waiting

    def note(self: CloudQueue, now: int, free: int) -> Waiting:
        asked.append(free)
        return ask(self, now, free)

    monkeypatch.setattr(CloudQueue, "waiting", note)
    for _ in range(2):
        large.one_pass()
    assert asked[0] - asked[1] == 1
