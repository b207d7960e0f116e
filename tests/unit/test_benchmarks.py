"""What the benchmarks count with, and how they tell it."""

from __future__ import annotations

import http.client
import http.server
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.exchange import HEARTBEAT, Exchange, name_of
from benchmarks.lambda_calls import gb_seconds
from benchmarks.partitions import busiest_second, loads
from benchmarks.prices import PRICES, Item, total
from benchmarks.recording_proxy import RecordingProxy
from benchmarks.rendering import markdown, write_page
from benchmarks.result import Chart, Result, Table, Verdict

GET, PUT, POST, HEAD, DELETE = "GET", "PUT", "POST", "HEAD", "DELETE"
COPY = {"x-amz-copy-source": "b/k"}


@pytest.mark.parametrize(
    ("method", "target", "headers", "expected", "kind"),
    [
        (PUT, "/b/job/aws-job-stat.txt", {}, ("PutObject", "job/aws-job-stat.txt"), "s3-put"),
        (PUT, "/b/a%20b", COPY, ("CopyObject", "a b"), "s3-put"),
        (PUT, "/b/k?partNumber=1&uploadId=u", {}, ("UploadPart", "k"), "s3-put"),
        (PUT, "/b/k?partNumber=1&uploadId=u", COPY, ("UploadPartCopy", "k"), "s3-put"),
        (POST, "/b/k?uploads", {}, ("CreateMultipartUpload", "k"), "s3-put"),
        (POST, "/b/k?uploadId=u", {}, ("CompleteMultipartUpload", "k"), "s3-put"),
        (DELETE, "/b/k?uploadId=u", {}, ("AbortMultipartUpload", "k"), "s3-free"),
        (GET, "/b/k?versionId=v", {}, ("GetObject", "k"), "s3-get"),
        (HEAD, "/b/k", {}, ("HeadObject", "k"), "s3-get"),
        (DELETE, "/b/k", {}, ("DeleteObject", "k"), "s3-free"),
        (GET, "/b?versions&prefix=job%2F", {}, ("ListObjectVersions", ""), "s3-put"),
        (GET, "/b?list-type=2", {}, ("ListObjectsV2", ""), "s3-put"),
        (POST, "/b?delete", {}, ("DeleteObjects", ""), "s3-free"),
    ],
)
def test_a_request_to_s3_is_named_and_classed(
    method: str, target: str, headers: dict[str, str], expected: tuple[str, str], kind: str
) -> None:
    service, operation, key = name_of(method, target, headers)
    assert (service, (operation, key)) == ("s3", expected)
    assert Exchange("user", service, operation, key, 0.0).s3_kind == kind


@pytest.mark.parametrize(
    ("called", "expected"),
    [
        ("DynamoDB_20120810.UpdateItem", ("dynamodb", "UpdateItem", "")),
        ("AmazonSQS.SendMessage", ("sqs", "SendMessage", "")),
        ("AWSEvents.PutEvents", ("events", "PutEvents", "")),
        ("AmazonSSM.GetParameter", ("ssm", "GetParameter", "")),
    ],
)
def test_a_request_by_its_target_header(called: str, expected: tuple[str, str, str]) -> None:
    assert name_of(POST, "/", {"x-amz-target": called}) == expected


def test_what_an_idle_site_does_is_not_a_job_s() -> None:
    def of(actor: str, operation: str, key: str = "") -> bool:
        return Exchange(actor, "dynamodb", operation, key, 0.0).of_the_site

    assert of("puller", "Query")
    assert of("puller", "UpdateItem", HEARTBEAT)
    assert not of("puller", "UpdateItem", "allocation")
    assert not of("publisher", "Query")


def test_a_bill_adds_up() -> None:
    items = [Item("puller", "PutObject", "s3-put", 2), Item("publisher", "calls", "event", 1)]
    assert total(items) == pytest.approx(11.0)
    assert all(price.dollars >= 0 for price in PRICES.values())


def test_billed_time_grows_where_the_share_of_a_cpu_is_small() -> None:
    waits = gb_seconds(0.0, 0.1, 0.5)
    assert waits == pytest.approx(0.05)
    assert gb_seconds(0.01, 0.0, 0.25) == pytest.approx(gb_seconds(0.01, 0.0, 0.5))
    assert gb_seconds(0.01, 0.1, 0.25) < gb_seconds(0.01, 0.1, 0.5)


