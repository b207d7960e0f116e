"""Starts MiniStack, and does some things that it leaves out.

It runs under the emulator's own interpreter, as a file: nothing of this project can be imported.
Without `dynamodb:LeadingKeys` every statement that guards a partition of the job table by it (with
`Null` beside it) would refuse everything, so nothing about those statements could be tried out.
Without ranges of versions a large input, which is always a named version, would come whole and in
one stream, never in parts.
Without a bound of processes a hundred uploads at once start nearly as many of the intake's.
Without the windows of stream mappings, which a benchmark asks for, each passing state of a job is
published at once and costs what AWS would not charge.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

_EQUALITY = re.compile(r"([#\w]+)\s*=\s*(:\w+)")

_LEAST_WORKERS = 8
_WORKERS_PER_CPU = 4
"""Processes of one function that the emulator starts at most."""


def leading_keys(request: Mapping[str, Any], tables: Mapping[str, Any]) -> list[str]:
    """The partition keys that a request names, as AWS tells them to a policy.

    The rule is that of the DynamoDB guide, "Using IAM policy conditions for fine-grained access
    control": the partition key of each item, and for a query the value that the partition key of
    the table or index must have.

    Args:
        request: the body of the request.
        tables: descriptions of the tables (`KeySchema`, `GlobalSecondaryIndexes`) by name.
    """
    return [
        str(next(iter(value.values())))
        for table, item, index in _named_items(request)
        if (name := _partition_key(tables, table, index)) is not None
        and isinstance(value := item.get(name), Mapping)
        and value
    ]


def _named_items(request: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any], str | None]]:
    """Table, item or key, and index of everything that a request names."""
    for action in request.get("TransactItems", []):
        for part in action.values():
            yield part["TableName"], part.get("Key") or part.get("Item") or {}, None
    for table, batch in request.get("RequestItems", {}).items():
        for item in _batched(batch):
            yield table, item, None
    if "TableName" in request:
        table = request["TableName"]
        yield table, request.get("Key") or request.get("Item") or {}, None
        yield table, _queried(request), request.get("IndexName")


def _batched(batch: Any) -> Iterator[Mapping[str, Any]]:
    if isinstance(batch, Mapping):
        yield from batch.get("Keys", [])
        return
    for write in batch:
        for part in write.values():
            yield part.get("Item") or part.get("Key") or {}


def _queried(request: Mapping[str, Any]) -> dict[str, Any]:
    """What a query demands to be equal, by attribute."""
    names = request.get("ExpressionAttributeNames") or {}
    values = request.get("ExpressionAttributeValues") or {}
    return {
        names.get(name, name): values[value]
        for name, value in _EQUALITY.findall(request.get("KeyConditionExpression") or "")
        if value in values
    }


def _partition_key(tables: Mapping[str, Any], table: str, index: str | None) -> str | None:
    description = tables.get(table.rsplit("/", 1)[-1]) or {}
    if index is not None:
        indexes = description.get("GlobalSecondaryIndexes") or []
        description = next((row for row in indexes if row["IndexName"] == index), {})
    for part in description.get("KeySchema", []):
        if part["KeyType"] == "HASH":
            return str(part["AttributeName"])
    return None


Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body of an HTTP answer."""


def sliced(answer: Answer, start: int, end: int) -> Answer:
    """The part of a whole object that a range names (RFC 9110, 15.3.7).

    Args:
        answer: the whole object.
        start: its first byte.
        end: its last byte.
    """
    _, headers, body = answer
    part = body[start : end + 1]
    # The checksum of the whole says nothing about a part, and S3 does not send it with one.
    kept = {
        name: text
        for name, text in headers.items()
        if not name.lower().startswith("x-amz-checksum-")
    }
    place = {
        "Content-Length": str(len(part)),
        "Content-Range": f"bytes {start}-{end}/{len(body)}",
    }
    return 206, kept | place, part


def _ranges_of_versions(s3: Any) -> Callable[..., Answer]:
    """The emulator's GetObject, which also honours a range of a named version."""
    whole: Callable[..., Answer] = s3._get_object

    def get(bucket: str, key: str, headers: Mapping[str, str], query: Any = None, /) -> Answer:
        answer = whole(bucket, key, headers, query)
        status, _, body = answer
        wanted = headers.get("range", "")
        if status != 200 or not wanted or not s3._qp(query or {}, "versionId", ""):
            return answer
        place = s3._parse_range(wanted, len(body))
        if place is None:
            headers_of_error = {"Content-Type": "application/xml"}
            return 416, headers_of_error, s3._xml_body(s3._range_error_xml(bucket, key))
        return sliced(answer, *place)

    return get


