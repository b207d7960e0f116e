"""The publisher on the real stack: events, and records that cannot be published."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest

from tests.conftest import DeployedStack
from tests.e2e.site import Site
from tests.patience import PATIENCE

pytestmark = pytest.mark.emulator


def _received(sqs: Any, queue: str, job_id: str, seconds: float = PATIENCE) -> list[dict[str, Any]]:
    """The events of a job that reach a queue until they stop coming."""
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        messages = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
        events = [json.loads(message["Body"]) for message in messages]
        found += [event for event in events if event["detail"]["job"] == job_id]
        if found and not messages:
            break
        time.sleep(0.5)
    return found


def test_an_event_tells_the_end_of_a_job(deployed: DeployedStack, site: Site) -> None:
    sqs, events = deployed.client("sqs"), deployed.client("events")
    name = f"ends-{uuid.uuid4().hex[:8]}"
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]
    pattern = {"source": ["jobferry"], "detail-type": ["Job State Change"]}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}])

    site.upload("told", "#!/bin/bash\nexit 4\n")
    assert site.run_to_end("told") == "JOB_FAILED"

    (event,) = _received(sqs, queue, "told")
    assert event["source"] == "jobferry"
    assert event["detail"]["word"] == "JOB_FAILED"
    assert event["detail"]["allocation"]["exit_code"] == 4
    assert event["detail"]["id"] == f"told#{event['detail']['revision']}"
    events.remove_targets(Rule=name, Ids=["queue"])
    events.delete_rule(Name=name)


def test_a_poisonous_record_waits_in_the_retry_queue_and_stalls_nobody(
    deployed: DeployedStack, site: Site
) -> None:
    deployed.client("dynamodb").put_item(
        TableName=deployed.table,
        Item={
            "pk": {"S": "J#dc1"},
            "sk": {"S": "poison"},
            "site": {"S": "dc1"},
            "id": {"S": "poison"},
            "bucket": {"S": "jobferry-no-such-bucket"},
            "status": {"S": "dead"},
            "outcome": {"S": "failed"},
            "rev": {"N": "1"},
            "unpublished": {"BOOL": True},
        },
    )
    site.upload("unharmed", "#!/bin/bash\ntrue\n")
    assert site.run_to_end("unharmed") == "JOB_COMPLETE"
    deadline = time.monotonic() + PATIENCE
    while not _waiting(deployed, "Retries") + _waiting(deployed, "RetryDeadLetters"):
        assert time.monotonic() < deadline
        time.sleep(0.5)


def _waiting(deployed: DeployedStack, queue: str) -> int:
    """How many messages a queue of the stack holds, those in flight or delayed included."""
    sqs = deployed.client("sqs")
    counts = ["", "NotVisible", "Delayed"]
    names = [f"ApproximateNumberOfMessages{count}" for count in counts]
    total = 0
    for url in sqs.list_queues().get("QueueUrls", []):
        if queue in url:
            found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
            total += sum(int(found.get(name, 0)) for name in names)
    return total
