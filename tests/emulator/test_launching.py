"""Periodic jobs are launched once for each due time, whoever dies and however often triggered."""

from __future__ import annotations

from typing import Any

import pytest

from job_protocol.states import JobStatus
from lambdas.errors import LimitReached
from lambdas.launcher import launch_all
from lambdas.launching import Launching
from lambdas.ports.templates import Templates
from lambdas.registering import Registering
from lambdas.rules.site_limits import Quota, SiteLimits
from local_cloud.emulator import Emulator
from tests.emulator.control_plane import UserOfASite
from tests.emulator.registry import Fragile, Killed, a_job, children, register

pytestmark = pytest.mark.emulator

START = 1_700_000_040
"""A whole minute."""


@pytest.fixture
def user(emulator: Emulator, plain_table: str, plain_bucket: str) -> UserOfASite:
    made = UserOfASite(
        emulator.client("dynamodb"), emulator.client("s3"), plain_table, plain_bucket
    )
    made.now = START
    return made


def periodic(**more: Any) -> dict[str, Any]:
    return a_job("tick", Periodic={"Spec": "* * * * *", **more})


def launching(user: UserOfASite, budget: int = 10**6) -> Launching:
    left = [budget]
    made = children(user, Fragile(user.dynamodb, left), Fragile(user.s3, left))
    return Launching(made, lambda: user.now, lambda _job, reason: pytest.fail(reason))


def trigger(user: UserOfASite) -> list[str]:
    """What one call of the launcher launches."""
    found: list[str] = []
    for _, job_id in Templates(user.dynamodb, user.table).due(user.now):
        found += launching(user).launch(job_id)
    return found


def launched(user: UserOfASite) -> list[int]:
    """The times of all children, in order, each with one allocation."""
    there = [job.id for job in children(user).templates.children("dc1", "tick", pages=1)]
    rows = user.dynamodb.scan(TableName=user.table)["Items"]
    runs = [row["job"]["S"] for row in rows if row["pk"]["S"].startswith("A#")]
    assert sorted(runs) == sorted(there)
    return sorted(int(one.rpartition("-")[2]) for one in there)


def end(user: UserOfASite, child: str) -> None:
    key = {"pk": {"S": "J#dc1"}, "sk": {"S": child}}
    user.dynamodb.update_item(
        TableName=user.table,
        Key=key,
        UpdateExpression="SET #status = :dead",
        ExpressionAttributeNames={"#status": "status"},
        ExpressionAttributeValues={":dead": {"S": JobStatus.DEAD.value}},
    )


def test_a_due_time_is_launched_once_however_often_triggered(user: UserOfASite) -> None:
    register(user, periodic())
    assert trigger(user) == []
    user.now = START + 60
    assert trigger(user) == [f"tick/periodic-{START + 60}"]
    assert trigger(user) == []
    user.now += 60
    assert len(trigger(user)) == 1
    assert launched(user) == [START + 60, START + 120]


def test_a_late_trigger_loses_nothing_and_a_downtime_floods_nothing(user: UserOfASite) -> None:
    register(user, periodic())
    user.now = START + 60 + 170
    assert len(trigger(user)) == 3
    assert launched(user) == [START + 60, START + 120, START + 180]
    user.now = START + 3600 + 30
    assert trigger(user) == [f"tick/periodic-{START + 3600}"]


@pytest.mark.parametrize("overlap", [False, True])
def test_a_launcher_that_is_killed_anywhere_launches_each_time_once(
    user: UserOfASite, overlap: bool
) -> None:
    register(user, periodic(ProhibitOverlap=overlap))
    for budget in range(40):
        user.now += 60
        try:
            launching(user, budget).launch("tick")
        except Killed:
            trigger(user)
            assert launched(user)[-1] == user.now
            if overlap:
                end(user, f"tick/periodic-{user.now}")
        else:
            assert budget > 5, "nothing was killed"
            assert launched(user) == list(range(START + 60, user.now + 1, 60))
            return
    raise AssertionError("it never ends")


def test_two_launchers_at_once_launch_one(user: UserOfASite) -> None:
    register(user, periodic())
    user.now = START + 60
    slow = launching(user)
    read = slow.children.runs.table.job

    def overtaken(site: str, job_id: str) -> Any:
        """The template as it was before another launcher came."""
        found = read(site, job_id)
        if job_id == "tick" and not other:
            other.extend(trigger(user))
        return found

    other: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slow.children.runs.table, "job", overtaken)
        assert slow.launch("tick") == [f"tick/periodic-{START + 60}"]
    assert other == [f"tick/periodic-{START + 60}"]
    assert launched(user) == [START + 60]
    assert user.job("tick").next_due == START + 120


