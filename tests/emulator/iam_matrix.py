"""What each principal of a deployment may do, as one table, and how each kind of access is tried.

A cell is `yes` (allowed) or `-` (refused). Functions of the control plane serve all sites: their
cell holds for every site. A puller has two: for its own site, and for any other one.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from job_protocol import object_keys, table_keys

ALLOCATION = "0123456789abcdef0123456789abcdef"
INSTALLATION = "an-installation"
JOB = "projA/job7"

OF_A_SITE = """
access                    intake publisher purger launcher distributor api authorizer puller foreign
input: read               yes    -         -      -        -           yes -          yes    -
input: read a version     yes    -         -      -        -           yes -          yes    -
input or result: write    -      -         -      yes      -           yes -          yes    -
input: delete             -      -         yes    -        -           -   -          -      -
input: delete a version   -      -         yes    -        -           -   -          -      -
bucket: list              yes    -         -      yes      yes         yes -          yes    -
bucket: list versions     yes    -         yes    -        -           yes -          -      -
bucket: change its policy -      -         -      -        -           -   -          -      -
bucket: change life cycle -      -         -      -        -           -   -          -      -
status word: read         yes    -         -      -        -           yes -          yes    -
status word: write        -      yes       -      -        -           -   -          -      -
status word: delete       -      -         yes    -        -           -   -          -      -
status details: write     -      yes       -      -        -           -   -          -      -
deep status word: write   -      yes       -      -        -           -   -          -      -
top status word: write    -      yes       -      -        -           -   -          -      -
manifest: read            yes    -         -      -        -           yes -          yes    -
manifest: write           yes    -         -      yes      -           yes -          -      -
manifest: delete          -      -         yes    -        -           -   -          -      -
puller file: read         yes    -         -      -        yes         yes -          yes    -
puller file: write        -      -         -      -        yes         -   -          -      -
puller file: delete       -      -         yes    -        -           -   -          -      -
result report: write      -      -         -      yes      -           yes -          yes    -
job: get                  yes    yes       yes    yes      -           yes -          -      -
job: put                  yes    yes       yes    yes      -           yes -          -      -
job: update               yes    yes       yes    yes      -           yes -          -      -
job: delete               -      -         yes    -        -           -   -          -      -
jobs: get many            yes    yes       -      yes      -           yes -          -      -
jobs: query               yes    yes       yes    -        -           yes -          -      -
allocation: get           yes    yes       yes    yes      -           yes -          yes    -
allocation: put           yes    yes       yes    yes      -           yes -          -      -
allocation: update        yes    yes       yes    yes      -           yes -          yes    -
allocation: delete        -      -         yes    -        -           -   -          -      -
allocations: query        yes    yes       yes    -        -           yes -          -      -
both: transact            yes    yes       yes    yes      -           yes -          -      -
heartbeat: get            yes    yes       yes    yes      -           yes -          yes    -
heartbeat: update         yes    yes       yes    yes      -           yes -          yes    -
heartbeats: query         yes    yes       yes    -        -           yes -          -      -
control item: get         yes    yes       yes    yes      -           yes -          -      -
control item: put         yes    yes       yes    yes      -           yes -          -      -
control item: update      yes    yes       yes    yes      -           yes -          -      -
task token: get           yes    yes       yes    yes      -           yes -          -      -
task token: put           yes    yes       yes    yes      -           yes -          -      -
active jobs: update       yes    yes       yes    yes      -           yes -          -      -
queue index: query        -      -         -      -        -           yes -          yes    -
list index: query         -      -         -      -        -           yes -          -      -
settings by site: get     -      -         -      yes      -           yes -          -      -
settings by bucket: get   yes    -         -      -        -           -   -          -      -
"""

OF_THE_DEPLOYMENT = """
access                         intake publisher purger launcher distributor api authorizer puller
table: scan                    -      -         -      -        -           -   -          -
table: delete                  -      -         -      -        -           -   -          -
due index: query               -      -         -      yes      -           -   -          -
API token: get                 -      -         -      -        -           yes yes        -
API token: put                 -      -         -      -        -           yes -          -
API token: delete              -      -         -      -        -           yes -          -
API tokens: list               -      -         -      -        -           yes -          -
request record: put            -      -         -      -        -           yes -          -
request record: delete         -      -         -      -        -           yes -          -
retry queue: send              -      yes       -      -        -           -   -          -
retry queue: receive           -      yes       -      -        -           -   -          -
purge queue: send              -      yes       yes    -        -           yes -          -
purge queue: receive           -      -         yes    -        -           -   -          -
intake's dead letters: send    yes    -         -      -        -           -   -          -
stream's dead letters: send    -      yes       -      -        -           -   -          -
intake's dead letters: receive -      -         -      -        -           -   -          -
event: send                    -      yes       -      -        -           -   -          -
task of a workflow: answer     -      yes       -      -        -           -   -          -
table's name: get              -      -         -      -        -           -   -          -
foreign bucket: read           -      -         -      -        -           -   -          -
foreign bucket: list           -      -         -      -        -           -   -          -
function: invoke               -      -         -      -        -           -   -          -
access key: create             -      -         -      -        -           -   -          -
"""


@dataclass(frozen=True)
class Row:
    """A row of a table: what is tried, and the cell of each principal."""

    access: str
    cells: Mapping[str, str]


def rows(table: str) -> list[Row]:
    """The rows of a table; the name of an access may have single spaces."""
    lines = table.strip().splitlines()
    principals = lines[0].split()[1:]
    return [
        Row(
            " ".join(words[: -len(principals)]),
            dict(zip(principals, words[-len(principals) :], strict=True)),
        )
        for words in map(str.split, lines[1:])
    ]


@dataclass(frozen=True)
class Place:
    """Where an access is tried.

    Attributes:
        client: makes a client of the principal, by service.
        site, bucket: the site that it is tried on.
        table, stack: those of the deployment.
        versions: the version of each object that is there, by key.
        queues: URL of each queue, by the begin of its logical id.
        function: name of a function to call.
        foreign_bucket: a bucket of the same account that belongs to no site.
    """

    client: Callable[[str], Any]
    site: str
    bucket: str
    table: str
    stack: str
    versions: Mapping[str, str]
    queues: Mapping[str, str]
    function: str
    foreign_bucket: str


OBJECTS = {
    "input": object_keys.input_key(JOB, "input"),
    "status word": object_keys.status_word_key(JOB),
    "status details": object_keys.status_details_key(JOB),
    "deep status word": f"{JOB}/deep/{object_keys.STATUS_WORD}",
    "top status word": object_keys.STATUS_WORD,
    "manifest": object_keys.input_manifest_key(ALLOCATION),
    "puller file": object_keys.PULLER_FILE,
    "result report": object_keys.result_report_key(ALLOCATION),
}
"""The objects that are there before anything is tried, by what the tables call them."""

_ITEMS: dict[str, Callable[[str], table_keys.Key]] = {
    "job": lambda site: table_keys.job(site, JOB),
    "allocation": lambda site: table_keys.allocation(site, ALLOCATION),
    "heartbeat": lambda site: table_keys.heartbeat(site, INSTALLATION),
    "control item": table_keys.control,
    "task token": lambda site: table_keys.task_token(site, JOB, 1),
    "active jobs": lambda site: table_keys.active_count(site, None),
    "API token": lambda site: table_keys.api_token("0" * 64),
    "request record": lambda site: table_keys.Key(
        table_keys.idempotency_partition("0" * 64), "record"
    ),
}
_QUERIES: dict[str, Callable[[str], tuple[str | None, str, str]]] = {
    "jobs: query": lambda site: (None, "pk", table_keys.job(site, JOB).pk),
    "allocations: query": lambda site: (None, "pk", table_keys.allocation(site, ALLOCATION).pk),
    "heartbeats: query": lambda site: (None, "pk", table_keys.heartbeat_partition(site)),
    "queue index: query": lambda site: ("queue", "qpk", table_keys.queue_partition(site)),
    "list index: query": lambda site: ("list", "lpk", table_keys.list_partition(site)),
    "due index: query": lambda site: ("due", "dpk", "DUE"),
    "API tokens: list": lambda site: ("list", "lpk", table_keys.api_token_list()),
}
QUEUES = {
    "retry queue": "PublisherRetries",
    "purge queue": "PurgerQueue",
    "intake's dead letters": "IntakeDeadLetters",
    "stream's dead letters": "PublisherStreamDeadLetters",
}


def attempt(access: str, place: Place) -> None:
    """Try an access.

    Raises:
        ClientError: it was refused, or it was let through and something else was wrong with it.
    """
    what, _, how = access.partition(": ")
    if access in _QUERIES:
        _query(place, *_QUERIES[access](place.site))
    elif what in _ITEMS:
        _item(place, _ITEMS[what](place.site), how)
    elif what.partition(" or ")[0] in OBJECTS:
        _object(place, OBJECTS[what.partition(" or ")[0]], how)
    elif what in QUEUES:
        _queue(place, QUEUES[what], how)
    else:
        _OTHERS[access](place)


def _object(place: Place, key: str, how: str) -> None:
    s3, where = place.client("s3"), {"Bucket": place.bucket, "Key": key}
    match how:
        case "read":
            s3.get_object(**where)
        case "read a version":
            s3.get_object(**where, VersionId=place.versions[key])
        case "write":
            s3.put_object(**where, Body=b"written by the matrix")
        case "delete":
            s3.delete_object(**where)
        case "delete a version":
            s3.delete_object(**where, VersionId=place.versions[key])
        case _:
            raise ValueError(how)


def _typed(key: table_keys.Key) -> dict[str, Any]:
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def _item(place: Place, key: table_keys.Key, how: str) -> None:
    dynamodb, where = place.client("dynamodb"), {"TableName": place.table}
    match how:
        case "get":
            dynamodb.get_item(**where, Key=_typed(key))
        case "put":
            dynamodb.put_item(**where, Item=_typed(key))
        case "update":
            dynamodb.update_item(
                **where,
                Key=_typed(key),
                UpdateExpression="SET touched = :yes",
                ExpressionAttributeValues={":yes": {"BOOL": True}},
            )
        case "delete":
            dynamodb.delete_item(**where, Key=_typed(key))
        case _:
            raise ValueError(how)


def _query(place: Place, index: str | None, attribute: str, value: str) -> None:
    place.client("dynamodb").query(
        TableName=place.table,
        **({"IndexName": index} if index else {}),
        KeyConditionExpression="#pk = :pk",
        ExpressionAttributeNames={"#pk": attribute},
        ExpressionAttributeValues={":pk": {"S": value}},
    )


def _queue(place: Place, logical_id: str, how: str) -> None:
    sqs, url = place.client("sqs"), place.queues[logical_id]
    if how == "send":
        sqs.send_message(QueueUrl=url, MessageBody="{}")
    else:
        sqs.receive_message(QueueUrl=url, VisibilityTimeout=0)


def _get_many(place: Place) -> None:
    keys = [_typed(table_keys.job(place.site, name)) for name in ("a", "b")]
    place.client("dynamodb").batch_get_item(RequestItems={place.table: {"Keys": keys}})


def _transact(place: Place) -> None:
    place.client("dynamodb").transact_write_items(
        TransactItems=[
            {
                "Update": {
                    "TableName": place.table,
                    "Key": _typed(key),
                    "UpdateExpression": "SET touched = :yes",
                    "ExpressionAttributeValues": {":yes": {"BOOL": True}},
                }
            }
            for key in (
                table_keys.allocation(place.site, ALLOCATION),
                table_keys.job(place.site, JOB),
            )
        ]
    )


def _parameter(place: Place, *path: str) -> None:
    place.client("ssm").get_parameter(Name="/".join(("", "jobferry", place.stack, *path)))


_OTHERS: dict[str, Callable[[Place], object]] = {
    "bucket: list": lambda p: p.client("s3").list_objects_v2(Bucket=p.bucket),
    "bucket: list versions": lambda p: p.client("s3").list_object_versions(Bucket=p.bucket),
    "bucket: change its policy": lambda p: p.client("s3").put_bucket_policy(
        Bucket=p.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": []})
    ),
    "bucket: change life cycle": lambda p: p.client("s3").delete_bucket_lifecycle(Bucket=p.bucket),
    "jobs: get many": _get_many,
    "both: transact": _transact,
    "settings by site: get": lambda p: _parameter(p, "sites", p.site),
    "settings by bucket: get": lambda p: _parameter(p, "buckets", p.bucket),
    "table's name: get": lambda p: _parameter(p, "table"),
    "table: scan": lambda p: p.client("dynamodb").scan(TableName=p.table),
    "table: delete": lambda p: p.client("dynamodb").delete_table(TableName=p.table),
    "event: send": lambda p: p.client("events").put_events(
        Entries=[{"Source": "jobferry", "DetailType": "matrix", "Detail": "{}"}]
    ),
    "task of a workflow: answer": lambda p: p.client("stepfunctions").send_task_success(
        taskToken="none", output="{}"
    ),
    "foreign bucket: read": lambda p: p.client("s3").get_object(Bucket=p.foreign_bucket, Key="it"),
    "foreign bucket: list": lambda p: p.client("s3").list_objects_v2(Bucket=p.foreign_bucket),
    "function: invoke": lambda p: p.client("lambda").invoke(FunctionName=p.function, Payload="{}"),
    "access key: create": lambda p: p.client("iam").create_access_key(UserName="tester"),
}
