"""Dependencies against an emulated table and bucket: what is refused, where, and what it costs."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from job_protocol.states import ClientStatus, JobStatus, Outcome, Word
from lambdas import dependents
from lambdas.errors import JobBusy, Refused
from lambdas.purge_requests import PurgeRequests
from lambdas.purging import Purging
from lambdas.submitting import Submitter
from local_cloud.emulator import Emulator
from tests.emulator.control_plane import UserOfASite
from tests.emulator.test_submitting import ME, a_submission, submitting

pytestmark = pytest.mark.emulator


class Silence:
    """A queue, a remover: nobody listens, and nothing is left to delete."""

    def send(self, site: str, job_id: str, *, delay: int = 0) -> None:
        """Forget the message."""

    def delete_job(self, job_id: str, *, before: int, until: float) -> bool:
        return True

    def delete_own(self, keys: tuple[str, ...]) -> None:
        """There are none."""


@pytest.fixture
def user(emulator: Emulator, plain_table: str, plain_bucket: str) -> UserOfASite:
    return UserOfASite(
        emulator.client("dynamodb"), emulator.client("s3"), plain_table, plain_bucket
    )


def _depends(*rows: dict[str, str]) -> bytes:
    return json.dumps({"depends_on": rows}).encode()


def _end(user: UserOfASite, job_id: str, status: ClientStatus = ClientStatus.COMPLETE) -> None:
    user.set_allocation(job_id, client_status=status, token="t", ended_at=user.now)
    user.publish(job_id)


def _queued(user: UserOfASite, job_id: str) -> bool:
    allocation = user.allocation(job_id)
    return "qpk" in user.item(f"A#{user.site}#{allocation.id[0]}", allocation.id)


def _edges(user: UserOfASite) -> list[dict[str, Any]]:
    rows = user.dynamodb.scan(TableName=user.table)["Items"]
    return [row for row in rows if row["pk"]["S"].startswith("D#")]


def test_a_dependency_on_a_job_that_is_not_there_is_rejected_with_the_reason(
    user: UserOfASite,
) -> None:
    settings = {"aws-job.json": _depends({"job": "nowhere"}, {"job": "second"})}
    user.uploads("second", **settings)
    assert user.job("second").outcome is Outcome.REJECTED
    problems = [reason.problem for reason in user.job("second").reasons]
    assert problems == [
        "depends_on.0: job 'nowhere' of site dc1: there is no such job",
        "depends_on.1: job 'second' of site dc1: a job cannot depend on itself",
    ]


def test_what_has_come_already_leaves_no_trace(user: UserOfASite) -> None:
    user.uploads("first")
    _end(user, "first")
    user.uploads("second", **{"aws-job.json": _depends({"job": "first"})})
    assert _queued(user, "second")
    assert (user.job("second").waiting_on, user.allocation("second").settings.depends_on) == (
        (),
        (),
    )
    assert not _edges(user)
    assert not user.job("first").dependents


def test_a_job_of_another_site_is_waited_for(
    user: UserOfASite, emulator: Emulator, plain_bucket: str
) -> None:
    osaka = UserOfASite(user.dynamodb, user.s3, user.table, user.bucket, site="osaka")
    osaka.uploads("first")
    osaka.publish("first")
    user.uploads("second", **{"aws-job.json": _depends({"job": "first", "site": "osaka"})})
    user.publish("second")
    assert user.status_word("second") == b"JOB_QUEUED\n"
    document = user.status_document("second")
    assert document["waiting_on"] == [{"job": "first", "on": "afterok", "site": "osaka", "run": 1}]
    assert document["message"] == "waits for first of site osaka (afterok)"
    assert not _queued(user, "second")
    _end(osaka, "first")
    user.publish("second")
    assert _queued(user, "second")
    assert "waiting_on" not in user.status_document("second")
    (edge,) = _edges(user)
    assert int(edge["ttl"]["N"]) == osaka.job("first").ttl


def test_the_one_that_is_waited_for_may_be_purged(user: UserOfASite) -> None:
    user.uploads("first")
    user.uploads("second", **{"aws-job.json": _depends({"job": "first", "on": "afterany"})})
    silence: Any = Silence()
    PurgeRequests(user.jobs, silence, lambda: user.now).ask("dc1", "first")
    purging = Purging(
        user.jobs, lambda _bucket: silence, silence, lambda: user.now, silence, silence
    )
    _end(user, "first", ClientStatus.STOPPED)
    assert _queued(user, "second")
    purging.advance("dc1", "first", until=user.now + 60)
    user.set_allocation("first", purged_at=user.now)
    purging.advance("dc1", "first", until=user.now + 60)
    assert user.jobs.job("dc1", "first") is None
    (edge,) = _edges(user)
    assert int(edge["ttl"]["N"]) > user.now, "it expires too"


def test_the_one_that_waits_may_be_stopped_and_purged(user: UserOfASite) -> None:
    user.uploads("first")
    user.uploads("second", **{"aws-job.json": _depends({"job": "first"})})
    user.says("second", Word.JOB_STOP)
    user.publish("second")
    second = user.job("second")
    assert (second.status, second.outcome) == (JobStatus.DEAD, Outcome.STOPPED)
    assert "waiting_on" not in user.status_document("second")
    user.jobs.forget(user.job("second"))
    _end(user, "first")
    assert not user.job("first").unpublished
    assert user.jobs.job("dc1", "second") is None


def test_a_retry_after_the_other_has_been_purged_says_what_is_missing(user: UserOfASite) -> None:
    user.uploads("first")
    user.uploads("second", **{"aws-job.json": _depends({"job": "first"})})
    _end(user, "first", ClientStatus.FAILED)
    user.publish("second")
    user.jobs.forget(user.job("first"))
    user.says("second", Word.JOB_RETRY)
    user.publish("second")
    assert user.job("second").outcome is Outcome.STOPPED
    assert "that job is not there any more" in (user.job("second").message or "")


def test_of_very_many_that_wait_each_is_told_in_several_calls(
    user: UserOfASite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dependents, "MOST_TOLD", 2)
    user.uploads("first")
    names = [f"second{n}" for n in range(5)]
    for name in names:
        user.uploads(name, **{"aws-job.json": _depends({"job": "first"})})
    with pytest.raises(JobBusy):
        _end(user, "first")
    assert sum(_queued(user, name) for name in names) == 2
    assert user.job("first").unpublished
    with pytest.raises(JobBusy):
        user.publish("first")
    user.publish("first")
    assert all(_queued(user, name) for name in names)
    assert not user.job("first").dependents


def test_a_submission_through_the_api_waits_as_well(user: UserOfASite) -> None:
    user.uploads("first")
    settings = {"depends_on": [{"job": "first", "on": "afternotok"}]}
    submitting(user).submit(a_submission(ID="second", Settings=settings), ME)
    assert not _queued(user, "second")
    _end(user, "first", ClientStatus.FAILED)
    assert _queued(user, "second")
    wrong = a_submission(ID="third", Settings={"depends_on": [{"job": "nowhere"}]})
    with pytest.raises(Refused, match="there is no such job"):
        submitting(user).submit(wrong, ME)


def test_a_caller_cannot_probe_a_site_that_is_not_its_own(user: UserOfASite) -> None:
    elsewhere = replace(user, site="osaka")
    elsewhere.uploads("first")
    settings = {"depends_on": [{"job": "first", "site": "osaka"}]}
    caller = Submitter(name="me", key="k", sites=frozenset({"dc1"}))
    with pytest.raises(Refused, match="you may not use that site"):
        submitting(user).submit(a_submission(ID="second", Settings=settings), caller)
