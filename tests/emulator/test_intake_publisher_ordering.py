"""Events in every order, two publishers at once, deaths anywhere: the bucket says the right word.

The real admission rule, publication, stream rule and puller's queue work on an emulated table and
bucket. Hypothesis draws what the user and the puller do, in which order and how often events and
stream records are delivered, how the calls of intakes and publishers interleave, and who dies.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, event, given, note, settings
from hypothesis import strategies as st

from job_protocol import object_keys
from job_protocol.allocation import Allocation
from job_protocol.job import Job
from job_protocol.states import ClientStatus, Desired, JobStatus, Outcome, Word
from lambdas.admission import Admission
from lambdas.dependents import Dependents
from lambdas.errors import Conflict, JobBusy
from lambdas.ports.dependency_table import DependencyTable
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.site_directory import Site
from lambdas.publication import LEASE_SECONDS, Publication
from lambdas.rules.derivation import derive
from lambdas.rules.mark import Mark, word_of_body
from lambdas.rules.stream import changes_of
from lambdas.rules.upload import Limits
from local_cloud.emulator import Emulator
from puller.cloud.queue import CloudQueue
from puller.cloud.written import Written
from puller.journal import End
from tests.emulator.control_plane import SCRIPT
from tests.emulator.interleaving import Killed, Program, SteppedClient

pytestmark = pytest.mark.emulator

LONG = os.environ.get("HYPOTHESIS_PROFILE") == "long"
AT_ONCE = 3
DEATHS = 2
DUPLICATES = 3
GARBAGE = b"please run this\n"
Move = tuple[str, Callable[[int], None]]
"""Its name, and what happens; the number chooses where there is more to choose."""


@dataclass
class Record:
    """A stream record or a retry message: a job to publish.

    Attributes:
        site, job: the job.
        due: when it is delivered at the earliest, in seconds since the epoch.
    """

    site: str
    job: str
    due: int = 0


@dataclass
class Events:
    """The event bus."""

    sent: list[dict[str, Any]] = field(default_factory=list)

    def put(self, detail_type: str, detail: dict[str, Any]) -> None:
        self.sent.append(detail)


class Ferry:
    """One site with one job: its user, its puller, and the control plane between them."""

    def __init__(self, dynamodb: Any, s3: Any, table: str, bucket: str, *, retries: bool) -> None:
        self.site = f"site-{uuid.uuid4().hex}"
        self.job_id = f"job {uuid.uuid4().hex}"
        self.now = int(time.time())
        self.table, self.bucket = table, bucket
        self.dynamodb = SteppedClient(dynamodb, self._on_table_call)
        self.s3 = SteppedClient(s3, self._on_bucket_call)
        self.queue = CloudQueue(self.dynamodb, table, self.site)
        self.bus = Events()
        self.marks: list[Mark] = []
        self.delivered: list[Mark] = []
        self.records: list[Record] = []
        self.running: list[tuple[Program, Mark | Record]] = []
        self.allocations: set[str] = set()
        self.purges: list[tuple[str, str]] = []
        self.words: list[bytes] = []
        self.deaths, self.duplicates = DEATHS, DUPLICATES
        self._puts = 0
        self._put("aws-job-run.sh", SCRIPT)
        if retries:
            self._put("aws-job.json", b'{"retries": {"attempts": 1, "delay": 60}}')

    # ---- what happens without anybody's doing: the bucket's events and the table's stream ----

    def _on_bucket_call(self, name: str, arguments: dict[str, Any], call: Callable[[], Any]) -> Any:
        answer = call()
        if name == "put_object" and arguments["Key"].endswith(object_keys.STATUS_WORD):
            self._puts += 1
            mark = Mark(
                bucket=self.bucket,
                key=arguments["Key"],
                version=answer["VersionId"],
                etag=hashlib.md5(arguments["Body"], usedforsecurity=False).hexdigest(),
                sequencer=f"{self._puts:016X}",
                time=int(time.time()),
                size=len(arguments["Body"]),
            )
            self.marks.append(mark)
        return answer

    def _on_table_call(self, name: str, arguments: dict[str, Any], call: Callable[[], Any]) -> Any:
        writes = _writes_of(name, arguments)
        before = [self._image(key) for key in writes]
        answer = call()
        for key, old in zip(writes, before, strict=True):
            new = self._image(key)
            if new == old:
                continue
            if key["pk"]["S"].startswith("A#"):
                self.allocations.add(key["sk"]["S"])
            record = {
                "eventName": "MODIFY" if old else "INSERT",
                "dynamodb": {"Keys": key, "NewImage": new},
            }
            self.records += [Record(asked.site, asked.job_id) for asked in changes_of(record)]
        return answer

    def _image(self, key: dict[str, Any]) -> dict[str, Any]:
        client = self.dynamodb._client
        answer = client.get_item(TableName=self.table, Key=key, ConsistentRead=True)
        item: dict[str, Any] = answer.get("Item", {})
        return item

    # ---- the user ----

    def _put(self, path: str, body: bytes) -> None:
        self.s3.put_object(Bucket=self.bucket, Key=f"{self.job_id}/{path}", Body=body)

    def say(self, word: bytes) -> None:
        self._put(object_keys.STATUS_WORD, word)
        self.words.append(word)

    # ---- the control plane ----

    def _intake(self, mark: Mark) -> Callable[[], object]:
        site = Site(self.site, self.bucket, Limits(files=50, size=1_000_000), keep_days=7)
        table, bucket = JobTable(self.dynamodb, self.table), SiteBucket(self.s3, self.bucket)
        return lambda: Admission(table, bucket, site, lambda: self.now).handle(mark)

    def _publisher(self, record: Record) -> Callable[[], object]:
        events: Any = self.bus
        nobody: Any = None
        table = JobTable(self.dynamodb, self.table)
        edges = DependencyTable(self.dynamodb, self.table)
        publication = Publication(
            table=table,
            bucket_of=lambda bucket: SiteBucket(self.s3, bucket),
            events=events,
            workflows=nobody,
            every_transition=False,
            clock=lambda: self.now,
            new_lease=lambda: uuid.uuid4().hex,
            purge=lambda site, job: self.purges.append((site, job)),
            tell_dependents=Dependents(
                table, edges, lambda: self.now, lambda site, job: self.purges.append((site, job))
            ).tell,
        )
        return lambda: publication.publish(record.site, record.job)

    def deliver_mark(self, mark: Mark) -> None:
        if mark in self.marks:
            self.marks.remove(mark)
        else:
            self.duplicates -= 1
        self.running.append((Program("intake", self._intake(mark)), mark))

    def deliver_record(self, record: Record, *, again: bool = False) -> None:
        if again:
            self.duplicates -= 1
        else:
            self.records.remove(record)
        self.running.append((Program("publisher", self._publisher(record)), record))

    def step(self, program: Program) -> None:
        program.step()
        self._gather()

    def finish(self, program: Program) -> None:
        program.finish()
        self._gather()

    def kill(self, program: Program) -> None:
        self.deaths -= 1
        program.kill()
        self._gather()

    def _gather(self) -> None:
        """Whatever failed comes again, as S3, the stream and the retry queue do it."""
        for program, cause in [entry for entry in self.running if entry[0].done]:
            self.running.remove((program, cause))
            error = program.error
            if isinstance(cause, Mark):
                assert error is None or isinstance(error, Conflict | Killed), repr(error)
                (self.delivered if error is None else self.marks).append(cause)
            elif isinstance(error, JobBusy):
                self.records.append(Record(cause.site, cause.job, self.now + error.seconds + 1))
            elif error is not None:
                assert isinstance(error, Conflict | Killed), repr(error)
                self.records.append(cause)

    def let_time_pass(self) -> None:
        """So much that a lease runs out; a Lambda's time limit is shorter than that."""
        for program, _ in list(self.running):
            program.kill()
        self._gather()
        self.now += LEASE_SECONDS + 1

    # ---- the puller ----

    def current(self) -> Allocation | None:
        job = JobTable(self.dynamodb, self.table).job(self.site, self.job_id)
        return self.queue.read(job.current) if job is not None and job.current else None

    def claim(self, allocation_id: str) -> None:
        self.queue.claim(allocation_id, token="token", installation="i", now=self.now)

    def observe(self, allocation: Allocation, status: ClientStatus) -> None:
        facts = {"scheduler": "slurm", "scheduler_id": "1"}
        written = self.queue.observe(
            allocation.id, "token", obs=allocation.obs + 1, status=status, facts=facts
        )
        assert written is Written.DONE

    def let_go(self, allocation: Allocation) -> None:
        self.queue.let_go(
            allocation, "token", obs=allocation.obs + 1, reason="QOSMax", not_before=self.now + 60
        )

    def end(self, allocation: Allocation, status: ClientStatus) -> None:
        end = End(status=status, exit_code=None, reason=None, time=self.now)
        written = self.queue.end(
            allocation,
            "token",
            obs=allocation.obs + 1,
            end=end,
            results=None,
            facts={},
            now=self.now,
        )
        assert written is Written.DONE

    def puller_moves(self) -> Iterator[Move]:
        waiting = self.queue.waiting(self.now, 1)
        for allocation_id in waiting.pending:
            yield "claim", lambda _, ident=allocation_id: self.claim(ident)
        for allocation_id in waiting.stops:
            yield "stop", lambda _, ident=allocation_id: self.stop(ident)
        held = self.current()
        if held is None or held.token is None or held.client_status.terminal:
            return
        following = {
            ClientStatus.STARTING: ClientStatus.QUEUED,
            ClientStatus.QUEUED: ClientStatus.RUNNING,
            ClientStatus.RUNNING: ClientStatus.PUBLISHING,
        }.get(held.client_status)
        if following is not None:
            yield following.value, lambda _: self.observe(held, following)
        if held.client_status is ClientStatus.STARTING and held.desired is Desired.RUN:
            yield "let go", lambda _: self.let_go(held)
        if held.client_status in (ClientStatus.STARTING, ClientStatus.QUEUED):
            return
        for status in (ClientStatus.COMPLETE, ClientStatus.FAILED):
            yield status.value, lambda _, end=status: self.end(held, end)

    def stop(self, allocation_id: str) -> None:
        allocation = self.queue.read(allocation_id)
        assert allocation is not None
        self.end(allocation, ClientStatus.STOPPED)

    # ---- what may happen next ----

    def moves(self, words: list[bytes]) -> list[Move]:
        """All that may happen next.

        Args:
            words: what the user has yet to say.
        """
        moves: list[Move] = []
        if words:
            moves.append((f"user {words[0]!r}", lambda _: self.say(words.pop(0))))
        if self.words:
            moves.append(("puller", self.let_the_puller_move))
        if len(self.running) < AT_ONCE:
            moves += self._deliveries()
        for program, _ in self.running:
            # Twice: the calls of programs shall mix.
            moves += 2 * [(f"step {program.name}", lambda _, p=program: self.step(p))]
            moves.append((f"finish {program.name}", lambda _, p=program: self.finish(p)))
            if self.deaths:
                moves.append((f"kill {program.name}", lambda _, p=program: self.kill(p)))
        if self.running or any(record.due > self.now for record in self.records):
            moves.append(("time", lambda _: self.let_time_pass()))
        return moves

    def _deliveries(self) -> Iterator[Move]:
        for mark in self.marks:
            yield f"event {mark.sequencer}", lambda _, m=mark: self.deliver_mark(m)
        due = [record for record in self.records if record.due <= self.now]
        for record in due[-2:]:
            yield "record", lambda _, r=record: self.deliver_record(r)
        if self.duplicates:
            for mark in self.delivered[-3:]:
                yield f"event {mark.sequencer} again", lambda _, m=mark: self.deliver_mark(m)
            for record in due[:1]:
                yield "record twice", lambda _, r=record: self.deliver_record(r, again=True)

    def let_the_puller_move(self, chance: int) -> None:
        if moves := list(self.puller_moves()):
            name, move = moves[chance % len(moves)]
            note(f"  {name}")
            move(chance)

    def settle(self) -> None:
        """Everything is delivered, every retry done, and the puller has obeyed."""
        for _ in range(300):
            if self.running:
                self.finish(self.running[0][0])
            elif self.marks:
                self.deliver_mark(self.marks[0])
            elif due := [record for record in self.records if record.due <= self.now]:
                self.deliver_record(due[0])
            elif self.records:
                self.now = min(record.due for record in self.records)
            elif stops := self.queue.waiting(self.now, 1).stops:
                self.stop(stops[0])
            else:
                return
        pytest.fail("the control plane does not come to rest")

    # ---- what must hold then ----

    def check(self) -> None:
        job = JobTable(self.dynamodb, self.table).job(self.site, self.job_id)
        assert job is not None
        self._check_bucket(job)
        self._check_job(job)
        if self.words and word_of_body(self.words[-1]) is Word.JOB_STOP:
            assert job.status is JobStatus.DEAD
            assert all(allocation.client_status.terminal for allocation in self._all())

    def _check_bucket(self, job: Job) -> None:
        details = json.loads(self._read(object_keys.status_details_key(self.job_id)))
        assert self.status_word() == job.word.body
        assert (details["word"], details["revision"]) == (job.word, job.rev)
        assert (job.unpublished, job.announce, job.lease) == (False, False, None)

    def _check_job(self, job: Job) -> None:
        current = self.current()
        assert derive(job, current, self.now).job is job
        if current is not None and current.client_status.terminal:
            assert job.status is JobStatus.DEAD
        for allocation in self._all():
            assert allocation.client_status.terminal or allocation.id == job.current
        asked = sum(word == Word.FILE_UPLOAD.body for word in self.words)
        assert job.run <= asked
        # Every upload here is valid, so that nothing takes a run's outcome away.
        assert job.run == 0 or job.outcome is not Outcome.REJECTED
        assert len(self.allocations) <= 2 * asked
        if job.status is JobStatus.DEAD:
            assert (job.word, job.run or None) in {
                (event["word"], event.get("run")) for event in self.bus.sent
            }

    def _all(self) -> list[Allocation]:
        read = [self.queue.read(ident) for ident in self.allocations]
        return [allocation for allocation in read if allocation is not None]

    def status_word(self) -> bytes:
        return self._read(object_keys.status_word_key(self.job_id))

    def _read(self, key: str) -> bytes:
        answer = self.s3.get_object(Bucket=self.bucket, Key=key)
        return bytes(answer["Body"].read())


