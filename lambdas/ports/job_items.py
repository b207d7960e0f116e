"""Items of the job table as the Lambdas write them, and the conditions on which they do."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from botocore.exceptions import ClientError

from job_protocol import audit_chain, dynamodb_json, table_keys
from job_protocol.allocation import Allocation
from job_protocol.items import SCHEMA_VERSION, to_attributes
from job_protocol.job import Job
from job_protocol.states import ClientStatus, Desired, Role


def typed_key(key: table_keys.Key) -> dict[str, Any]:
    """A primary key as a request names it."""
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}


def job_item(job: Job) -> dict[str, Any]:
    """A job as it lies in the table, with its index keys."""
    attributes = to_attributes(job)
    key = table_keys.job(job.site, job.id)
    attributes.update(pk=key.pk, sk=key.sk)
    if job.submitted is not None:
        attributes["lpk"] = table_keys.list_partition(job.site)
        attributes["lsk"] = table_keys.listed(job.submitted, job.id)
    if job.next_due is not None:
        attributes["dpk"] = table_keys.due_partition()
    return dynamodb_json.encode(attributes)


def queue_keys(allocation: Allocation) -> dict[str, str]:
    """The index keys of an allocation that waits in its site's queue."""
    return {
        "qpk": table_keys.queue_partition(allocation.site),
        "qsk": table_keys.queue_pending(
            allocation.priority, allocation.created, allocation.not_before
        ),
    }


def allocation_item(allocation: Allocation, *, held_back: bool = False) -> dict[str, Any]:
    """A new allocation as it lies in the table, waiting in its site's queue.

    Args:
        allocation: the allocation.
        held_back: whether it may not enter the queue yet.
    """
    attributes = to_attributes(allocation)
    key = table_keys.allocation(allocation.site, allocation.id)
    attributes.update(pk=key.pk, sk=key.sk)
    if not (allocation.client_status.terminal or held_back):
        attributes |= queue_keys(allocation)
    return dynamodb_json.encode(attributes)


ASKED = "stop_by = if_not_exists(stop_by, :by), stop_at = if_not_exists(stop_at, :now)"
"""Part of an update with the values of `Asked`: the first one is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Who asks for the end of a run, and when.

    Attributes:
        by: a principal.
        at: seconds since the epoch.
    """

    by: str
    at: int

    @property
    def values(self) -> dict[str, object]:
        """The values of an update."""
        return {":by": self.by, ":now": self.at}


@dataclass(frozen=True, slots=True, kw_only=True)
class Birth:
    """What is written together with a template's new child.

    Attributes:
        parent: the template's id.
        advanced: the template as it was read, and as it shall be; None leaves it alone.
        turn: the child's place among the dispatches that wait, if it has to wait.
        limited: whether the template says how many children may be active: the end of this one
            may let another start.
        token: SHA-256 by which the dispatch's idempotency token is kept, if it has one.
    """

    parent: str
    advanced: tuple[Job, Job] | None = None
    turn: int | None = None
    limited: bool = False
    token: str | None = None


@dataclass(frozen=True, slots=True)
class Condition:
    """On what a write depends.

    Attributes:
        expression: the condition, in DynamoDB's language.
        names: the attributes that stand for its `#names`.
        values: the typed values of its `:values`.
    """

    expression: str
    names: dict[str, str]
    values: dict[str, Any]

    def arguments(self) -> dict[str, Any]:
        """The condition as the arguments of a request."""
        arguments: dict[str, Any] = {"ConditionExpression": self.expression}
        if self.names:
            arguments["ExpressionAttributeNames"] = self.names
        if self.values:
            arguments["ExpressionAttributeValues"] = self.values
        return arguments


ABSENT = Condition("attribute_not_exists(pk)", {}, {})
"""There is no such item yet."""


