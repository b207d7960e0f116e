"""Crashes, late and lost requests, two hosts, clock jumps, in any order: the guarantees hold."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from puller import isolated_steps, push, staging
from puller.schedulers.interface import SchedulerState
from tests.kill_points.world import ACTIONS, World

_MEMORY = Path("/dev/shm")
_EXAMPLES = 3000 if "JOBFERRY_KILL_POINTS" in os.environ else 250

number = st.integers(0, 3)
plans = st.dictionaries(st.integers(0, 40), st.sampled_from(ACTIONS), max_size=3)
seconds = st.sampled_from([1.0, 31.0, 61.0, 121.0, 901.0, 3600.0])


def _one_after_the_other(
    work: Callable[[Any], Any], items: Iterable[Any], *, workers: int
) -> Iterator[Any]:
    return map(work, items)


@pytest.fixture
def _repeatable(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread, so that hypothesis can repeat what it found; and no waiting for a disk."""
    monkeypatch.setattr(isolated_steps, "_AT_ONCE", 1)
    monkeypatch.setattr(staging, "in_parallel", _one_after_the_other)
    monkeypatch.setattr(push, "in_parallel", _one_after_the_other)
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)


def _an_effect_arrives(world: World, which: int) -> None:
    world.deliver(which)


def _the_clock_jumps(world: World, which: int) -> None:
    world.jump((-3600.0, -50.0, 50.0, 3600.0)[which])


def _the_user_stops(world: World, which: int) -> None:
    world.stop(world.allocations[which % len(world.allocations)])


def _an_operator_takes(world: World, which: int) -> None:
    world.give_to_an_operator(world.allocations[which % len(world.allocations)])


def _a_job_is_requeued(world: World, which: int) -> None:
    if jobs := world.cluster.of(SchedulerState.RUNNING):
        world.cluster.requeue(jobs[which % len(jobs)])


def _a_job_starts(world: World, which: int) -> None:
    if jobs := world.cluster.of(SchedulerState.QUEUED):
        world.cluster.start(jobs[which % len(jobs)])


def _a_node_dies(world: World, which: int) -> None:
    if jobs := world.cluster.of(SchedulerState.RUNNING):
        world.cluster.die(jobs[which % len(jobs)])


def _the_scheduler_forgets(world: World, which: int) -> None:
    if jobs := world.cluster.of(SchedulerState.ENDED):
        jobs[which % len(jobs)].forgotten = True


def _an_id_is_recycled(world: World, which: int) -> None:
    ended = world.cluster.of(SchedulerState.ENDED)
    if jobs := [job for job in ended if job.forgotten]:
        state = (SchedulerState.RUNNING, SchedulerState.ENDED)[which % 2]
        world.cluster.recycle(jobs[which % len(jobs)], state)


_ACCIDENTS: tuple[Callable[[World, int], None], ...] = (
    _an_effect_arrives,
    _an_effect_arrives,
    _a_job_starts,
    _the_clock_jumps,
    _the_user_stops,
    _an_operator_takes,
    _a_job_is_requeued,
    _a_node_dies,
    _the_scheduler_forgets,
    _an_id_is_recycled,
)


class PullersAndTheirWorld(RuleBasedStateMachine):
    """Rules are what may happen; `World.check` says what must hold after each."""

    def __init__(self) -> None:
        super().__init__()
        memory = _MEMORY if os.access(_MEMORY, os.W_OK) else None
        self.world = World(Path(tempfile.mkdtemp(prefix="jobferry-world-", dir=memory)))
        self.world.upload()

    @rule()
    def upload(self) -> None:
        if len(self.world.allocations) < 3:
            self.world.upload()

    @rule(which=st.integers(0, 2), plan=plans)
    def a_pass(self, which: int, plan: dict[int, str]) -> None:
        one, two = self.world.installations
        installation, host = ((one, "a1"), (one, "a2"), (two, "b1"))[which]
        self.world.one_pass(installation, host, plan)

    @rule(which=st.integers(0, 2))
    def a_good_pass(self, which: int) -> None:
        self.a_pass(which, {})

    @rule(which=number, code=st.sampled_from([0, 3]), late=st.sampled_from([0.0, 110.0]))
    def the_cluster_works(self, which: int, code: int, late: float) -> None:
        cluster = self.world.cluster
        if jobs := cluster.of(SchedulerState.RUNNING):
            cluster.finish(jobs[which % len(jobs)], code, late=late)
        elif jobs := cluster.of(SchedulerState.QUEUED):
            cluster.start(jobs[which % len(jobs)])

    @rule(by=seconds)
    def time_passes(self, by: float) -> None:
        self.world.advance(by)

    @rule(which=number, what=st.sampled_from(_ACCIDENTS))
    def something_else_happens(self, which: int, what: Callable[[World, int], None]) -> None:
        what(self.world, which)

    @invariant()
    def what_must_hold(self) -> None:
        self.world.check()

    def teardown(self) -> None:
        try:
            self.world.settle()
        finally:
            self.world.close()


@pytest.mark.usefixtures("_repeatable")
def test_no_order_of_events_breaks_a_guarantee() -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        PullersAndTheirWorld,
        settings=settings(
            max_examples=_EXAMPLES,
            stateful_step_count=25,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