def test_without_overlap_a_launch_is_skipped_while_a_child_is_active(user: UserOfASite) -> None:
    register(user, periodic(ProhibitOverlap=True))
    user.now = START + 60
    (child,) = trigger(user)
    user.now += 60
    assert trigger(user) == []
    assert user.job("tick").next_due == START + 180
    end(user, child)
    user.now += 60
    assert trigger(user) == [f"tick/periodic-{START + 180}"]
    assert user.job("tick").launched == (f"tick/periodic-{START + 180}",)


def force(user: UserOfASite) -> str:
    made = launching(user)
    template = user.job("tick")
    return made.force(template, made.children.specification(template), submitter="me").id


def test_force_asks_nobody_and_is_seen_by_the_launcher(user: UserOfASite) -> None:
    register(user, periodic(ProhibitOverlap=True))
    user.now = START + 7
    forced = [force(user)]
    user.now += 1
    forced.append(force(user))
    assert forced == [f"tick/periodic-{START + 7}", f"tick/periodic-{START + 8}"]
    assert user.job("tick").next_due == START + 60
    user.now = START + 60
    assert trigger(user) == []
    for child in forced:
        end(user, child)
    user.now += 60
    assert len(trigger(user)) == 1


def test_forced_in_the_second_of_a_due_time_it_is_that_due_times_child(user: UserOfASite) -> None:
    register(user, periodic())
    user.now = START + 60
    force(user)
    trigger(user)
    assert launched(user) == [START + 60]
    assert user.job("tick").next_due == START + 120


def test_a_stopped_job_launches_nothing_and_a_revived_one_from_then_on(user: UserOfASite) -> None:
    register(user, periodic())
    Registering(children(user)).stop(user.job("tick"))
    user.now = START + 60
    assert trigger(user) == []
    assert "dpk" not in user.item("J#dc1", "tick")
    register(user, periodic(), "k2")
    assert trigger(user) == []
    user.now += 60
    assert launched(user) == []
    assert len(trigger(user)) == 1


def test_turning_overlap_off_looks_for_what_runs(user: UserOfASite) -> None:
    register(user, periodic())
    user.now = START + 60
    (child,) = trigger(user)
    register(user, periodic(ProhibitOverlap=True), "k2")
    assert user.job("tick").launched == (child,)
    user.now += 60
    assert trigger(user) == []


def test_a_disabled_job_is_registered_and_not_due(user: UserOfASite) -> None:
    register(user, periodic(Enabled=False))
    user.now += 3600
    assert trigger(user) == []
    assert user.job("tick").launches


def test_one_job_that_fails_keeps_no_other_from_its_launch() -> None:
    def launch(_site: str, job_id: str) -> list[str]:
        if job_id == "broken":
            raise ValueError("broken")
        return [f"{job_id}/periodic-1"]

    due = [("dc1", "broken"), ("dc1", "a"), ("dc1", "b")]
    assert launch_all(due, launch, more=lambda: True) == {"launched": 2, "failed": 1}
    assert launch_all(due, launch, more=lambda: False) == {"launched": 0, "failed": 0}


def test_a_child_knows_its_own_id_and_its_parents(user: UserOfASite) -> None:
    register(user, periodic())
    user.now = START + 75
    (child,) = trigger(user)
    facts = user.s3.get_object(Bucket=user.bucket, Key=f"{child}/.nomad/dispatch")["Body"].read()
    assert {f"job_id={child}", "parent_id=tick"} <= set(facts.decode().split("\0"))


def test_a_launch_beyond_a_limit_stays_due_and_the_job_says_so(user: UserOfASite) -> None:
    user.quotas = SiteLimits(site=Quota(jobs_a_day=2))
    register(user, periodic())  # a template is no run
    told: list[tuple[str, str]] = []

    def launches(minutes: int) -> list[str]:
        user.now = START + 60 * minutes
        makes = Launching(children(user), lambda: user.now, lambda *said: told.append(said))
        return makes.launch("tick")

    assert [len(launches(minute)) for minute in (1, 2)] == [1, 1]
    assert (told, user.job("tick").note) == ([], None)
    before = user.job("tick").next_due
    with pytest.raises(LimitReached):
        launches(3)
    job = user.job("tick")
    assert job.launches
    assert job.next_due == before
    assert told == []
    assert job.note == (
        "the launch of 2023-11-14T22:17:00Z waits: "
        "site dc1 has a limit of 2 jobs a day (jobs_a_day); 2 are used"
    )
    assert len(launches(60 * 24)) == 1, "the next day it goes on"
    assert user.job("tick").note is None
    assert len(launches(60 * 24 + 1)) == 1
    user.now += 20
    makes = Launching(children(user), lambda: user.now, lambda *said: told.append(said))
    template = user.job("tick")
    with pytest.raises(LimitReached):
        makes.force(template, makes.children.specification(template), submitter="me")
