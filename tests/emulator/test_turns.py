"""Children of a template with `max_active`: in order, never too many, and nobody is forgotten.

Two ends, an end and a dispatch, an end and a stop meet at any two calls; publishers die anywhere.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import Any

import pytest

from job_protocol.job import Job
from job_protocol.states import ClientStatus, JobStatus, Outcome, Role
from lambdas.children import Children, Wanted
from lambdas.errors import Refused
from lambdas.registering import Registering
from lambdas.rules.registration import examine
from lambdas.runs import Cause
from lambdas.submitting import Submitter
from lambdas.turns import waiting_sentence
from local_cloud.emulator import Emulator
from tests.emulator.control_plane import UserOfASite
from tests.emulator.interleaving import Program
from tests.emulator.registry import a_job, children
from tests.emulator.test_intake_publisher_ordering import Ferry, Record

pytestmark = pytest.mark.emulator

COMPLETE, STOPPED = ClientStatus.COMPLETE, ClientStatus.STOPPED


class Siblings(Ferry):
    """A site with a template, its children, and their publishers."""

    def __init__(self, dynamodb: Any, s3: Any, table: str, bucket: str, most: int | None) -> None:
        super().__init__(dynamodb, s3, table, bucket, retries=False)
        self.user = UserOfASite(self.dynamodb, self.s3, table, bucket, site=self.site)
        self.parent = f"t-{uuid.uuid4().hex}"
        self.registered = count(1)
        self.register(most)

    @property
    def makes(self) -> Children:
        made = children(self.user)
        return Children(made.submitting, made.specifications, made.templates, lambda _: None)

    def register(self, most: int | None) -> None:
        block = {"Payload": "optional", **({"MaxActive": most} if most is not None else {})}
        examined = examine(a_job(self.parent, ParameterizedJob=block))
        assert examined.job is not None, examined.problems
        submitter = Submitter(name="me", key=f"k{next(self.registered)}")
        Registering(self.makes).register(examined.job, submitter)

    def template(self) -> Job:
        return self.user.job(self.parent)

    def name(self, number: int) -> str:
        return f"{self.parent}/dispatch-1-{number:08x}"

    def dispatch(self, number: int) -> None:
        template = self.template()
        wanted = Wanted(id=self.name(number), cause=f"c{number}")
        self.makes.create(template, self.makes.specification(template), wanted)

    def dispatches(self, number: int) -> Program:
        """A dispatch, before its first call."""
        return Program("dispatch", partial(self.dispatch, number))

    def started(self, numbers: range) -> list[int]:
        """Which of the children may be claimed, or are."""
        return [n for n in numbers if self._may_run(self.name(n))]

    def _may_run(self, child: str) -> bool:
        job = self.user.jobs.job(self.site, child)
        if job is None or not job.active:
            return False
        allocation = self.user.allocation(child)
        item = self.user.item(f"A#{self.site}#{allocation.id[0]}", allocation.id)
        assert ("qpk" in item or "token" in item) == (job.turn is None)
        return job.turn is None

    def ends(self, number: int, status: ClientStatus = COMPLETE) -> Program:
        """The publisher of a child's end, before its first call."""
        allocation = self.user.allocation(self.name(number))
        if allocation.token is None:
            self.claim(allocation.id)
            allocation = self.user.allocation(self.name(number))
        self.end(allocation, status)
        self.deliver_record(self.records[-1])
        return self.running[-1][0]

    def stop_job(self, number: int) -> None:
        job = self.user.job(self.name(number))
        self.makes.runs.stop(job, sequencer=job.sequencer, asked_by="stop by me")

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

    def check(self, numbers: range, ended: int) -> None:
        """When all has been delivered: as many run as may, and they are the first."""
        most = self.template().max_active
        active = [n for n in numbers if self.user.job(self.name(n)).active]
        assert self.started(numbers) == active[:most]
        assert len(active) == len(numbers) - ended