def _writes_of(name: str, arguments: dict[str, Any]) -> list[dict[str, Any]]:
    """The keys of the items that a call writes."""
    if name == "transact_write_items":
        writes = [next(iter(write.values())) for write in arguments["TransactItems"]]
    else:
        writes = [arguments] if name in ("put_item", "update_item") else []
    return [
        write.get("Key") or {part: write["Item"][part] for part in ("pk", "sk")} for write in writes
    ]


UPLOAD, STOP = Word.FILE_UPLOAD.body, Word.JOB_STOP.body
USERS_WORDS = (UPLOAD, STOP, GARBAGE)
words_of_the_user = st.sampled_from(
    [
        [UPLOAD, STOP],
        [UPLOAD, UPLOAD],
        [UPLOAD, GARBAGE],
        [UPLOAD, UPLOAD, STOP],
        [UPLOAD, STOP, UPLOAD],
        [UPLOAD, STOP, UPLOAD, STOP],
        [UPLOAD, GARBAGE, STOP],
    ]
) | st.lists(st.sampled_from(USERS_WORDS), min_size=1, max_size=4)


@pytest.fixture(scope="module")
def clients(emulator: Emulator) -> tuple[Any, Any]:
    return emulator.client("dynamodb"), emulator.client("s3")


@settings(
    max_examples=1000 if LONG else 40,
    derandomize=not LONG,
    database=None,
    deadline=None,
    # The names of the moves tell a failure; to shrink it takes minutes.
    phases=[phase for phase in Phase if LONG or phase is not Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
@given(
    words=words_of_the_user,
    chances=st.lists(st.integers(0, 2**20), min_size=40, max_size=80),
    retries=st.booleans(),
)
def test_whatever_the_order_the_right_word_stands_in_the_bucket(
    clients: tuple[Any, Any],
    plain_table: str,
    plain_bucket: str,
    words: list[bytes],
    chances: list[int],
    retries: bool,
) -> None:
    ferry = Ferry(*clients, plain_table, plain_bucket, retries=retries)
    remaining = list(words)
    for chance in chances:
        moves = ferry.moves(remaining)
        name, move = moves[chance % len(moves)]
        note(name)
        move(chance // len(moves))
    for word in remaining:
        ferry.say(word)
    ferry.settle()
    ferry.check()
    event(f"word {ferry.status_word().decode().strip()}")


def _running_job(ferry: Ferry) -> None:
    """A job whose end a publisher has yet to write."""
    ferry.say(UPLOAD)
    ferry.settle()
    allocation = ferry.current()
    assert allocation is not None
    ferry.claim(allocation.id)
    ferry.observe(allocation, ClientStatus.RUNNING)


def _calls_of_a_publication(ferry: Ferry) -> int:
    ferry.deliver_record(ferry.records[-1])
    program, calls = ferry.running[0][0], 0
    while ferry.running:
        ferry.step(program)
        calls += 1
    return calls


def _publisher_after(ferry: Ferry, calls: int) -> Program:
    ferry.deliver_record(ferry.records[-1])
    program = ferry.running[0][0]
    for _ in range(calls):
        ferry.step(program)
    return program


@pytest.fixture
def calls(clients: tuple[Any, Any], plain_table: str, plain_bucket: str) -> int:
    ferry = Ferry(*clients, plain_table, plain_bucket, retries=False)
    _running_job(ferry)
    return _calls_of_a_publication(ferry)


def test_a_user_who_writes_during_a_publication_or_after_it_is_answered(
    clients: tuple[Any, Any], plain_table: str, plain_bucket: str, calls: int
) -> None:
    for word in USERS_WORDS:
        for call in range(calls + 1):
            ferry = Ferry(*clients, plain_table, plain_bucket, retries=False)
            _running_job(ferry)
            program = _publisher_after(ferry, call)
            ferry.say(word)
            ferry.deliver_mark(ferry.marks[-1])
            ferry.finish(ferry.running[-1][0])
            ferry.finish(program)
            ferry.settle()
            ferry.check()


def test_a_publisher_may_die_before_any_of_its_calls(
    clients: tuple[Any, Any], plain_table: str, plain_bucket: str, calls: int
) -> None:
    for call in range(calls):
        ferry = Ferry(*clients, plain_table, plain_bucket, retries=False)
        _running_job(ferry)
        ferry.kill(_publisher_after(ferry, call))
        ferry.settle()
        ferry.check()
        assert ferry.status_word() == b"JOB_RUNNING\n"


def test_a_job_that_ends_while_its_start_is_published_says_its_end(
    clients: tuple[Any, Any], plain_table: str, plain_bucket: str, calls: int
) -> None:
    for call in range(calls):
        ferry = Ferry(*clients, plain_table, plain_bucket, retries=False)
        _running_job(ferry)
        slow = _publisher_after(ferry, call)
        allocation = ferry.current()
        assert allocation is not None
        ferry.end(allocation, ClientStatus.COMPLETE)
        ferry.deliver_record(ferry.records[-1])
        ferry.finish(ferry.running[-1][0])
        ferry.finish(slow)
        ferry.settle()
        ferry.check()
        assert ferry.status_word() == b"JOB_COMPLETE\n"


def test_a_stop_between_any_two_calls_that_prepare_a_further_attempt_prevents_it(
    clients: tuple[Any, Any], plain_table: str, plain_bucket: str, calls: int
) -> None:
    for call in range(calls):
        ferry = Ferry(*clients, plain_table, plain_bucket, retries=True)
        _running_job(ferry)
        allocation = ferry.current()
        assert allocation is not None
        ferry.end(allocation, ClientStatus.FAILED)
        program = _publisher_after(ferry, call)
        ferry.say(STOP)
        ferry.deliver_mark(ferry.marks[-1])
        ferry.finish(ferry.running[-1][0])
        ferry.finish(program)
        ferry.settle()
        ferry.check()


def test_a_claim_between_any_two_calls_of_a_stop_leaves_the_end_to_the_puller(
    clients: tuple[Any, Any], plain_table: str, plain_bucket: str
) -> None:
    for call in count():
        ferry = Ferry(*clients, plain_table, plain_bucket, retries=False)
        ferry.say(UPLOAD)
        ferry.settle()
        waiting = ferry.current()
        assert waiting is not None
        ferry.say(STOP)
        ferry.deliver_mark(ferry.marks[-1])
        intake = ferry.running[0][0]
        for _ in range(call):
            ferry.step(intake)
        over = intake.done
        ferry.claim(waiting.id)
        ferry.finish(intake)
        allocation = ferry.current()
        assert allocation is not None
        assert allocation.desired is Desired.STOP
        assert allocation.client_status is (
            ClientStatus.STOPPED if allocation.token is None else ClientStatus.STARTING
        )
        ferry.settle()
        ferry.check()
        if over:
            assert allocation.token is None
            return
