"""The job table as the puller uses it: every named condition, met and not met."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from job_protocol import dynamodb_json, table_keys
from job_protocol.allocation import Allocation, LeftOut, ResultSummary
from job_protocol.items import to_attributes
from job_protocol.site_records import Heartbeat
from job_protocol.states import ClientStatus, Desired
from local_cloud.emulator import Emulator
from puller.cloud.queue import CloudQueue
from puller.cloud.written import Written
from puller.errors import CloudRefused, HeldElsewhere
from puller.journal import End

pytestmark = pytest.mark.emulator

SITE = "dc1"
ID = "5f0b7c1e-0000-5000-8000-000000000001"
OTHER = "0a0b7c1e-0000-5000-8000-000000000002"
NOW = 1_700_000_000
OWN = "mine"
PENDING = Allocation(site=SITE, job="job 1/計算", id=ID, created=NOW, manifest=b"\x00\xff")
MINE = replace(PENDING, client_status=ClientStatus.STARTING, token="mine", installation="i")
SUCCESS = End(status=ClientStatus.COMPLETE, exit_code=0, reason=None, time=NOW + 9)


class Table:
    """The table from the control plane's side."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name
        self.queue = CloudQueue(client, name, SITE)

    def put(self, allocation: Allocation, queue_key: str | None = None, **more: object) -> None:
        key = table_keys.allocation(SITE, allocation.id)
        item = {**to_attributes(allocation), "pk": key.pk, "sk": key.sk, **more}
        if queue_key is not None:
            item |= {"qpk": table_keys.queue_partition(SITE), "qsk": queue_key}
        self.client.put_item(TableName=self.name, Item=dynamodb_json.encode(item))

    def item(self, allocation_id: str = ID) -> dict[str, Any]:
        key = table_keys.allocation(SITE, allocation_id)
        answer = self.client.get_item(
            TableName=self.name, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}}
        )
        return dynamodb_json.decode(answer["Item"])

    def claim(self, now: int = NOW, token: str = OWN) -> Allocation | None:
        return self.queue.claim(ID, token=token, installation="i", now=now)

    def observe(self, obs: int, token: str = OWN, **facts: object) -> Written:
        status = ClientStatus.RUNNING
        return self.queue.observe(ID, token, obs=obs, status=status, facts=facts)

    def let_go(self, token: str = OWN) -> Written:
        return self.queue.let_go(MINE, token, obs=5, reason="full", not_before=NOW + 60)

    def end(self, token: str = OWN, end: End = SUCCESS, **more: Any) -> Written:
        more = {"results": None, "facts": {}, "now": NOW, **more}
        return self.queue.end(MINE, token, obs=9, end=end, **more)


@pytest.fixture
def table(emulator: Emulator, plain_table: str) -> Table:
    return Table(emulator.client("dynamodb"), plain_table)


def heartbeat(host: str, at: int) -> Heartbeat:
    return Heartbeat(site=SITE, installation="i", host=host, at=at, until=at + 900, active=0)


def test_a_sign_of_life_is_written_by_one_host_at_a_time(table: Table) -> None:
    table.queue.beat(heartbeat("a", NOW))
    table.queue.beat(heartbeat("a", NOW + 60))
    with pytest.raises(HeldElsewhere, match="host a runs this installation"):
        table.queue.beat(heartbeat("b", NOW + 900))
    with pytest.raises(HeldElsewhere):
        table.queue.beat(heartbeat("b", NOW + 960))
    table.queue.beat(heartbeat("b", NOW + 961))
    with pytest.raises(HeldElsewhere, match="host b"):
        table.queue.beat(heartbeat("a", NOW + 962))


def test_a_claim_takes_a_waiting_allocation_out_of_the_queue(table: Table) -> None:
    table.put(PENDING, table_keys.queue_pending(50, NOW))
    claimed = table.claim()
    assert claimed == replace(MINE, claimed_at=NOW)
    assert table.queue.read(ID) == claimed
    assert table.queue.waiting(NOW, 5).pending == ()
    assert not {"qpk", "qsk", "not_before"} & set(table.item())