def as_read(job: Job | None) -> Condition:
    """The item is as it was read.

    It has the same revision, the same publisher at work (or none), and somebody or nobody waits for
    its end as before: who begins to wait must not be overwritten.
    """
    if job is None:
        return ABSENT
    values: dict[str, Any] = {":rev": {"N": str(job.rev)}}
    lease, waited_for = "attribute_not_exists(lease)", "attribute_not_exists(dependents)"
    if job.lease is not None:
        lease = "lease = :lease"
        values[":lease"] = {"S": job.lease}
    if job.dependents:
        waited_for = "attribute_exists(dependents)"
    return Condition(f"rev = :rev AND {lease} AND {waited_for}", {}, values)


TERMINAL = {f":t{n}": s for n, s in enumerate(sorted(s for s in ClientStatus if s.terminal))}
HAS_ENDED = f"client_status IN ({', '.join(TERMINAL)})"
"""An allocation has ended; `TERMINAL` are its values."""


def as_folder(site: str, folder: str, bucket: str) -> Job:
    """The item of a folder above a job; it never becomes a leaf."""
    return replace(Job(site=site, id=folder, bucket=bucket), role=Role.FOLDER)


def put(table: str, item: dict[str, Any], condition: Condition) -> dict[str, Any]:
    """A `Put` of a transaction."""
    return {"TableName": table, "Item": item, **condition.arguments()}


def at(table: str, key: table_keys.Key, condition: Condition) -> dict[str, Any]:
    """A `Delete` or `ConditionCheck` of a transaction."""
    return {"TableName": table, "Key": typed_key(key), **condition.arguments()}


def cancelled_by(error: ClientError) -> str:
    """Why DynamoDB cancelled a transaction, for people."""
    reasons = error.response.get("CancellationReasons", [])
    return ", ".join(str(reason.get("Code")) for reason in reasons)


def birth_writes(
    table: str, birth: Birth, child: Job, allocation: Allocation
) -> list[dict[str, Any]]:
    """What goes with a new child into its transaction.

    Args:
        table: the job table's name.
        birth: what it is.
        child: the child as it shall be.
        allocation: its first allocation.
    """
    writes = []
    if birth.advanced is not None:
        before, after = birth.advanced
        writes.append({"Put": put(table, job_item(after), as_read(before))})
    if birth.token is not None:
        expiry = allocation.created + allocation.keep_days * 24 * 3600
        kept = {"job": {"S": child.id}, "ttl": {"N": str(expiry)}}
        item = {**typed_key(table_keys.dispatch_token(birth.token)), **kept}
        writes.append({"Put": put(table, item, ABSENT)})
    if birth.turn is not None:
        place = table_keys.turn(child.site, birth.parent, birth.turn, child.id)
        item = {**typed_key(place), "v": {"N": str(SCHEMA_VERSION)}}
        writes.append({"Put": {"TableName": table, "Item": item}})
    return writes


def after(allocation: Allocation, before: Allocation | None) -> Allocation:
    """An allocation whose event log goes on from that of the one before, which has ended."""
    if before is None:
        return allocation
    return replace(allocation, before=before.id, previous=audit_chain.head_of(before))


def entering(table: str, allocation: Allocation) -> dict[str, Any]:
    """The write by which an allocation that was held back enters its site's queue.

    Condition: it is pending, has no token, and shall run.
    """
    keys = queue_keys(allocation)
    values = {
        ":qpk": keys["qpk"],
        ":qsk": keys["qsk"],
        ":pending": ClientStatus.PENDING,
        ":run": Desired.RUN,
    }
    update = "SET qpk = :qpk, qsk = :qsk"
    if allocation.before is not None and allocation.previous is not None:
        update += ", #before = :before, previous = :previous"
        values |= {":before": allocation.before, ":previous": allocation.previous}
    aliases = {"#before": "before"} if ":before" in values else {}
    return {
        "Update": {
            "TableName": table,
            "Key": typed_key(table_keys.allocation(allocation.site, allocation.id)),
            "UpdateExpression": update,
            "ConditionExpression": "client_status = :pending AND attribute_not_exists(#token) "
            "AND desired = :run",
            "ExpressionAttributeNames": {"#token": "token", **aliases},
            "ExpressionAttributeValues": dynamodb_json.encode(values),
        }
    }