Make = Callable[..., Siblings]


@pytest.fixture
def make(emulator: Emulator, plain_table: str, plain_bucket: str) -> Make:
    clients = emulator.client("dynamodb"), emulator.client("s3")

    def made(most: int | None, dispatched: int) -> Siblings:
        siblings = Siblings(*clients, plain_table, plain_bucket, most)
        for number in range(dispatched):
            siblings.dispatch(number)
        return siblings

    return made


def _after(siblings: Siblings, program: Program, calls: int) -> bool:
    """Let a program make so many calls; whether it had as many to make."""
    for _ in range(calls):
        if program.done:
            return False
        siblings.step(program)
    return not program.done


def _dead(siblings: Siblings, number: int) -> Program:
    """The publisher of a child's end, when that end is in the table and in the bucket."""
    program = siblings.ends(number)
    while siblings.user.job(siblings.name(number)).active:
        siblings.step(program)
    while not siblings.marks:  # the status word is the last object
        siblings.step(program)
    return program


def test_dispatches_beyond_it_wait_say_why_and_start_in_order(make: Make) -> None:
    siblings = make(2, 5)
    numbers = range(5)
    assert siblings.started(numbers) == [0, 1]
    turns = siblings.makes.runs.turns
    assert [turns.sentence(siblings.user.job(siblings.name(n))) for n in numbers] == [
        None,
        None,
        *(
            f"2 children of {siblings.parent} are active, its max_active is 2; {before} before "
            "this one"
            for before in ("0 dispatches wait", "1 dispatch waits", "2 dispatches wait")
        ),
    ]
    for ended in (1, 0, 3, 2):
        siblings.ends(ended)
        siblings.settle()
        siblings.check(numbers, [1, 0, 3, 2].index(ended) + 1)
    siblings.ends(4)
    siblings.settle()
    assert siblings.template().launched == ()
    siblings.dispatch(5)
    siblings.check(range(6), 5)


def test_one_is_told_in_the_singular() -> None:
    template = Job(site="dc1", id="t", bucket="b", max_active=1, launched=("t/1",))
    assert waiting_sentence(template, 7) == (
        "1 child of t is active, its max_active is 1; 7 dispatches wait before this one"
    )


def test_two_ends_meet_at_any_two_calls(make: Make) -> None:
    for calls in count():
        siblings = make(2, 4)
        first, second = _dead(siblings, 0), siblings.ends(1)
        more = _after(siblings, first, calls)
        siblings.finish(second)
        siblings.finish(first)
        siblings.settle()
        siblings.check(range(4), 2)
        if not more:
            return


@pytest.mark.parametrize(
    ("which", "waiting"), [("end first", 0), ("end first", 1), ("dispatch first", 0)]
)
def test_an_end_and_a_dispatch_meet_at_any_two_calls(make: Make, which: str, waiting: int) -> None:
    for calls in count():
        siblings = make(1, 1 + waiting)
        if which == "end first":
            interrupted = _dead(siblings, 0)
            other = partial(siblings.dispatches, 1 + waiting)
        else:
            interrupted = siblings.dispatches(1 + waiting)
            other = partial(siblings.ends, 0)
        more = _after(siblings, interrupted, calls)
        siblings.finish(other())
        siblings.finish(interrupted)
        siblings.settle()
        siblings.check(range(2 + waiting), 1)
        if not more:
            return


def test_the_publisher_of_an_end_may_die_before_any_of_its_calls(make: Make) -> None:
    for calls in count():
        siblings = make(1, 3)
        program = _dead(siblings, 0)
        more = _after(siblings, program, calls)
        if more:
            siblings.kill(program)
        siblings.settle()
        siblings.check(range(3), 1)
        if not more:
            return


