"""The publisher's work on one job: the lease, the order of effects, and crashes between them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from job_protocol.identifiers import next_allocation
from job_protocol.job_settings import JobSettings, Retries
from job_protocol.states import ClientStatus, JobStatus, Outcome
from lambdas.errors import Conflict, JobBusy
from lambdas.publication import LEASE_SECONDS
from tests.unit.lambdas.examples import (
    NOW,
    a_dead_job,
    a_folder,
    a_job,
    a_rejected_upload,
    an_allocation,
)
from tests.unit.lambdas.memory_cloud import MemoryCloud


class OutOfReach(Exception):
    """The bucket or the bus does not answer."""


def _refuse() -> None:
    raise OutOfReach


def test_a_new_job_gets_its_word_and_its_details() -> None:
    cloud = MemoryCloud(a_job(unpublished=True, announce=True), an_allocation())
    cloud.publish()
    assert cloud.bucket.words == [b"JOB_QUEUED\n"]
    assert cloud.bucket.documents[0]["revision"] == cloud.job.rev
    assert (cloud.job.unpublished, cloud.job.announce, cloud.job.lease) == (False, False, None)


def test_the_job_follows_its_allocation() -> None:
    cloud = MemoryCloud(a_job(), an_allocation(client_status=ClientStatus.RUNNING))
    cloud.publish()
    assert cloud.job.status is JobStatus.RUNNING
    assert cloud.job.rev == 2
    assert cloud.bucket.words == [b"JOB_RUNNING\n"]


def test_what_is_published_and_unchanged_costs_no_write() -> None:
    cloud = MemoryCloud(a_job(), an_allocation())
    cloud.publish()
    cloud.publish()
    assert cloud.table.writes == 0
    assert cloud.bucket.words == []


def test_what_is_dead_and_published_is_left_after_one_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    cloud = MemoryCloud(
        a_dead_job(Outcome.COMPLETE), an_allocation(client_status=ClientStatus.COMPLETE)
    )
    monkeypatch.setattr(cloud.table, "allocation", lambda *_: _refuse())
    cloud.publish()
    assert cloud.table.writes == 0
    assert cloud.bucket.words == []


def test_a_published_job_costs_two_writes_to_the_table_and_one_pair_of_objects() -> None:
    cloud = MemoryCloud(a_job(), an_allocation(client_status=ClientStatus.RUNNING))
    cloud.publish()
    cloud.publish()
    assert cloud.table.writes == 2
    assert len(cloud.bucket.words) == 1


def test_a_job_that_is_gone_or_of_a_newer_version_is_left_alone() -> None:
    cloud = MemoryCloud(a_job(unpublished=True, v=99))
    cloud.publish()
    cloud.publisher().publish("dc1", "another")
    assert cloud.bucket.words == []
    assert cloud.table.writes == 0


def test_a_rejection_is_published_without_the_allocation_of_an_earlier_run() -> None:
    rejected = a_dead_job(Outcome.REJECTED, unpublished=True)
    cloud = MemoryCloud(rejected, an_allocation(client_status=ClientStatus.COMPLETE))
    cloud.publish()
    assert cloud.bucket.words == [b"FILE_REJECTED\n"]
    assert "allocation" not in cloud.bucket.documents[0]


def test_a_folder_whose_mark_was_rejected_is_answered() -> None:
    folder = replace(
        a_folder(), status=JobStatus.DEAD, outcome=Outcome.REJECTED, unpublished=True, rev=3
    )
    cloud = MemoryCloud(folder)
    cloud.publish()
    assert cloud.bucket.words == [b"FILE_REJECTED\n"]
    assert not cloud.job.unpublished


# ---- events ----


def test_the_end_is_announced_once_with_the_id_of_its_revision() -> None:
    cloud = MemoryCloud(a_job(), an_allocation(client_status=ClientStatus.COMPLETE))
    cloud.publish()
    cloud.publish()
    assert [event["id"] for event in cloud.events.sent] == ["job0001#2"]
    assert cloud.events.sent[0]["word"] == "JOB_COMPLETE"


def test_a_transition_before_the_end_is_announced_only_where_all_are() -> None:
    for every_transition, count in ((False, 0), (True, 1)):
        cloud = MemoryCloud(
            a_job(),
            an_allocation(client_status=ClientStatus.RUNNING),
            every_transition=every_transition,
        )
        cloud.publish()
        assert len(cloud.events.sent) == count


def test_a_word_that_is_only_written_again_is_not_announced() -> None:
    for job in (a_dead_job(unpublished=True), a_job(unpublished=True)):
        cloud = MemoryCloud(job, an_allocation(), every_transition=True)
        cloud.publish()
        assert len(cloud.bucket.words) == 1
        assert cloud.events.sent == []


def test_a_rejection_is_announced() -> None:
    cloud = MemoryCloud(a_rejected_upload(unpublished=True, announce=True))
    cloud.publish()
    assert [event["outcome"] for event in cloud.events.sent] == ["rejected"]


def test_the_event_comes_after_the_objects() -> None:
    cloud = MemoryCloud(a_job(), an_allocation(client_status=ClientStatus.COMPLETE))
    seen: list[int] = []
    cloud.events.before_put = lambda: seen.append(len(cloud.bucket.words))
    cloud.publish()
    assert seen == [1]


# ---- the lease ----


def test_while_the_objects_are_written_the_job_is_leased() -> None:
    cloud = MemoryCloud(a_job(unpublished=True), an_allocation())
    seen: list[tuple[str | None, int | None]] = []
    cloud.bucket.before_put = lambda: seen.append((cloud.job.lease, cloud.job.lease_until))
    cloud.publish()
    assert seen == [("lease-1", NOW + LEASE_SECONDS)]


def test_a_second_publisher_does_not_write_and_is_told_when_to_come_back() -> None:
    leased = a_job(unpublished=True, lease="other", lease_until=NOW + 30)
    cloud = MemoryCloud(leased, an_allocation())
    with pytest.raises(JobBusy) as busy:
        cloud.publish()
    assert busy.value.seconds == 30
    assert cloud.bucket.words == []
    assert cloud.table.writes == 0


def test_a_second_publisher_writes_down_what_it_derived_so_that_the_first_starts_again() -> None:
    cloud = MemoryCloud(a_job(unpublished=True), an_allocation())

    def the_job_starts_and_a_second_publisher_comes() -> None:
        cloud.bucket.before_put = lambda: None
        cloud.table.allocations["a1"] = an_allocation(client_status=ClientStatus.RUNNING)
        with pytest.raises(JobBusy):
            cloud.publish()
        assert cloud.job.lease == "lease-1"
        assert cloud.bucket.words == []

    cloud.bucket.before_put = the_job_starts_and_a_second_publisher_comes
    cloud.publish()
    assert cloud.bucket.words == [b"JOB_QUEUED\n", b"JOB_RUNNING\n"]
    assert not cloud.job.unpublished


def test_a_change_by_the_user_meanwhile_is_written_before_the_lease_goes() -> None:
    cloud = MemoryCloud(a_job(unpublished=True), an_allocation())

    def the_user_writes_again() -> None:
        cloud.bucket.before_put = lambda: None
        job = cloud.job
        cloud.table.replace_job(job, replace(job, rev=job.rev + 1, note="a note"))

    cloud.bucket.before_put = the_user_writes_again
    cloud.publish()
    assert [document.get("note") for document in cloud.bucket.documents] == [None, "a note"]
    assert cloud.bucket.documents[-1]["revision"] == cloud.job.rev
    assert not cloud.job.unpublished


def test_an_expired_lease_is_taken_over() -> None:
    leased = a_job(unpublished=True, lease="dead", lease_until=NOW)
    cloud = MemoryCloud(leased, an_allocation())
    cloud.publish()
    assert cloud.bucket.words == [b"JOB_QUEUED\n"]
    assert cloud.job.lease is None


# ---- crashes ----


class Killed(BaseException):
    """The process ends here."""


def _die() -> None:
    raise Killed


@pytest.mark.parametrize("where", ["before the objects", "before the event", "before the release"])
def test_a_publisher_that_dies_anywhere_leaves_work_that_another_finishes(where: str) -> None:
    cloud = MemoryCloud(a_job(), an_allocation(client_status=ClientStatus.COMPLETE))
    if where == "before the objects":
        cloud.bucket.before_put = _die
    elif where == "before the event":
        cloud.events.before_put = _die
    else:
        put = cloud.events.put
        cloud.events.put = lambda *args: (put(*args), _die())  # type: ignore[method-assign]
    with pytest.raises(Killed):
        cloud.publish()
    cloud.bucket.before_put = cloud.events.before_put = lambda: None
    cloud.events.__dict__.pop("put", None)
    assert cloud.job.unpublished

    with pytest.raises(JobBusy):
        cloud.publish()
    cloud.now += LEASE_SECONDS
    cloud.publish()
    assert cloud.bucket.words[-1] == b"JOB_COMPLETE\n"
    assert {event["id"] for event in cloud.events.sent} == {"job0001#2"}
    assert (cloud.job.unpublished, cloud.job.lease) == (False, None)


@pytest.mark.parametrize("port", ["bucket", "events"])
def test_a_failure_lets_the_next_attempt_begin_at_once(port: str) -> None:
    cloud = MemoryCloud(a_job(), an_allocation(client_status=ClientStatus.COMPLETE))
    getattr(cloud, port).before_put = _refuse
    with pytest.raises(OutOfReach):
        cloud.publish()
    # Still with a lease, though one that has run out: the stream passes over such a job, or it
    # would call the publisher again and again while the bucket is out of reach.
    assert cloud.job.lease is not None
    assert cloud.job.unpublished
    getattr(cloud, port).before_put = lambda: None
    cloud.publish()
    assert cloud.bucket.words[-1] == b"JOB_COMPLETE\n"
    assert not cloud.job.unpublished
    assert len(cloud.events.sent) == 1


def test_a_job_that_never_stands_still_is_given_up_for_now() -> None:
    cloud = MemoryCloud(a_job(unpublished=True), an_allocation())

    def change() -> None:
        cloud.table.replace_job(cloud.job, replace(cloud.job, rev=cloud.job.rev + 1))

    cloud.bucket.before_put = change
    with pytest.raises(Conflict, match="job 'job0001' of site dc1 kept changing"):
        cloud.publish()
    assert cloud.job.unpublished


# ---- further attempts ----

WITH_RETRIES = JobSettings(retries=Retries(attempts=1, delay=60))


def test_a_failed_allocation_is_followed_by_the_next_one() -> None:
    failed = an_allocation(
        client_status=ClientStatus.FAILED, exit_code=3, settings=WITH_RETRIES, manifest=b"m"
    )
    cloud = MemoryCloud(a_job(), failed)
    cloud.publish()
    following = cloud.table.allocations[next_allocation("a1")]
    assert cloud.job.current == following.id
    assert (following.attempt, following.not_before, following.manifest) == (1, NOW + 60, b"m")
    assert cloud.bucket.words == [b"JOB_QUEUED\n"]
    assert cloud.bucket.documents[0]["allocation"]["id"] == following.id
    assert "exit code 3" in cloud.bucket.documents[0]["message"]


def test_two_publishers_create_the_next_allocation_once() -> None:
    failed = an_allocation(client_status=ClientStatus.FAILED, settings=WITH_RETRIES)
    cloud = MemoryCloud(a_job(), failed)

    def second() -> None:
        cloud.bucket.before_put = lambda: None
        with pytest.raises(JobBusy):
            cloud.publish()

    cloud.bucket.before_put = second
    cloud.publish()
    assert len(cloud.table.allocations) == 2
    assert cloud.job.rev == 2


def test_a_leased_job_gets_its_next_allocation_from_the_second_publisher() -> None:
    failed = an_allocation(client_status=ClientStatus.LOST, settings=WITH_RETRIES)
    cloud = MemoryCloud(a_job(lease="other", lease_until=NOW + 5, unpublished=True), failed)
    with pytest.raises(JobBusy):
        cloud.publish()
    assert cloud.job.current == next_allocation("a1")
    assert cloud.job.lease == "other"