class StreamWindows:
    """Holds the records of a table's stream back while their mapping gathers them.

    The rule is that of the Lambda guide, "Batching behavior": a window opens with the first record
    that passes the filters, and ends after its seconds or with a full batch.
    """

    def __init__(self, lambdas: Any, dynamodb: Any, clock: Callable[[], float]) -> None:
        """Watch the mappings of an emulator.

        Args:
            lambdas: its module of Lambda.
            dynamodb: its module of DynamoDB.
            clock: monotonic, in seconds.
        """
        self._lambdas = lambdas
        self._dynamodb = dynamodb
        self._clock = clock
        self._opened: dict[tuple[str, int], float] = {}

    def ready(self, mappings: Iterator[tuple[str, str, Any]]) -> Iterator[tuple[str, str, Any]]:
        """Those of the mappings (account, region, mapping) that gather nothing at the moment."""
        for account, region, mapping in mappings:
            if not self._gathers(account, region, mapping):
                yield account, region, mapping

    def _gathers(self, account: str, region: str, mapping: Mapping[str, Any]) -> bool:
        window = mapping.get("MaximumBatchingWindowInSeconds") or 0
        table, stream, _ = mapping.get("EventSourceArn", "").partition("/stream/")
        if not window or not stream:
            return False
        name, size = mapping["UUID"], mapping.get("BatchSize", 100)
        place = {"account_id": account, "region": region}
        position = self._lambdas._dynamodb_stream_positions.get_scoped(account, region, name) or 0
        records = self._dynamodb.stream_records_since(
            table.rsplit("/", 1)[-1], position, size, **place
        )
        if not self._lambdas._apply_filter_criteria(records, mapping):
            return False
        batch = (name, position)
        if batch not in self._opened:
            self._opened[batch] = self._clock()
            wake = threading.Timer(window, self._lambdas._esm_wake.set)
            wake.daemon = True
            wake.start()
        return len(records) < size and self._clock() - self._opened[batch] < window


class BoundedWorkers:
    """Lets calls of a function wait for a process of it, where there are enough of them.

    The emulator starts a process for each call that finds none free. While a machine with two CPUs
    starts one, further calls come, each of which starts one more: 100 uploads at once made 78.
    A function that calls itself would wait for itself, so that no call waits for ever.
    """

    def __init__(self, lambdas: Any, most: int, patience: float = 60.0) -> None:
        """Bound the processes of an emulator.

        Args:
            lambdas: its module of Lambda.
            most: processes of a function.
            patience: seconds that a call waits for one of them, before it gets one of its own.
        """
        self._most = most
        self._patience = patience
        self._acquire = lambdas.acquire_worker

    def acquire(self, name: str, config: Any, code: bytes, **named: Any) -> Any:
        """A process for a call, and where it comes from; in place of the emulator's own."""
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            worker, origin = self._acquire(
                name, config, code, **{**named, "max_concurrency": self._most}
            )
            if worker is not None:
                return worker, origin
            time.sleep(0.005)
        return self._acquire(name, config, code, **named)


def main() -> None:
    """Run the emulator until it is stopped."""
    actions: Any = importlib.import_module("ministack.core.iam_actions")
    dynamodb: Any = importlib.import_module("ministack.services.dynamodb")
    original = actions.dynamodb_service_context

    def with_leading_keys(body: bytes) -> dict[str, Any]:
        context: dict[str, Any] = original(body)
        try:
            request = json.loads(body or b"{}")
            found = leading_keys(request, dynamodb._tables)
        except (ValueError, TypeError, KeyError, AttributeError):
            return context  # not a request that DynamoDB understands: it will say so itself
        return context | {"dynamodb:LeadingKeys": found} if found else context

    actions.dynamodb_service_context = with_leading_keys
    s3: Any = importlib.import_module("ministack.services.s3")
    s3._get_object = _ranges_of_versions(s3)
    lambdas: Any = importlib.import_module("ministack.services.lambda_svc")
    most = max(_LEAST_WORKERS, _WORKERS_PER_CPU * (os.cpu_count() or 1))
    lambdas.acquire_worker = BoundedWorkers(lambdas, most).acquire
    if os.environ.get("JOBFERRY_STREAM_WINDOWS"):
        windows = StreamWindows(lambdas, dynamodb, time.monotonic)
        mappings = lambdas._iter_all_esms
        lambdas._iter_all_esms = lambda: windows.ready(mappings())
    importlib.import_module("ministack.app").main()


if __name__ == "__main__":
    main()
