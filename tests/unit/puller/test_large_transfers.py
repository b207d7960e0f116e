"""Large downloads against a server that counts ranges, and cuts connections."""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, cast

import boto3
import pytest

from puller.bucket import VersionGone
from puller.cloud.client_config import client_config
from puller.cloud.s3_bucket import CONNECTIONS, LARGE, S3Bucket
from puller.errors import CloudUnreachable

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONTENT = os.urandom(3 * LARGE + 17)
ETAG = '"3858f62230ac3c915f300c664312c11f-4"'


def test_no_more_requests_are_made_at_once_than_there_are_connections() -> None:
    """However many allocations are staged and pushed at the same time."""
    lock = threading.Lock()
    under_way, most = 0, 0

    class Client:
        def put_object(self, **_: object) -> dict[str, str]:
            nonlocal under_way, most
            with lock:
                under_way += 1
                most = max(most, under_way)
            time.sleep(0.005)
            with lock:
                under_way -= 1
            return {"VersionId": "v1"}

    made = S3Bucket("bucket", lambda: cast("S3Client", Client()))
    with ThreadPoolExecutor(100) as pool:
        list(pool.map(lambda n: made.put(f"{n}", b"", {}), range(200)))
    assert 1 < most < CONNECTIONS - 10


class ObjectServer(ThreadingHTTPServer):
    """Serves `CONTENT` as version `v1` of any key."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.ranges: list[str] = []
        self.cuts = 0
        self.lock = threading.Lock()

    def cut_this(self) -> bool:
        with self.lock:
            self.cuts -= 1
            return self.cuts >= 0


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ObjectServer

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        assert "versionId=v1" in self.path
        assert self.headers.get("If-Match") in (None, ETAG)
        found = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        assert found is not None
        first, last = int(found[1]), min(int(found[2] or len(CONTENT)), len(CONTENT) - 1)
        with self.server.lock:
            self.server.ranges.append(found[0])
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {first}-{last}/{len(CONTENT)}")
        self.send_header("Content-Length", str(last - first + 1))
        self.send_header("ETag", ETAG)
        self.send_header("Last-Modified", "Wed, 28 Feb 2024 10:00:00 GMT")
        self.send_header("x-amz-meta-file-permissions", "0755")
        self.end_headers()
        body = CONTENT[first : last + 1]
        if len(body) > 1 and self.server.cut_this():
            body = body[: len(body) // 2]
            self.close_connection = True
        with suppress(ConnectionError):  # the client may have given up
            self.wfile.write(body)


@pytest.fixture
def server() -> Iterator[ObjectServer]:
    with ObjectServer() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.02,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


@pytest.fixture
def bucket(server: ObjectServer) -> Iterator[S3Bucket]:
    client = boto3.Session().client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{server.server_port}",
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=client_config(),
    )
    made = S3Bucket("bucket", lambda: client)
    yield made
    made.close()


def test_a_large_version_comes_in_parallel_parts_without_a_head_request(
    server: ObjectServer, bucket: S3Bucket
) -> None:
    with tempfile.TemporaryFile() as target:
        found = bucket.fetch("job/large", "v1", len(CONTENT), target)
        target.seek(0)
        assert hashlib.sha256(target.read()).digest() == hashlib.sha256(CONTENT).digest()
    assert found.metadata == {"file-permissions": "0755"}
    assert found.modified == 1_709_114_400
    assert server.ranges[0] == "bytes=0-0"
    begins = sorted(int(asked[6:].partition("-")[0]) for asked in server.ranges[1:])
    assert begins == [part * LARGE for part in range(4)]


def test_connections_that_break_off_are_made_good(server: ObjectServer, bucket: S3Bucket) -> None:
    server.cuts = 3
    with tempfile.TemporaryFile() as target:
        bucket.fetch("job/large", "v1", len(CONTENT), target)
        target.seek(0)
        assert hashlib.sha256(target.read()).digest() == hashlib.sha256(CONTENT).digest()
    assert len(server.ranges) == 8


def test_connections_that_always_break_off_are_unreachable(
    server: ObjectServer, bucket: S3Bucket
) -> None:
    server.cuts = 1000
    with pytest.raises(CloudUnreachable, match="job/large"), tempfile.TemporaryFile() as target:
        bucket.fetch("job/large", "v1", len(CONTENT), target)


def test_a_version_of_another_size_is_not_what_was_validated(bucket: S3Bucket) -> None:
    with pytest.raises(VersionGone, match="instead of"), tempfile.TemporaryFile() as target:
        bucket.fetch("job/large", "v1", len(CONTENT) + 1, target)


def test_a_target_that_cannot_be_written_fails_as_such(bucket: S3Bucket) -> None:
    with (
        Path("/dev/full").open("r+b", buffering=0) as full,
        pytest.raises(OSError, match="No space"),
    ):
        bucket.fetch("job/large", "v1", len(CONTENT), full)
