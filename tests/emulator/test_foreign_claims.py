"""Moving a claim of another installation: when the table lets it happen, and what is left then."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from job_protocol import dynamodb_json, table_keys
from job_protocol.allocation import Allocation
from job_protocol.items import to_attributes
from job_protocol.site_records import Heartbeat
from job_protocol.states import ClientStatus, Desired
from local_cloud.emulator import Emulator
from puller.cloud.foreign_claims import ForeignClaims
from puller.cloud.queue import CloudQueue
from puller.cloud.written import Written

pytestmark = pytest.mark.emulator

SITE = "dc1"
ID = "5f0b7c1e-0000-5000-8000-000000000001"
NOW = 1_700_000_000
STARTING = Allocation(
    site=SITE,
    job="job 1/計算",
    id=ID,
    created=NOW,
    client_status=ClientStatus.STARTING,
    token="theirs",
    installation="lost",
    obs=4,
)
SUBMITTING = replace(STARTING, submitting=True)
RUNNING = replace(
    SUBMITTING, client_status=ClientStatus.RUNNING, scheduler="slurm", scheduler_id="17"
)

Move = Callable[[ForeignClaims, Allocation], bool]


class Table:
    """The table from the control plane's side."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name
        self.queue = CloudQueue(client, name, SITE)
        self.claims = self.queue.foreign_claims()

    def put(self, allocation: Allocation) -> None:
        key = table_keys.allocation(SITE, allocation.id)
        item = {**to_attributes(allocation), "pk": key.pk, "sk": key.sk}
        self.client.put_item(TableName=self.name, Item=dynamodb_json.encode(item))


@pytest.fixture
def table(emulator: Emulator, plain_table: str) -> Table:
    return Table(emulator.client("dynamodb"), plain_table)


def take_over(claims: ForeignClaims, read: Allocation) -> bool:
    return claims.take_over(read, token="mine", installation="new")


def take_back(claims: ForeignClaims, read: Allocation) -> bool:
    return claims.take_back(read, token="mine", installation="new")


def adopt(claims: ForeignClaims, read: Allocation) -> bool:
    return claims.adopt(read, token="mine", installation="new")


@pytest.mark.parametrize(
    ("move", "read"),
    [
        (take_over, STARTING),
        (take_over, replace(STARTING, desired=Desired.STOP)),
        (take_back, SUBMITTING),
        (adopt, SUBMITTING),
        (adopt, RUNNING),
        (adopt, replace(RUNNING, desired=Desired.STOP)),
        (adopt, replace(RUNNING, client_status=ClientStatus.PUBLISHING)),
    ],
)
def test_a_claim_moves_and_nothing_else_changes(table: Table, move: Move, read: Allocation) -> None:
    table.put(read)
    assert move(table.claims, read)
    expected = replace(
        read, token="mine", installation="new", submitting=read.submitting and move is adopt
    )
    assert table.queue.read(ID) == expected


@pytest.mark.parametrize(
    ("move", "read", "stands"),
    [
        (take_over, STARTING, replace(STARTING, token="third")),
        (take_over, STARTING, SUBMITTING),
        (take_over, STARTING, replace(STARTING, client_status=ClientStatus.STOPPED)),
        (take_over, STARTING, replace(STARTING, client_status=ClientStatus.PENDING, token=None)),
        (take_over, RUNNING, RUNNING),
        (take_back, SUBMITTING, replace(SUBMITTING, token="third")),
        (take_back, SUBMITTING, STARTING),
        (take_back, SUBMITTING, RUNNING),
        (take_back, SUBMITTING, replace(SUBMITTING, scheduler_id="17")),
        (adopt, SUBMITTING, replace(SUBMITTING, token="third")),
        (adopt, SUBMITTING, STARTING),
        (adopt, SUBMITTING, RUNNING),
        (adopt, RUNNING, replace(RUNNING, client_status=ClientStatus.COMPLETE)),
    ],
)
def test_a_claim_that_is_not_as_it_was_read_stays(
    table: Table, move: Move, read: Allocation, stands: Allocation
) -> None:
    table.put(stands)
    assert not move(table.claims, read)
    assert table.queue.read(ID) == stands


def test_an_allocation_that_is_gone_does_not_come_back(table: Table) -> None:
    for move, read in ((take_over, STARTING), (take_back, SUBMITTING), (adopt, RUNNING)):
        assert not move(table.claims, read)
    assert table.queue.read(ID) is None


def test_of_two_who_take_over_one_gets_it(table: Table) -> None:
    table.put(STARTING)
    assert table.claims.take_over(STARTING, token="a", installation="new")
    assert not table.claims.take_over(STARTING, token="b", installation="newer")


def test_a_holder_that_was_not_lost_submits_nothing_and_ends_nothing(table: Table) -> None:
    table.put(STARTING)
    assert take_over(table.claims, STARTING)
    assert table.queue.begin_submission(ID, "theirs") is Written.FENCED
    assert table.queue.begin_submission(ID, "mine") is Written.DONE
    running = ClientStatus.RUNNING
    assert table.queue.observe(ID, "theirs", obs=9, status=running, facts={}) is Written.FENCED


def test_a_stopped_allocation_that_was_taken_over_is_not_submitted(table: Table) -> None:
    stopped = replace(STARTING, desired=Desired.STOP)
    table.put(stopped)
    assert take_over(table.claims, stopped)
    assert table.queue.begin_submission(ID, "mine") is Written.STOP_DESIRED


def test_the_sign_of_life_of_another_installation_is_read(table: Table) -> None:
    assert table.claims.heartbeat("lost") is None
    beat = Heartbeat(site=SITE, installation="lost", host="a", at=NOW, until=NOW + 900, active=2)
    table.queue.beat(beat)
    assert table.claims.heartbeat("lost") == beat
    osaka = CloudQueue(table.client, table.name, "osaka").foreign_claims()
    assert osaka.heartbeat("lost") is None
