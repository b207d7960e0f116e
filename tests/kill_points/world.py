"""All that surrounds the puller, in memory: cloud, scheduler, file servers, clocks, faults."""

from __future__ import annotations

import dataclasses
import shutil
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

from botocore.exceptions import ClientError, EndpointConnectionError

from job_protocol import dynamodb_json, table_keys
from job_protocol.allocation import Allocation
from job_protocol.items import from_attributes, to_attributes
from job_protocol.manifest import Entry, Manifest
from job_protocol.object_keys import SCRIPT
from job_protocol.states import ClientStatus, Desired
from puller.cloud.queue import CloudQueue
from puller.errors import (
    CloudUnreachable,
    HeldElsewhere,
    SchedulerUnavailable,
    SubmissionDeferred,
    SubmissionUnknown,
)
from puller.journal import Journal, Phase, Record
from puller.schedulers.interface import SchedulerState
from puller.settings import Settings
from puller.site_pass import SitePass
from puller.workplace import Workplace
from tests.kill_points.memory_scheduler import (
    RESULT,
    MemoryCluster,
    MemoryScheduler,
    SchedulerJob,
)
from tests.kill_points.memory_table import MemoryTable
from tests.unit.puller.memory_bucket import MemoryBucket

SITE = "dc1"
HOUR = 3600.0
_CONTENT = b"#!/bin/sh\ntrue\n"
_SHARED_KEY, _SHARED = "shared/mesh.h5", b"mesh" * 100
_UNREACHABLE = EndpointConnectionError(endpoint_url="memory")


class Crash(BaseException):
    """The process has died: nothing of it runs on."""


@dataclass
class Faults:
    """What happens to the calls of one pass.

    Attributes:
        plan: by the number of a call, what happens to it.
        late: effects that have left the puller and not arrived yet.
        on_pause: what the world does while the puller stands still.
        broken: the ports whose calls all fail.
    """

    plan: Mapping[int, str]
    late: list[Callable[[], object]]
    on_pause: Callable[[], None]
    broken: frozenset[str] = frozenset()
    calls: int = 0
    dead: bool = False

    def port(self, name: str, effect: Callable[[], Any]) -> Any:
        """A call through a port, as planned."""
        if self.dead:
            raise Crash
        action = self.plan.get(self.calls, "")
        self.calls += 1
        if action == "pause":
            self.on_pause()
        if name in self.broken:
            raise _failure(name)
        if action in ("crash before", "fail") or (action == "full" and name == "submit"):
            self._fail(name, action)
        if action.startswith("late") and name in ("write", "submit"):
            self.late.append(effect)
            self._fail(name, action)
        result = effect()
        if action in ("crash after", "answer lost"):
            self._fail(name, action)
        if action == "half" and name == "list":
            return dict(list(result.items())[::2])
        return result

    def _fail(self, name: str, action: str) -> NoReturn:
        if "crash" in action:
            self.dead = True
            raise Crash
        raise (
            SubmissionDeferred("QOSMaxSubmitJobPerUserLimit")
            if action == "full"
            else (_failure(name))
        )


def no_artifacts() -> NoReturn:
    raise AssertionError("no job of this world names artifacts")


def _failure(name: str) -> Exception:
    if name in ("read", "write"):
        return _UNREACHABLE
    if name == "bucket":
        return CloudUnreachable("the bucket cannot be reached")
    if name == "submit":
        return SubmissionUnknown("sbatch timed out")
    if name == "journal":
        return OSError(28, "No space left on device")
    return SchedulerUnavailable("the controller does not answer")


ACTIONS = (
    "crash before",
    "crash after",
    "fail",
    "answer lost",
    "late",
    "late and crash",
    "half",
    "full",
    "pause",
)


@dataclass
class FaultyTable:
    """The table behind a network."""

    table: MemoryTable
    faults: Faults

    def update_item(self, **request: Any) -> Any:
        return self.faults.port("write", lambda: self.table.update_item(**request))

    def get_item(self, **request: Any) -> Any:
        return self.faults.port("read", lambda: self.table.get_item(**request))

    def query(self, **request: Any) -> Any:
        return self.faults.port("read", lambda: self.table.query(**request))


class FaultyJournal(Journal):
    """The journal on a disk that may be full, of a process that may die."""

    def __init__(self, state: Path, faults: Faults) -> None:
        super().__init__(state)
        self._faults = faults

    def write(self, record: Record) -> Record:
        def effect() -> Record:
            return super(FaultyJournal, self).write(record)

        written: Record = self._faults.port("journal", effect)
        return written

    def forget(self, record: Record) -> None:
        def effect() -> None:
            super(FaultyJournal, self).forget(record)

        self._faults.port("journal", effect)


@dataclass
class Installation:
    """One installation: a home directory; two hosts share it."""

    name: str
    home: Path
    hosts: tuple[str, ...]
    fenced: set[str] = field(default_factory=set)