@pytest.mark.parametrize(
    "item",
    [
        replace(PENDING, token="theirs"),
        replace(MINE, token="mine"),
        replace(PENDING, desired=Desired.STOP),
        replace(PENDING, client_status=ClientStatus.STOPPED),
        replace(PENDING, not_before=NOW + 1),
        replace(PENDING, v=2),
    ],
    ids=["taken", "claimed before", "to be stopped", "ended", "not due", "newer version"],
)
def test_what_cannot_be_claimed_stays_as_it_is(table: Table, item: Allocation) -> None:
    table.put(item)
    before = table.item()
    assert table.claim() is None
    assert table.item() == before


def test_an_allocation_that_is_not_there_cannot_be_claimed(table: Table) -> None:
    assert table.claim() is None
    assert table.queue.read(ID) is None


def test_a_deferred_allocation_is_claimed_when_it_is_due(table: Table) -> None:
    table.put(replace(PENDING, not_before=NOW))
    claimed = table.claim()
    assert claimed is not None
    assert claimed.not_before is None


def test_a_newer_item_is_left_alone(table: Table) -> None:
    table.put(replace(MINE, v=2))
    assert table.queue.read(ID) is None


def test_a_submission_begins_once_for_its_holder(table: Table) -> None:
    table.put(MINE)
    assert table.queue.begin_submission(ID, "mine") is Written.DONE
    assert table.item()["submitting"] is True
    assert table.queue.begin_submission(ID, "mine") is Written.DONE


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"token": "theirs"}, Written.FENCED),
        ({"token": "theirs", "client_status": ClientStatus.STOPPED}, Written.FENCED),
        ({"token": None, "client_status": ClientStatus.PENDING}, Written.FENCED),
        ({"client_status": ClientStatus.LOST}, Written.ENDED),
        ({"desired": Desired.STOP}, Written.STOP_DESIRED),
        ({"desired": Desired.STOP, "client_status": ClientStatus.STOPPED}, Written.ENDED),
        ({"client_status": ClientStatus.QUEUED}, Written.REPEATED),
    ],
)
def test_why_a_submission_may_not_begin(
    table: Table, changes: dict[str, Any], expected: Written
) -> None:
    table.put(replace(MINE, **changes))
    before = table.item()
    assert table.queue.begin_submission(ID, "mine") is expected
    assert table.item() == before


def test_every_write_to_an_allocation_that_is_gone_is_fenced(table: Table) -> None:
    answers = (table.queue.begin_submission(ID, "mine"), table.observe(1), table.let_go())
    assert {*answers, table.end()} == {Written.FENCED}
    assert table.queue.read(ID) is None


def test_an_observation_counts_only_if_it_is_newer(table: Table) -> None:
    table.put(MINE)
    assert table.observe(2, reason="Priority", started_at=NOW) is Written.DONE
    assert table.observe(2) is Written.REPEATED
    assert table.observe(1) is Written.REPEATED
    assert table.item()["reason"] == "Priority"
    assert table.observe(3, reason=None) is Written.DONE
    assert "reason" not in table.item()
    assert table.item()["started_at"] == NOW


def test_an_observation_of_a_foreign_or_ended_allocation_is_refused(table: Table) -> None:
    table.put(MINE)
    assert table.observe(7, token="theirs") is Written.FENCED
    table.put(replace(MINE, client_status=ClientStatus.FAILED))
    assert table.observe(8) is Written.ENDED


def test_a_stop_does_not_keep_observations_out(table: Table) -> None:
    table.put(replace(MINE, desired=Desired.STOP), table_keys.queue_stop(NOW))
    assert table.observe(1) is Written.DONE
    assert table.queue.waiting(NOW, 0).stops == (ID,)


def test_letting_go_puts_an_allocation_back_for_later(table: Table) -> None:
    table.put(replace(MINE, submitting=True))
    assert table.let_go() is Written.DONE
    assert table.queue.waiting(NOW + 59, 5).pending == ()
    assert table.queue.waiting(NOW + 60, 5).pending == (ID,)
    assert not {"token", "installation", "submitting"} & set(table.item())
    assert table.claim(NOW + 59) is None
    claimed = table.claim(NOW + 60, "second")
    assert claimed is not None
    assert claimed.reason == "full"
    assert table.let_go() is Written.FENCED


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"token": "theirs"}, Written.FENCED),
        ({"desired": Desired.STOP}, Written.STOP_DESIRED),
        ({"client_status": ClientStatus.LOST}, Written.ENDED),
    ],
)
def test_what_may_not_be_let_go(table: Table, changes: dict[str, Any], expected: Written) -> None:
    table.put(replace(MINE, **changes))
    assert table.let_go() is expected