def test_one_that_is_stopped_while_it_waits_is_passed_over(make: Make) -> None:
    for calls in count():
        siblings = make(1, 4)
        program = _dead(siblings, 0)
        more = _after(siblings, program, calls)
        if siblings.user.job(siblings.name(1)).turn is not None:
            siblings.stop_job(1)
            siblings.records.append(Record(siblings.site, siblings.name(1)))
            stopped = 1
        else:
            stopped = 0
        siblings.finish(program)
        siblings.settle()
        siblings.check(range(4), 1 + stopped)
        if not more:
            return


def test_a_retry_of_a_child_waits_like_a_dispatch(make: Make) -> None:
    siblings = make(1, 2)
    siblings.ends(0, STOPPED)
    siblings.settle()
    job = siblings.user.job(siblings.name(0))
    cause = Cause(upload="again", sequencer=None, time=siblings.now)
    assert siblings.makes.runs.start_again(job, cause) is not None
    assert siblings.started(range(2)) == [1]
    siblings.ends(1)
    siblings.settle()
    assert siblings.started(range(2)) == [0]


def test_a_changed_limit_holds_at_once(make: Make) -> None:
    siblings = make(1, 6)
    siblings.register(3)
    siblings.check(range(6), 0)
    siblings.register(2)
    siblings.ends(0)
    siblings.settle()
    assert siblings.started(range(6)) == [1, 2]
    siblings.register(None)
    assert siblings.started(range(6)) == [1, 2, 3, 4, 5]
    siblings.dispatch(6)
    assert siblings.started(range(7)) == [1, 2, 3, 4, 5, 6]
    siblings.register(2)
    siblings.dispatch(7)
    assert siblings.started(range(8)) == [1, 2, 3, 4, 5, 6]
    for ended in range(1, 7):
        siblings.ends(ended)
        siblings.settle()
    assert siblings.started(range(8)) == [7]


def test_a_limit_that_is_set_while_a_child_ends_counts_it_or_not(make: Make) -> None:
    for calls in count():
        siblings = make(None, 1)
        program = Program("register", partial(siblings.register, 1))
        more = _after(siblings, program, calls)
        siblings.finish(siblings.ends(0))
        siblings.finish(program)
        assert program.error is None
        siblings.settle()
        siblings.dispatch(1)
        siblings.check(range(2), 1)
        if not more:
            return


def test_those_that_wait_start_though_their_template_is_stopped(make: Make) -> None:
    siblings = make(1, 2)
    before = siblings.template()
    Registering(siblings.makes).stop(before)
    with pytest.raises(Refused, match="is stopped"):
        siblings.makes.create(
            before,
            siblings.makes.specification(before),
            Wanted(id=siblings.name(2), cause="c2"),
        )
    siblings.ends(0)
    siblings.settle()
    assert siblings.started(range(2)) == [1]


def test_a_waiting_child_that_is_stopped_ends_as_stopped(make: Make) -> None:
    siblings = make(1, 2)
    siblings.stop_job(1)
    siblings.records.append(Record(siblings.site, siblings.name(1)))
    siblings.settle()
    job = siblings.user.job(siblings.name(1))
    assert (job.role, job.status, job.outcome) == (Role.LEAF, JobStatus.DEAD, Outcome.STOPPED)
    siblings.ends(0)
    siblings.settle()
    siblings.dispatch(2)
    assert siblings.started(range(3)) == [2]


def test_many_dispatches_at_once_are_in_one_order(make: Make) -> None:
    siblings = make(2, 0)
    programs = [siblings.dispatches(number) for number in range(6)]
    while running := [program for program in programs if not program.done]:
        for program in running:
            siblings.step(program)
    assert [program.error for program in programs] == [None] * 6
    assert len(siblings.started(range(6))) == 2
    for _ in range(6):
        (first, *_) = siblings.started(range(6))
        siblings.ends(first)
        siblings.settle()
    assert siblings.started(range(6)) == []
    assert not any(siblings.user.job(siblings.name(n)).active for n in range(6))
