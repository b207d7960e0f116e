"""Two jobs, one of which waits for the other, and everything that may happen between them.

The end of the one and the creation of the other meet in every order, publishers and intakes die
before any of their calls, records come twice: whoever waits is let go, or ended, never forgotten.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st

from job_protocol import dynamodb_json, object_keys, table_keys
from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import ClientStatus, Desired, JobStatus, Outcome, Role, Word
from lambdas.ports.job_table import JobTable
from local_cloud.emulator import Emulator
from tests.emulator.control_plane import SCRIPT
from tests.emulator.interleaving import Program
from tests.emulator.test_intake_publisher_ordering import LONG, Ferry, Move, Record

pytestmark = pytest.mark.emulator

UPLOAD, STOP, RETRY = Word.FILE_UPLOAD.body, Word.JOB_STOP.body, Word.JOB_RETRY.body
COMPLETE, FAILED = ClientStatus.COMPLETE, ClientStatus.FAILED


class Pair(Ferry):
    """A site with two jobs: the ferry's own, and one that depends on it."""

    def __init__(self, dynamodb: Any, s3: Any, table: str, bucket: str, on: str) -> None:
        super().__init__(dynamodb, s3, table, bucket, retries=False)
        self.first = self.job_id
        self.second = f"second {uuid.uuid4().hex}"
        depends = {"depends_on": [{"job": self.first, "on": on}]}
        inputs = {object_keys.SCRIPT: SCRIPT, object_keys.SETTINGS: json.dumps(depends).encode()}
        for path, body in inputs.items():
            self.s3.put_object(Bucket=bucket, Key=f"{self.second}/{path}", Body=body)

    # ---- the user ----

    def says(self, job_id: str, word: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=object_keys.status_word_key(job_id), Body=word)

    # ---- what is in the table ----

    def job(self, job_id: str) -> Job | None:
        return JobTable(self.dynamodb._client, self.table).job(self.site, job_id)

    def allocation(self, job_id: str) -> Allocation | None:
        job = self.job(job_id)
        return self.queue.read(job.current) if job is not None and job.current else None

    def in_queue(self, allocation: Allocation) -> bool:
        key = table_keys.allocation(self.site, allocation.id)
        typed = {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
        answer = self.dynamodb._client.get_item(
            TableName=self.table, Key=typed, ConsistentRead=True
        )
        return "qpk" in dynamodb_json.decode(answer["Item"])

    # ---- the puller ----

    def claim(self, allocation_id: str) -> None:
        allocation = self.queue.read(allocation_id)
        assert allocation is not None
        job = self.job(allocation.job)
        assert job is not None
        assert job.current != allocation_id or not job.waiting_on, "it runs too early"
        super().claim(allocation_id)

    def runs(self, job_id: str) -> Allocation:
        """The puller claims a job and starts it."""
        allocation = self.allocation(job_id)
        assert allocation is not None
        self.claim(allocation.id)
        self.observe(allocation, ClientStatus.RUNNING)
        started = self.allocation(job_id)
        assert started is not None
        return started

    def puller_moves(self) -> Iterator[Move]:
        for job_id in (self.first, self.second):
            self.job_id = job_id
            yield from super().puller_moves()

    def settle(self) -> None:
        """As the ferry does; but a mark may have to wait for a publication."""
        for _ in range(300):
            if self.running:
                self.finish(self.running[0][0])
            elif due := [record for record in self.records if record.due <= self.now]:
                self.deliver_record(due[0])
            elif self.marks:
                self.deliver_mark(self.marks[0])
                self.finish(self.running[0][0])
                if self.marks and self.records:
                    self.now = max(self.now, min(record.due for record in self.records))
            elif self.records:
                self.now = min(record.due for record in self.records)
            elif stops := self.queue.waiting(self.now, 1).stops:
                self.stop(stops[0])
            else:
                return
        pytest.fail("the control plane does not come to rest")

    # ---- what must hold when everything has been delivered ----

    def check_pair(self) -> None:
        for job_id in (self.first, self.second):
            self.job_id = job_id
            if (job := self.job(job_id)) is not None:
                self._check_bucket(job)
                assert job.active or not job.dependents
        self._check_second()

    def _check_second(self) -> None:
        first, second = self.job(self.first), self.job(self.second)
        allocation = self.allocation(self.second)
        if second is None or not second.active:
            assert allocation is None or allocation.client_status.terminal
            return
        assert allocation is not None
        if second.waiting_on:
            assert first is not None
            assert first.active, "nobody will ever wake it"
            assert first.dependents
            assert [one.run for one in second.waiting_on] == [first.run]
            assert not self.in_queue(allocation)
            assert (second.message or "").startswith("waits for ")
        elif allocation.token is None and allocation.desired is Desired.RUN:
            assert self.in_queue(allocation)


@pytest.fixture(scope="module")
def clients(emulator: Emulator) -> tuple[Any, Any]:
    return emulator.client("dynamodb"), emulator.client("s3")


Make = Callable[..., Pair]


@pytest.fixture
def make(clients: tuple[Any, Any], plain_table: str, plain_bucket: str) -> Make:
    """A pair whose first job runs."""

    def made(on: str = "afterok") -> Pair:
        pair = Pair(*clients, plain_table, plain_bucket, on)
        pair.says(pair.first, UPLOAD)
        pair.settle()
        pair.runs(pair.first)
        pair.settle()
        return pair

    return made


def _submit(pair: Pair) -> Program:
    """The intake of the second job's mark, before its first call."""
    pair.says(pair.second, UPLOAD)
    pair.deliver_mark(pair.marks[-1])
    return pair.running[-1][0]


def _end(pair: Pair, status: ClientStatus) -> Program:
    """The publisher of the first job's end, before its first call."""
    allocation = pair.allocation(pair.first)
    assert allocation is not None
    pair.end(allocation, status)
    pair.deliver_record(pair.records[-1])
    return pair.running[-1][0]


def _after(pair: Pair, program: Program, calls: int) -> bool:
    """Let a program make so many calls; whether it had as many to make."""
    for _ in range(calls):
        if program.done:
            return False
        pair.step(program)
    return not program.done


def _outcome(pair: Pair) -> tuple[JobStatus, Outcome | None]:
    second = pair.job(pair.second)
    assert second is not None
    return second.status, second.outcome


ENDS = {
    ("afterok", COMPLETE): (JobStatus.PENDING, None),
    ("afterok", FAILED): (JobStatus.DEAD, Outcome.STOPPED),
    ("afternotok", COMPLETE): (JobStatus.DEAD, Outcome.STOPPED),
    ("afternotok", FAILED): (JobStatus.PENDING, None),
    ("afterany", COMPLETE): (JobStatus.PENDING, None),
    ("afterany", FAILED): (JobStatus.PENDING, None),
}


@pytest.mark.parametrize(("on", "status"), ENDS)
def test_it_waits_until_the_other_has_ended_and_then_starts_or_ends(
    make: Make, on: str, status: ClientStatus
) -> None:
    pair = make(on)
    _submit(pair)
    pair.settle()
    pair.check_pair()
    second = pair.job(pair.second)
    assert second is not None
    assert second.message == f"waits for {pair.first} ({on})"
    assert pair._read(object_keys.status_word_key(pair.second)) == b"JOB_QUEUED\n"
    _end(pair, status)
    pair.settle()
    pair.check_pair()
    assert _outcome(pair) == ENDS[on, status]
    allocation = pair.allocation(pair.second)
    assert allocation is not None
    if ENDS[on, status][1] is Outcome.STOPPED:
        assert f"dependency {pair.first} never satisfied: {on}" in (allocation.reason or "")
    else:
        pair.runs(pair.second)


@pytest.mark.parametrize(("on", "status"), [("afterok", COMPLETE), ("afterok", FAILED)])
@pytest.mark.parametrize("which", ["end first", "creation first"])
def test_the_end_and_the_creation_meet_at_any_two_calls(
    make: Make, on: str, status: ClientStatus, which: str
) -> None:
    for calls in count():
        pair = make(on)
        if which == "end first":
            interrupted, other = _end(pair, status), partial(_submit, pair)
        else:
            interrupted, other = _submit(pair), partial(_end, pair, status)
        more = _after(pair, interrupted, calls)
        pair.finish(other())
        pair.finish(interrupted)
        pair.settle()
        pair.check_pair()
        assert _outcome(pair) == ENDS[on, status]
        if not more:
            return


def test_the_publisher_of_the_end_may_die_before_any_of_its_calls(make: Make) -> None:
    for calls in count():
        pair = make()
        _submit(pair)
        pair.settle()
        program = _end(pair, COMPLETE)
        more = _after(pair, program, calls)
        if more:
            pair.kill(program)
        pair.settle()
        pair.check_pair()
        assert _outcome(pair) == ENDS["afterok", COMPLETE]
        if not more:
            return


def test_two_publishers_of_one_end_release_once(make: Make) -> None:
    for calls in count():
        pair = make()
        _submit(pair)
        pair.settle()
        program = _end(pair, COMPLETE)
        _, record = pair.running[-1]
        more = _after(pair, program, calls)
        assert isinstance(record, Record)
        pair.records.append(record)
        pair.deliver_record(pair.records[-1])
        pair.finish(pair.running[-1][0])
        pair.finish(program)
        pair.settle()
        pair.check_pair()
        assert _outcome(pair) == ENDS["afterok", COMPLETE]
        if not more:
            return


def test_a_stop_of_the_one_that_waits_wins_or_comes_too_late(make: Make) -> None:
    for calls in count():
        pair = make()
        _submit(pair)
        pair.settle()
        program = _end(pair, COMPLETE)
        more = _after(pair, program, calls)
        pair.says(pair.second, STOP)
        pair.deliver_mark(pair.marks[-1])
        pair.finish(pair.running[-1][0])
        pair.finish(program)
        pair.settle()
        pair.check_pair()
        assert _outcome(pair) == (JobStatus.DEAD, Outcome.STOPPED)
        if not more:
            return


def test_a_retry_waits_again_for_what_never_came(make: Make) -> None:
    pair = make()
    _submit(pair)
    pair.settle()
    _end(pair, FAILED)
    pair.settle()
    assert _outcome(pair) == (JobStatus.DEAD, Outcome.STOPPED)
    pair.says(pair.second, RETRY)
    pair.settle()
    assert _outcome(pair) == (JobStatus.DEAD, Outcome.STOPPED), "it has failed still"
    pair.says(pair.first, RETRY)
    pair.settle()
    pair.says(pair.second, RETRY)
    pair.settle()
    pair.check_pair()
    second = pair.job(pair.second)
    assert second is not None
    assert [one.run for one in second.waiting_on] == [2]
    pair.runs(pair.first)
    _end(pair, COMPLETE)
    pair.settle()
    pair.check_pair()
    pair.runs(pair.second)


def test_a_new_run_of_the_other_cannot_hide_how_the_last_one_ended(make: Make) -> None:
    for calls in count():
        pair = make()
        _submit(pair)
        pair.settle()
        program = _end(pair, FAILED)
        more = _after(pair, program, calls)
        if more:
            pair.kill(program)
        pair.says(pair.first, UPLOAD)
        pair.deliver_mark(pair.marks[-1])
        pair.finish(pair.running[-1][0])
        pair.settle()
        pair.check_pair()
        assert _outcome(pair) == (JobStatus.DEAD, Outcome.STOPPED)
        if not more:
            return


WORDS = st.lists(
    st.tuples(st.integers(0, 1), st.sampled_from([UPLOAD, UPLOAD, STOP, RETRY])),
    min_size=1,
    max_size=5,
)


@settings(
    max_examples=1000 if LONG else 15,
    derandomize=not LONG,
    database=None,
    deadline=None,
    phases=[phase for phase in Phase if LONG or phase is not Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(
    words=WORDS,
    chances=st.lists(st.integers(0, 2**20), min_size=40, max_size=80),
    on=st.sampled_from(["afterok", "afterany", "afternotok"]),
)
def test_whatever_happens_in_whatever_order_nobody_is_forgotten(
    clients: tuple[Any, Any],
    plain_table: str,
    plain_bucket: str,
    words: list[tuple[int, bytes]],
    chances: list[int],
    on: str,
) -> None:
    pair = Pair(*clients, plain_table, plain_bucket, on)
    pair.says(pair.first, UPLOAD)
    pair.settle()
    pair.words.append(UPLOAD)  # so that the puller is there
    remaining = [(1, UPLOAD), *words]
    for chance in chances:
        moves = pair.moves([])
        if remaining:
            which, word = remaining[0]
            moves.append((f"{which} {word!r}", lambda _, w=which, text=word: _say(pair, w, text)))
        name, move = moves[chance % len(moves)]
        note(name)
        move(chance // len(moves))
        if name[:1] in "01":
            remaining.pop(0)
    for which, word in remaining:
        _say(pair, which, word)
    pair.settle()
    pair.check_pair()
    second = pair.job(pair.second)
    event(f"second {second and second.role is Role.LEAF and second.word}")
    if second is not None and second.waiting_on:
        event("never satisfied" if not second.active else "waits")


def _say(pair: Pair, which: int, word: bytes) -> None:
    pair.says((pair.first, pair.second)[which], word)