class World:
    """The site `dc1` with two installations, and all that surrounds them.

    Attributes:
        now: the true time; every host's clock is off by `offset`.
        terminal: the end of each allocation, as the table first said it.
    """

    def __init__(self, home: Path) -> None:
        self._home = home
        self.now = 1_700_000_000.0
        self.offset = 0.0
        self.jumped = False
        self.table = MemoryTable()
        self.bucket = MemoryBucket()
        self.shared = self.bucket.store(_SHARED_KEY, _SHARED)
        self.cluster = MemoryCluster(lambda: self.now)
        self.installations = (
            Installation("one", home / "one", ("a1", "a2")),
            Installation("two", home / "two", ("b1",)),
        )
        self.late: list[Callable[[], object]] = []
        self.terminal: dict[str, dict[str, Any]] = {}
        self.foreign: set[str] = set()
        self.allocations: list[str] = []

    # ---- the cloud side ----

    def upload(self, job: str | None = None) -> str:
        number = len(self.allocations) + 1
        named, id_ = f"job{number}", str(uuid.uuid5(uuid.NAMESPACE_URL, str(number)))
        job = job or named
        version = self.bucket.store(f"{job}/{SCRIPT}", _CONTENT)
        own = Entry(SCRIPT, version, len(_CONTENT))
        shared = Entry("mesh.h5", self.shared, len(_SHARED), _SHARED_KEY)
        manifest = Manifest((own, shared))
        allocation = Allocation(
            site=SITE, job=job, id=id_, created=int(self.now), manifest=manifest.pack()
        )
        key = table_keys.allocation(SITE, id_)
        attributes = to_attributes(allocation) | {
            "pk": key.pk,
            "sk": key.sk,
            "qpk": table_keys.queue_partition(SITE),
            "qsk": table_keys.queue_pending(50, int(self.now)),
        }
        self.table.items[key.pk, key.sk] = dynamodb_json.encode(attributes)
        self.allocations.append(id_)
        return id_

    def item(self, allocation: str) -> dict[str, Any]:
        key = table_keys.allocation(SITE, allocation)
        return dynamodb_json.decode(self.table.items[key.pk, key.sk])

    def stop(self, allocation: str) -> None:
        """As the intake does it."""
        old = self.item(allocation)
        if ClientStatus(old["client_status"]).terminal:
            return
        new = {**old, "desired": Desired.STOP}
        if "token" not in old:
            new |= {"client_status": ClientStatus.STOPPED}
            del new["qpk"], new["qsk"]
        else:
            new |= {
                "qpk": table_keys.queue_partition(SITE),
                "qsk": table_keys.queue_stop(int(self.now)),
            }
        self._put(new)

    def give_to_an_operator(self, allocation: str) -> None:
        old = self.item(allocation)
        if "token" in old and not ClientStatus(old["client_status"]).terminal:
            self._put({**old, "token": "operator"})
            self.foreign.add(allocation)

    def _put(self, attributes: dict[str, Any]) -> None:
        self.table.items[attributes["pk"], attributes["sk"]] = dynamodb_json.encode(attributes)

    def deliver(self, number: int) -> None:
        """One of the effects under way arrives, whichever was sent first."""
        if self.late:
            effect = self.late.pop(number % len(self.late))
            try:
                effect()
            except ClientError:
                return  # a condition that failed; nobody is there to be told

    # ---- the site ----

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.cluster.show_late()

    def jump(self, seconds: float) -> None:
        self.jumped = True
        self.offset = max(-HOUR, min(HOUR, self.offset + seconds))

    def one_pass(
        self,
        installation: Installation,
        host: str,
        plan: Mapping[int, str] | None = None,
        broken: frozenset[str] = frozenset(),
    ) -> bool:
        """A pass from its start to its end or death; whether it died."""
        faults = Faults(plan or {}, self.late, lambda: self._pause(installation, host), broken)
        place = self.place(installation, host, faults)
        try:
            SitePass(place, host).run()
        except Crash:
            return True
        except HeldElsewhere:
            return False
        finally:
            self._note_fenced(installation)
            self.check()
        return False

    def _pause(self, installation: Installation, host: str) -> None:
        """An hour passes for a process that stands still; its other host takes over."""
        self.advance(HOUR)
        for other in installation.hosts:
            if other != host:
                self.one_pass(installation, other)
        for job in self.cluster.of(SchedulerState.QUEUED):
            self.cluster.start(job)

    def _note_fenced(self, installation: Installation) -> None:
        journal = Journal(installation.home / "state")
        for record in journal.records():
            if record.phase is Phase.FENCED:
                installation.fenced.add(record.id)

    def place(self, installation: Installation, host: str, faults: Faults) -> Workplace:
        home = installation.home
        (home / host).mkdir(parents=True, exist_ok=True)
        settings = Settings(
            site=SITE,
            bucket="bucket",
            table="table",
            region="eu-west-1",
            scheduler="slurm",
            jobs_dir=home / "aws-job",
            state_dir=home / "state",
            lock_dir=home / host,
        )
        journal = FaultyJournal(settings.state, faults)

        def cancelled(job: SchedulerJob) -> None:
            assert job.allocation not in installation.fenced, "a fenced holder cancels"

        def put(key: str) -> None:
            for fenced in installation.fenced:
                job = self.item(fenced)["job"]
                assert not key.startswith(f"{job}/"), "a fenced holder pushes"
            faults.port("bucket", lambda: None)

        bucket = dataclasses.replace(
            self.bucket,
            before_put=put,
            before_fetch=lambda _key: faults.port("bucket", lambda: None),
        )
        return Workplace(
            settings=settings,
            queue=CloudQueue(FaultyTable(self.table, faults), "table", SITE),
            bucket=bucket,
            scheduler=MemoryScheduler(self.cluster, faults.port, cancelled),
            journal=journal,
            installation=journal.installation(),
            clock=lambda: self.now + self.offset,
            login_environment=dict,
            artifact_sources=no_artifacts,
        )

    # ---- what must hold ----

    def check(self) -> None:
        for id_ in self.allocations:
            ran = self.cluster.executions.get(id_, [])
            assert len(ran) <= 1, f"{id_} ran in {ran}"
            item = self.item(id_)
            status = ClientStatus(item["client_status"])
            if id_ in self.terminal:
                end = self.terminal[id_]
                assert status == end["client_status"], f"{end['client_status']} became {status}"
            elif status.terminal:
                self.terminal[id_] = item
                self._check_end(id_, item, status)
        for installation in self.installations:
            for content in installation.home.glob("aws-job/.jobferry/cache/*/content"):
                assert content.read_bytes() == _SHARED, "the cache holds a half file"
            for id_ in installation.fenced:
                directory = installation.home / "aws-job" / self.item(id_)["job"]
                assert directory.is_dir(), "a fenced holder deletes"

    def _check_end(self, id_: str, item: dict[str, Any], status: ClientStatus) -> None:
        mine = [job for job in self.cluster.jobs.values() if job.allocation == id_]
        running = [job for job in mine if job.state is SchedulerState.RUNNING]
        assert not running, f"{status}, and job {running[0].id} runs"
        exit_code = item.get("exit_code")
        if exit_code is not None:
            known = {self.cluster.codes.get(id_), *(job.code for job in mine), 143}
            assert exit_code in known, f"exit code {exit_code}, of {known}"
        match status:
            case ClientStatus.COMPLETE:
                assert self.cluster.codes.get(id_) == 0, "complete without an exit code of 0"
                result = f"{item['job']}/{RESULT}"
                assert result in self.bucket.latest, "complete without its results"
                shared = f"{item['job']}/mesh.h5"
                assert shared not in self.bucket.latest, "a shared input came back as a result"
            case ClientStatus.STOPPED:
                cancelled = any(job.end == "cancelled" for job in mine)
                assert item["desired"] == Desired.STOP or cancelled, "stopped by nobody"
            case ClientStatus.LOST:
                queued = [job for job in mine if job.state is SchedulerState.QUEUED]
                assert not queued, f"lost, and job {queued[0].id} waits"
            case ClientStatus.FAILED:
                refused = item.get("scheduler_id") is None
                ended = any(job.state is SchedulerState.ENDED for job in mine)
                assert refused or ended or id_ in self.cluster.codes, "failed without evidence"

    def settle(self) -> None:
        """No more faults: everything must come to its end."""
        self.offset = 0.0
        while self.late:
            self.deliver(0)
        for _ in range(150):
            for job in self.cluster.of(SchedulerState.QUEUED):
                self.cluster.start(job)
            for job in self.cluster.of(SchedulerState.RUNNING):
                self.cluster.finish(job, 0)
            for installation in self.installations:
                for host in installation.hosts:
                    self.one_pass(installation, host)
            self.advance(61)
            if not self._open():
                break
        assert not self._open(), "\n".join(self._told(id_) for id_ in self._open())
        for installation in self.installations:
            held = Journal(installation.home / "state").records()
            assert all(record.id in self.foreign for record in held), held

    def _open(self) -> list[str]:
        ends = (id_ for id_ in self.allocations if id_ not in self.foreign)
        return [id_ for id_ in ends if id_ not in self.terminal]

    def _told(self, id_: str) -> str:
        records = [
            record
            for installation in self.installations
            for record in Journal(installation.home / "state").records()
            if record.id == id_
        ]
        jobs = [job for job in self.cluster.jobs.values() if job.allocation == id_]
        allocation = from_attributes(Allocation, self.item(id_))
        return f"{allocation}\n{records}\n{jobs}"

    def close(self) -> None:
        shutil.rmtree(self._home, ignore_errors=True)
