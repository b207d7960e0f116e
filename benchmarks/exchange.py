"""One request to AWS as it went over the wire: who made it, what it was, what class it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qs, unquote, urlsplit

from benchmarks.dynamodb_units import WriteUnits

_SERVICES = {
    "DynamoDB": "dynamodb",
    "AmazonSSM": "ssm",
    "AmazonSQS": "sqs",
    "AWSEvents": "events",
}
HEARTBEAT = "heartbeat"
"""What `key` says of a write of the puller's sign of life."""

_FREE = {"DeleteObject", "DeleteObjects", "AbortMultipartUpload"}
_AS_GET = {"GetObject", "HeadObject", "HeadBucket"}


@dataclass(slots=True)
class Exchange:
    """A request and its answer.

    Attributes:
        actor: whose request it is (`user`, `intake`, `publisher`, `puller`).
        service, operation: what AWS calls it.
        key: the object's key, or what else the request is about.
        begun: on the monotonic clock, in seconds.
        status: of the answer; 0 before there is one.
        sent, received: bytes of the bodies.
        writes: what each item that it wrote costs, where that was looked up.
        read_units: what its read costs.
    """

    actor: str
    service: str
    operation: str
    key: str
    begun: float
    status: int = 0
    sent: int = 0
    received: int = 0
    writes: list[WriteUnits] = field(default_factory=list)
    read_units: float = 0.0

    @property
    def of_the_site(self) -> bool:
        """Whether a puller makes it with no job as well: the sign of life, the queue's query."""
        if self.actor != "puller" or self.service != "dynamodb":
            return False
        return self.operation == "Query" or self.key == HEARTBEAT

    @property
    def s3_kind(self) -> str:
        """Its price class."""
        if self.operation in _FREE:
            return "s3-free"
        return "s3-get" if self.operation in _AS_GET else "s3-put"


def name_of(method: str, target: str, headers: Mapping[str, str]) -> tuple[str, str, str]:
    """Service, operation and key of a request.

    Args:
        method: the HTTP method.
        target: the request target, a path with its query.
        headers: the headers, names in lower case.
    """
    called = headers.get("x-amz-target", "")
    if called:
        prefix, _, operation = called.partition(".")
        return _SERVICES.get(prefix.partition("_")[0], prefix), operation, ""
    parts = urlsplit(target)
    query = parse_qs(parts.query, keep_blank_values=True)
    _, _, key = unquote(parts.path).lstrip("/").partition("/")
    return "s3", _s3_operation(method, key, query, headers), key


def _s3_operation(
    method: str, key: str, query: Mapping[str, list[str]], headers: Mapping[str, str]
) -> str:
    if not key:
        if "versions" in query:
            return "ListObjectVersions"
        if "delete" in query:
            return "DeleteObjects"
        return {"HEAD": "HeadBucket", "GET": "ListObjectsV2"}.get(method, f"{method} bucket")
    if "uploadId" in query or "uploads" in query:
        return {
            "PUT": "UploadPartCopy" if "x-amz-copy-source" in headers else "UploadPart",
            "POST": "CreateMultipartUpload" if "uploads" in query else "CompleteMultipartUpload",
            "DELETE": "AbortMultipartUpload",
        }.get(method, "ListParts")
    if method == "PUT":
        return "CopyObject" if "x-amz-copy-source" in headers else "PutObject"
    return {"GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}.get(method, method)
