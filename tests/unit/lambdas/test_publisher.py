"""The publisher's two triggers: the stream, and the queue of what is tried again."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdas.errors import JobBusy
from lambdas.ports.event_bus import EventBus
from lambdas.ports.job_items import job_item
from lambdas.ports.job_queue import JobQueue
from lambdas.publisher import follow, retry
from tests.unit.lambdas.examples import a_job


class Sqs:
    """Remembers what was sent."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send_message(self, **message: Any) -> None:
        self.sent.append(message)

    @property
    def jobs(self) -> dict[str, int]:
        """Job id to delay."""
        return {json.loads(m["MessageBody"])["job"]: m["DelaySeconds"] for m in self.sent}


class Jobs:
    """Publishes, except those that it is told to fail."""

    def __init__(self, **failing: Exception) -> None:
        self.failing = failing
        self.published: list[str] = []

    def publish(self, site: str, job_id: str) -> None:
        assert site == "dc1"
        if job_id in self.failing:
            raise self.failing[job_id]
        self.published.append(job_id)


def _changed(job_id: str) -> dict[str, Any]:
    item = job_item(a_job(id=job_id, unpublished=True))
    keys = {name: item[name] for name in ("pk", "sk")}
    return {"eventName": "MODIFY", "dynamodb": {"Keys": keys, "NewImage": item}}


def _message(job_id: str) -> dict[str, Any]:
    return {"messageId": f"m-{job_id}", "body": json.dumps({"site": "dc1", "job": job_id})}


def test_a_job_of_many_records_is_published_once() -> None:
    jobs, sqs = Jobs(), Sqs()
    records = [_changed("a"), _changed("b"), _changed("a")]
    assert follow(records, jobs.publish, JobQueue(sqs, "url")) == {"batchItemFailures": []}
    assert jobs.published == ["a", "b"]
    assert sqs.sent == []


def test_a_job_that_fails_goes_to_the_queue_and_the_others_are_published() -> None:
    jobs, sqs = Jobs(a=RuntimeError("S3 is out of reach")), Sqs()
    follow([_changed("a"), _changed("b")], jobs.publish, JobQueue(sqs, "url"))
    assert jobs.published == ["b"]
    assert set(sqs.jobs) == {"a"}
    assert sqs.jobs["a"] > 0


def test_a_record_that_cannot_be_read_goes_to_the_queue_and_the_others_are_published() -> None:
    jobs, sqs = Jobs(), Sqs()
    poison = {"eventName": "MODIFY", "dynamodb": {"Keys": {"pk": {"S": "A#dc1#0"}}}}
    follow([poison, _changed("b")], jobs.publish, JobQueue(sqs, "url"))
    assert jobs.published == ["b"]
    assert json.loads(sqs.sent[0]["MessageBody"]) == {"unreadable": {"pk": {"S": "A#dc1#0"}}}


def test_a_busy_job_comes_back_when_the_lease_has_run_out() -> None:
    for trigger, record in ((follow, _changed("a")), (retry, _message("a"))):
        jobs, sqs = Jobs(a=JobBusy("busy", seconds=30)), Sqs()
        assert trigger([record], jobs.publish, JobQueue(sqs, "url")) == {"batchItemFailures": []}
        assert sqs.jobs == {"a": 31}


def test_without_the_queue_the_stream_delivers_the_batch_again() -> None:
    class Broken:
        def send_message(self, **message: Any) -> None:
            raise ConnectionError

    with pytest.raises(ConnectionError):
        follow([_changed("a")], Jobs(a=RuntimeError()).publish, JobQueue(Broken(), "url"))


def test_a_message_that_fails_again_is_handed_back_and_the_others_are_done() -> None:
    jobs = Jobs(a=RuntimeError("still out of reach"))
    messages = [_message("a"), _message("b")]
    assert retry(messages, jobs.publish, JobQueue(Sqs(), "url")) == {
        "batchItemFailures": [{"itemIdentifier": "m-a"}]
    }
    assert jobs.published == ["b"]


@pytest.mark.parametrize("body", ["", "[]", '{"unreadable": {}}', '{"site": "dc1"}'])
def test_a_message_that_cannot_be_read_ends_in_the_dead_letter_queue(body: str) -> None:
    message = {"messageId": "m", "body": body}
    assert retry([message], Jobs().publish, JobQueue(Sqs(), "url")) == {
        "batchItemFailures": [{"itemIdentifier": "m"}]
    }


def test_a_heartbeat_is_counted_by_site_and_publishes_nothing(
    capsys: pytest.CaptureFixture[str],
) -> None:
    item = {"pk": {"S": "S#dc1"}, "sk": {"S": "i"}, "at": {"N": "1"}}
    keys = {name: item[name] for name in ("pk", "sk")}
    record = {"eventName": "INSERT", "dynamodb": {"Keys": keys, "NewImage": item}}
    jobs = Jobs()
    follow([record], jobs.publish, JobQueue(Sqs(), "url"))
    metric = json.loads(capsys.readouterr().out)
    assert (metric["site"], metric["Heartbeat"]) == ("dc1", [1.0])
    assert jobs.published == []


def test_a_delay_is_no_longer_than_sqs_allows() -> None:
    sqs = Sqs()
    JobQueue(sqs, "url").send("dc1", "解析", delay=5000)
    assert sqs.jobs == {"解析": 900}


class Events:
    """EventBridge, taking or refusing."""

    def __init__(self, failed: int = 0) -> None:
        self.failed = failed
        self.entries: list[dict[str, str]] = []

    def put_events(self, **call: Any) -> dict[str, Any]:
        self.entries += call["Entries"]
        return {"FailedEntryCount": self.failed, "Entries": [{"ErrorCode": "Throttled"}]}


def test_an_event_says_where_it_comes_from() -> None:
    events = Events()
    EventBus(events).put("Job State Change", {"job": "解析"})
    assert events.entries == [
        {"Source": "jobferry", "DetailType": "Job State Change", "Detail": '{"job": "解析"}'}
    ]


def test_a_refused_event_is_an_error() -> None:
    with pytest.raises(Exception, match="EventBridge refused an event"):
        EventBus(Events(failed=1)).put("Job State Change", {})


def test_an_event_that_would_be_too_large_goes_without_its_reasons() -> None:
    events = Events()
    EventBus(events).put("Job State Change", {"id": "j#1", "reasons": ["あ" * 100_000]})
    assert json.loads(events.entries[0]["Detail"]) == {"id": "j#1"}
