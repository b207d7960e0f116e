"""A purged template leaves nothing: its versions wait for its children, its place for the last."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from job_protocol.states import ClientStatus, Role
from lambdas.ports.bucket_remover import BucketRemover
from lambdas.ports.templates import Templates
from lambdas.ports.turn_table import TurnTable
from lambdas.purge_requests import PurgeRequests
from lambdas.purging import Purging
from lambdas.registering import Registering
from local_cloud.emulator import Emulator
from tests.emulator.control_plane import UserOfASite
from tests.emulator.registry import a_job, children, register
from tests.emulator.test_children import PARAMETERIZED, dispatched

pytestmark = pytest.mark.emulator


class Purged:
    """A site with its publisher, purger and its queue."""

    def __init__(self, user: UserOfASite) -> None:
        self.user = user
        self.queue: list[tuple[str, str]] = []

    def send(self, site: str, job_id: str, *, delay: int = 0) -> None:
        self.queue.append((site, job_id))

    @property
    def purging(self) -> Purging:
        queue: Any = self
        return Purging(
            table=self.user.jobs,
            remover_of=lambda bucket: BucketRemover(self.user.s3, bucket),
            queue=queue,
            clock=lambda: self.user.now + 60,
            templates=Templates(self.user.dynamodb, self.user.table),
            ends=TurnTable(self.user.jobs),
        )

    def purge(self, job_id: str) -> None:
        queue: Any = self
        requests = PurgeRequests(self.user.jobs, queue, lambda: self.user.now + 60)
        requests.ask(self.user.site, job_id)
        self.publish(job_id)
        self.work()

    def publish(self, job_id: str) -> None:
        self.user.publish(job_id, self.send)

    def work(self) -> None:
        while self.queue:
            site, job_id = self.queue.pop(0)
            self.purging.advance(site, job_id, until=self.user.now + 10**6)

    def end(self, job_id: str) -> None:
        stopped = {"client_status": ClientStatus.STOPPED, "token": "t", "ended_at": self.user.now}
        self.user.set_allocation(job_id, **stopped)
        self.publish(job_id)
        self.work()

    def purge_child(self, job_id: str) -> None:
        """Purge a child, and have the site answer."""
        self.purge(job_id)
        self.user.set_allocation(job_id, purged_at=self.user.now)
        self.send(self.user.site, job_id)
        self.work()

    def items(self) -> list[str]:
        rows = self.user.dynamodb.scan(TableName=self.user.table)["Items"]
        mine = [row for row in rows if f"#{self.user.site}" in row["pk"]["S"]]
        return sorted(row["sk"]["S"] for row in mine)

    def objects(self) -> list[str]:
        answer = self.user.s3.list_object_versions(Bucket=self.user.bucket)
        rows = [*answer.get("Versions", []), *answer.get("DeleteMarkers", [])]
        return sorted(row["Key"] for row in rows)


@pytest.fixture
def purged(emulator: Emulator, plain_table: str, plain_bucket: str) -> Purged:
    clients = emulator.client("dynamodb"), emulator.client("s3")
    site = f"site-{uuid.uuid4().hex}"
    return Purged(UserOfASite(*clients, plain_table, plain_bucket, site=site))


@pytest.mark.parametrize("more", [{}, {"MaxActive": 1}])
def test_nothing_is_left_when_the_last_child_is_gone(purged: Purged, more: dict[str, int]) -> None:
    user, before = purged.user, purged.objects()
    block = {**PARAMETERIZED["ParameterizedJob"], **more}
    register(user, a_job("t", ParameterizedJob=block))
    first, second = dispatched(user, "t", 1), dispatched(user, "t", 2)
    Registering(children(user)).stop(user.job("t"))
    purged.purge("t")
    template = user.job("t")
    assert (template.role, template.purge is not None) == (Role.TEMPLATE, True)
    assert children(user).specifications.of(user.job(first)) is not None
    purged.end(first)
    assert user.job("t").role is Role.TEMPLATE
    purged.end(second)
    folder = user.job("t")
    assert (folder.role, folder.ttl) == (Role.FOLDER, user.job(second).ttl)
    assert not [key for key in purged.objects() if key.startswith("_jobferry/s")]
    purged.purge_child(first)
    assert user.job("t").role is Role.FOLDER
    purged.purge_child(second)
    places = [] if not more else ["T#"]
    assert [sk for sk in purged.items() if not sk.startswith(tuple(places) or ("\0",))] == []
    assert purged.objects() == before


def test_a_new_job_keeps_the_place_for_good(purged: Purged) -> None:
    user = purged.user
    register(user, a_job("t", **PARAMETERIZED))
    child = dispatched(user, "t", 1)
    purged.end(child)
    Registering(children(user)).stop(user.job("t"))
    purged.purge("t")
    assert user.job("t").ttl is not None
    user.uploads("t/script")
    assert (user.job("t").role, user.job("t").ttl) == (Role.FOLDER, None)
    purged.purge_child(child)
    assert user.job("t").role is Role.FOLDER