def test_fewer_shown_states_let_more_jobs_through() -> None:
    today = {load.key: load.most for load in loads(states=3, publication=0.1, at_once=1)}
    fewer = {load.key: load.most for load in loads(states=1, publication=0.1, at_once=8)}
    assert today["index list, L#site"] == 250
    assert fewer["index list, L#site"] == 500
    assert fewer["publisher, all sites"] == pytest.approx(24 * today["publisher, all sites"])


def test_signs_of_life_in_a_second_are_spread_over_partitions() -> None:
    assert 250 <= busiest_second(1_000, 1.0) < 350
    assert busiest_second(1_000, 10.0) < busiest_second(1_000, 1.0)


def _result() -> Result:
    return Result(
        question="q",
        title="A question",
        method="So.",
        tables=[Table("Numbers", ("a|b", "c"), [(1234, 0.5), ("x|y", 12.0)])],
        charts=[Chart("q", "Bars & <more>", "s", [("one", 1.0), ("nothing", 0.0)])],
        verdicts=[Verdict("at most 1", "2", False, "because"), Verdict("x", "y", None)],
        machine={"cpus": 2},
        versions={"python": "3.11"},
        date="2026-01-01T00:00:00Z",
    )


def test_a_result_survives_its_file(tmp_path: Path) -> None:
    loaded = Result.load(_result().save(tmp_path))
    assert loaded.verdicts == _result().verdicts
    assert markdown(loaded.tables[0]) == markdown(_result().tables[0])


def test_the_page_says_what_was_not_reached(tmp_path: Path) -> None:
    write_page([_result()], tmp_path / "docs" / "benchmarks.md")
    page = (tmp_path / "docs" / "benchmarks.md").read_text()
    assert "| at most 1 | 2 | **not reached** | because |" in page
    assert "not told by this run" in page
    assert "| 1,234 | 0.5 |" in page
    assert "| x\\|y | 12 |" in page
    chart = (tmp_path / "docs" / "benchmarks" / "q.svg").read_text()
    assert chart.count("<rect ") == 2
    assert "Bars &amp; &lt;more&gt;" in chart


class _Upstream(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(body[::-1])

    def do_GET(self) -> None:
        self._answer(b"there")

    def do_HEAD(self) -> None:
        self._answer(b"there")

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing on the screen."""


@pytest.fixture
def upstream() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Upstream) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_the_proxy_passes_on_and_records_who_asked_what(upstream: int) -> None:
    with RecordingProxy(upstream, ("user", "puller")) as proxy:
        for actor in ("user", "puller"):
            host = proxy.endpoint(actor).removeprefix("http://")
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.request("PUT", "/b/k", b"abc")
            assert connection.getresponse().read() == b"cba"
            connection.request("HEAD", "/b/k")
            assert connection.getresponse().read() == b""
            connection.request("GET", "/b/k")
            assert connection.getresponse().read() == b"there"
            connection.close()
        seen = [(e.actor, e.operation, e.status, e.sent, e.received) for e in proxy.exchanges]
    assert seen == [
        (actor, *rest)
        for actor in ("user", "puller")
        for rest in (
            ("PutObject", 200, 3, 3),
            ("HeadObject", 200, 0, 0),
            ("GetObject", 200, 0, 5),
        )
    ]


def test_a_round_trip_delays_only_who_is_far_away(upstream: int) -> None:
    with RecordingProxy(upstream, ("near", "far"), far=("far",)) as proxy:
        proxy.round_trip = 0.5
        took = {}
        for actor in ("near", "far"):
            begun = time.monotonic()
            host = proxy.endpoint(actor).removeprefix("http://")
            connection = http.client.HTTPConnection(host, timeout=10)
            connection.request("GET", "/b/k")
            connection.getresponse().read()
            connection.close()
            took[actor] = time.monotonic() - begun
    assert took["far"] >= 1.5  # two for the connection, one for the request
    assert took["near"] < took["far"]
