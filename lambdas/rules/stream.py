"""Which jobs a record of the table's stream asks to publish."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.items import known_version
from job_protocol.states import ClientStatus


@dataclass(frozen=True, slots=True, order=True)
class Changed:
    """A job that may have to be published."""

    site: str
    job_id: str


def changes_of(record: dict[str, Any]) -> set[Changed]:
    """The job that a stream record is about, or nothing.

    The site comes from the key, which IAM guards, never from an attribute that a puller wrote.
    Deletions (by TTL) and what the publisher itself wrote ask for nothing.

    Args:
        record: one record of the event that DynamoDB Streams sends to a Lambda.

    Raises:
        KeyError, TypeError, ValueError: the record has not the form of the job table's.
    """
    if record["eventName"] == "REMOVE":
        return set()
    keys = dynamodb_json.decode(record["dynamodb"]["Keys"])
    pk = keys["pk"]
    image = dynamodb_json.decode(record["dynamodb"]["NewImage"])
    if not known_version(image):
        return set()
    if table_keys.is_job(pk):
        needs_publisher = image.get("unpublished") and "lease" not in image
        return {Changed(table_keys.site_of(pk), keys["sk"])} if needs_publisher else set()
    if table_keys.is_allocation(pk) and record["eventName"] == "MODIFY":
        if image["client_status"] == ClientStatus.STARTING and not image.get("reason"):
            return set()
        return {Changed(table_keys.site_of(pk), image["job"])}
    return set()
