"""The stream's filters on real stream records: what calls the publisher, and what does not."""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from collections.abc import Iterator
from typing import Any

import pytest

from infra.publisher import end_filters, passing_filters
from local_cloud.emulator import ACCOUNT, Emulator

pytestmark = pytest.mark.emulator

RECORDER = """
import json

def handler(event, _context):
    for record in event["Records"]:
        image = record["dynamodb"].get("NewImage", {})
        print("CALLED " + image.get("case", {}).get("S", "removed") + " END")
"""
LAST = "the last one"
SECONDS = 20


def archive(source: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as target:
        target.writestr("recorder.py", source)
    return buffer.getvalue()


class FilteredTable:
    """A table whose stream calls a recorder through the publisher's filters."""

    def __init__(self, emulator: Emulator) -> None:
        self._dynamodb = emulator.client("dynamodb")
        self._lambda = emulator.client("lambda")
        self._logs = emulator.client("logs")
        self.name = f"filtered-{uuid.uuid4().hex[:8]}"
        table = self._dynamodb.create_table(
            TableName=self.name,
            BillingMode="PAY_PER_REQUEST",
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            AttributeDefinitions=[
                {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")
            ],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )["TableDescription"]
        self._lambda.create_function(
            FunctionName=self.name,
            Runtime="python3.13",
            Handler="recorder.handler",
            Role=f"arn:aws:iam::{ACCOUNT}:role/recorder",
            Code={"ZipFile": archive(RECORDER)},
        )
        both = [*end_filters("host"), *passing_filters("host")]
        filters = [{"Pattern": json.dumps(pattern)} for pattern in both]
        self._mapping = self._lambda.create_event_source_mapping(
            FunctionName=self.name,
            EventSourceArn=table["LatestStreamArn"],
            StartingPosition="TRIM_HORIZON",
            FilterCriteria={"Filters": filters},
        )["UUID"]

    def write(self, pk: str, sk: str, case: str, **attributes: Any) -> None:
        """Put an item; the recorder tells of it by its case."""
        item = {"pk": {"S": pk}, "sk": {"S": sk}, "case": {"S": case}, **attributes}
        self._dynamodb.put_item(TableName=self.name, Item=item)

    def remove(self, pk: str, sk: str) -> None:
        self._dynamodb.delete_item(TableName=self.name, Key={"pk": {"S": pk}, "sk": {"S": sk}})

    def called(self) -> list[str]:
        """The cases that called the recorder, up to one that always does."""
        self.write("S#dc1", "end", LAST)
        deadline = time.monotonic() + SECONDS
        while LAST not in (cases := self._logged()):
            assert time.monotonic() < deadline, f"the recorder was called for {cases} only"
            time.sleep(0.1)
        return [case for case in cases if case != LAST]

    def delete(self) -> None:
        self._lambda.delete_event_source_mapping(UUID=self._mapping)
        self._lambda.delete_function(FunctionName=self.name)
        self._dynamodb.delete_table(TableName=self.name)

    def _logged(self) -> list[str]:
        group = f"/aws/lambda/{self.name}"
        try:
            events = self._logs.filter_log_events(logGroupName=group)["events"]
        except self._logs.exceptions.ResourceNotFoundException:
            return []
        text = "\n".join(event["message"] for event in events)
        return [part.partition(" END")[0] for part in text.split("CALLED ")[1:]]


@pytest.fixture
def filtered(emulator: Emulator) -> Iterator[FilteredTable]:
    table = FilteredTable(emulator)
    yield table
    table.delete()


UNPUBLISHED = {"unpublished": {"BOOL": True}, "status": {"S": "pending"}}
LEASED = {"lease": {"S": "somebody"}}


def test_only_what_the_publisher_needs_calls_it(filtered: FilteredTable) -> None:
    def status(word: str) -> dict[str, Any]:
        return {"client_status": {"S": word}}

    filtered.write("A#dc1#0", "a", "a new allocation", **status("pending"))
    filtered.write("A#dc1#0", "a", "a claim", **status("starting"))
    why = {"reason": {"S": "the disk is full"}}
    filtered.write("A#dc1#0", "a", "why a claimed one waits", **status("starting"), **why)
    filtered.write("A#dc1#0", "a", "an allocation runs", **status("running"))
    filtered.write("A#dc1#0", "a", "an allocation ends", **status("complete"))
    filtered.write("J#dc1", "job", "a new job", **UNPUBLISHED)
    filtered.write("J#dc1", "job", "a publisher's lease", **UNPUBLISHED, **LEASED)
    filtered.write("J#dc1", "job", "a published job")
    filtered.write("J#dc1", "job", "a changed job", **UNPUBLISHED)
    filtered.write("J#dc1", "folder", "a folder")
    filtered.write("C#dc1", "CTL", "the operator's word")
    filtered.write("S#dc1", "host", "a heartbeat")
    filtered.remove("J#dc1", "job")
    filtered.remove("A#dc1#0", "a")
    assert filtered.called() == [
        "why a claimed one waits",
        "an allocation runs",
        "an allocation ends",
        "a new job",
        "a changed job",
        "a heartbeat",
    ]