def test_an_end_is_final(table: Table) -> None:
    table.put(replace(MINE, reason="running"), table_keys.queue_stop(NOW))
    results = ResultSummary(files=3, size=5, left_out=1, listed=(LeftOut("a", "b"),))
    assert table.end(results=results, facts={"started_at": None}) is Written.DONE
    ended = table.queue.read(ID)
    assert ended is not None
    assert (ended.client_status, ended.exit_code, ended.results) == (
        ClientStatus.COMPLETE,
        0,
        results,
    )
    assert ended.reason is None
    assert ended.ttl == NOW + PENDING.keep_days * 86400
    assert table.queue.waiting(NOW, 5).stops == ()
    failure = replace(SUCCESS, status=ClientStatus.FAILED, exit_code=3)
    assert table.end(end=failure) is Written.ENDED
    assert table.queue.read(ID) == ended


def test_nobody_else_ends_an_allocation(table: Table) -> None:
    table.put(MINE)
    assert table.end(token="theirs") is Written.FENCED
    assert table.item()["client_status"] == ClientStatus.STARTING


def test_the_queue_gives_control_stops_and_what_is_due_in_order(table: Table) -> None:
    control = table_keys.control(SITE)
    row = {
        "pk": control.pk,
        "sk": control.sk,
        "qpk": table_keys.queue_partition(SITE),
        "qsk": table_keys.queue_control(),
        "drain": True,
        "least_puller_version": "1.2",
    }
    table.client.put_item(TableName=table.name, Item=dynamodb_json.encode(row))
    low, high = replace(PENDING, id=OTHER), PENDING
    table.put(low, table_keys.queue_pending(10, NOW))
    table.put(high, table_keys.queue_pending(90, NOW + 5))
    stopped = "7f0b7c1e-0000-5000-8000-000000000003"
    table.put(replace(MINE, id=stopped), table_keys.queue_stop(NOW))
    waiting = table.queue.waiting(NOW, 5)
    assert waiting.control.drain
    assert waiting.control.least_puller_version == "1.2"
    assert waiting.stops == (stopped,)
    assert waiting.pending == (ID, OTHER)


def test_stops_that_nobody_answers_do_not_hide_what_waits(table: Table) -> None:
    for number in range(60):
        id_ = f"{number % 16:x}f0b7c1e-0000-5000-8000-{number:012d}"
        table.put(replace(MINE, id=id_), table_keys.queue_stop(NOW + number))
    table.put(replace(PENDING, id=OTHER), table_keys.queue_pending(50, NOW))
    waiting = table.queue.waiting(NOW, 1)
    assert len(waiting.stops) == 60
    assert waiting.pending == (OTHER,)


def test_other_sites_are_not_seen(table: Table) -> None:
    table.put(PENDING, table_keys.queue_pending(50, NOW))
    osaka = CloudQueue(table.client, table.name, "osaka")
    assert osaka.waiting(NOW, 5).pending == ()
    assert osaka.read(ID) is None


def test_a_missing_table_is_told(emulator: Emulator) -> None:
    queue = CloudQueue(emulator.client("dynamodb"), "no-such-table", SITE)
    with pytest.raises(CloudRefused, match="no-such-table: it does not exist"):
        queue.waiting(NOW, 1)


def ids(first: int, count: int) -> list[str]:
    return [f"5f0b7c1e-0000-5000-8000-{number:012x}" for number in range(first, first + count)]


def test_what_was_deferred_is_not_starved_by_a_backlog(table: Table) -> None:
    backlog, due, later = ids(100, 60), ids(200, 3), ids(300, 2)
    for n, allocation_id in enumerate(backlog):
        key = table_keys.queue_pending(50, NOW + n)
        table.put(replace(PENDING, id=allocation_id), key)
    for n, allocation_id in enumerate(due):
        key = table_keys.queue_pending(50, NOW, NOW - 10 + n)
        table.put(replace(PENDING, id=allocation_id), key)
    for allocation_id in later:
        table.put(replace(PENDING, id=allocation_id), table_keys.queue_pending(50, NOW, NOW + 60))
    found = table.queue.waiting(NOW, 8).pending
    assert found[:2] == tuple(due[:2]), "a quarter of the places, the oldest first"
    assert found[2:] == tuple(backlog[: len(found) - 2])
    assert table.queue.waiting(NOW, 0).pending == tuple(backlog[:10])
