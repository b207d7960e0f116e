"""Downloads by HTTP: resumed, bounded, and only from where the site allows."""

from __future__ import annotations

import os
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from puller.artifact_hosts import ArtifactHosts
from puller.artifact_http import HttpDownloads
from puller.artifact_part import FILE, SLICE, ArtifactPart, ArtifactUnfinished
from puller.confined_tree import ConfinedTree
from puller.errors import ArtifactRefused, ArtifactUnavailable
from puller.trust.artifact_rule import policy_rule
from tests.artifact_server import ArtifactServer, artifact_server, redirect, status

CONTENT = os.urandom(700_000)


@pytest.fixture
def server() -> Iterator[ArtifactServer]:
    with artifact_server() as made:
        made.files["/file"] = CONTENT
        yield made


@pytest.fixture
def part(tmp_path: Path) -> ArtifactPart:
    return ArtifactPart(ConfinedTree(tmp_path), limit=1_000_000)


def downloads(server: ArtifactServer) -> HttpDownloads:
    return HttpDownloads(ArtifactHosts.of([f"127.0.0.1:{server.port}"]))


def arrived(part: ArtifactPart) -> bytes:
    return part.folder.read(FILE, 10_000_000)


def test_a_file_arrives_with_its_time(server: ArtifactServer, part: ArtifactPart) -> None:
    modified = downloads(server).fetch(server.url("/file"), {"X-Token": "secret"}, part)
    assert arrived(part) == CONTENT
    assert modified == 1_700_000_000
    (asked,) = server.asked
    assert asked.line == "GET /file HTTP/1.1"
    assert asked.headers["X-Token"] == "secret"
    assert asked.headers["Host"] == f"127.0.0.1:{server.port}"


def test_a_transfer_that_broke_off_goes_on_where_it_was(
    server: ArtifactServer, part: ArtifactPart
) -> None:
    server.cut_at = 300_000
    with pytest.raises(ArtifactUnavailable, match="400000 bytes before its end"):
        downloads(server).fetch(server.url("/file"), {}, part)
    downloads(server).fetch(server.url("/file"), {}, part)
    assert arrived(part) == CONTENT
    assert server.asked[1].headers["Range"] == "bytes=300000-"


def test_another_file_under_the_same_url_is_fetched_whole(
    server: ArtifactServer, part: ArtifactPart
) -> None:
    server.cut_at = 300_000
    with pytest.raises(ArtifactUnavailable):
        downloads(server).fetch(server.url("/file"), {}, part)
    server.files["/file"], server.tag = b"other", '"two"'
    downloads(server).fetch(server.url("/file"), {}, part)
    assert arrived(part) == b"other"


def test_what_is_complete_is_begun_anew(server: ArtifactServer, part: ArtifactPart) -> None:
    for _ in range(2):
        downloads(server).fetch(server.url("/file"), {}, part)
    assert arrived(part) == CONTENT


def test_without_a_validator_nothing_is_resumed(server: ArtifactServer, part: ArtifactPart) -> None:
    server.tag, server.cut_at = 'W/"weak"', 300_000
    with pytest.raises(ArtifactUnavailable):
        downloads(server).fetch(server.url("/file"), {}, part)
    downloads(server).fetch(server.url("/file"), {}, part)
    assert arrived(part) == CONTENT
    assert "Range" not in server.asked[1].headers


def test_a_long_transfer_is_left_to_the_next_pass(server: ArtifactServer, tmp_path: Path) -> None:
    times = iter([0.0, 0.0, SLICE + 1, *range(1000, 2000)])
    part = ArtifactPart(ConfinedTree(tmp_path), limit=1_000_000, clock=lambda: next(times))
    with pytest.raises(ArtifactUnfinished):
        downloads(server).fetch(server.url("/file"), {}, part)
    downloads(server).fetch(server.url("/file"), {}, part)
    assert arrived(part) == CONTENT
    assert "Range" in server.asked[1].headers


def test_a_transfer_that_cannot_be_resumed_has_an_end(
    server: ArtifactServer, tmp_path: Path
) -> None:
    server.tag = 'W/"weak"'
    times = iter([0.0, 11.0])
    part = ArtifactPart(ConfinedTree(tmp_path), 1_000_000, longest=10, clock=lambda: next(times))
    with pytest.raises(ArtifactUnavailable, match="longer than 10 s"):
        downloads(server).fetch(server.url("/file"), {}, part)


def _endless(request: BaseHTTPRequestHandler) -> None:
    request.send_response(200)
    request.end_headers()
    for _ in range(100):
        request.wfile.write(CONTENT)


@pytest.mark.parametrize("path", ["/large", "/endless"])
def test_what_is_too_large_is_refused(
    server: ArtifactServer, part: ArtifactPart, path: str
) -> None:
    server.files |= {"/large": bytes(1_000_001), "/endless": _endless}
    with pytest.raises(ArtifactRefused, match="max_artifact_bytes"):
        downloads(server).fetch(server.url(path), {}, part)


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (404, ArtifactRefused),
        (401, ArtifactRefused),
        (403, ArtifactRefused),
        (503, ArtifactUnavailable),
        (500, ArtifactUnavailable),
        (429, ArtifactUnavailable),
    ],
)
def test_an_answer_without_the_file(
    server: ArtifactServer, part: ArtifactPart, code: int, kind: type[Exception]
) -> None:
    server.files["/file"] = status(code)
    with pytest.raises(kind, match=str(code)):
        downloads(server).fetch(server.url("/file"), {}, part)


def test_nothing_is_asked_of_a_host_that_is_not_listed(
    server: ArtifactServer, part: ArtifactPart
) -> None:
    for entries in ([], ["localhost"], ["127.0.0.1"]):
        with pytest.raises(ArtifactRefused, match="artifact_hosts"):
            HttpDownloads(ArtifactHosts.of(entries)).fetch(server.url("/file"), {}, part)
    assert server.asked == []


def test_a_listed_name_that_leads_inside_is_not_connected_to(
    server: ArtifactServer, part: ArtifactPart
) -> None:
    hosts = ArtifactHosts.of([f"x.org:{server.port}"])
    http = HttpDownloads(hosts, resolve=lambda host, port: ["127.0.0.1"])
    with pytest.raises(ArtifactRefused, match=r"x\.org leads to 127\.0\.0\.1"):
        http.fetch(server.url("/file", "x.org"), {}, part)
    assert server.asked == []


def test_the_address_that_was_examined_is_the_one_connected_to(
    server: ArtifactServer, part: ArtifactPart
) -> None:
    """A name that resolves to something else the second time is not asked a second time."""
    answers = iter([["127.0.0.1"], ["192.0.2.1"]])
    hosts = ArtifactHosts.of([f"x.org:{server.port}", f"127.0.0.1:{server.port}"])
    http = HttpDownloads(hosts, resolve=lambda host, port: next(answers))
    http.fetch(server.url("/file", "x.org"), {}, part)
    assert arrived(part) == CONTENT
    assert server.asked[0].headers["Host"] == f"x.org:{server.port}"
    assert next(answers) == ["192.0.2.1"]


def test_a_redirect_is_followed_where_it_may_be(server: ArtifactServer, part: ArtifactPart) -> None:
    server.files |= {"/a": redirect("b?x=1"), "/b?x=1": redirect(server.url("/file#part"))}
    downloads(server).fetch(server.url("/a"), {"X-Token": "secret"}, part)
    assert arrived(part) == CONTENT
    assert all(asked.headers["X-Token"] == "secret" for asked in server.asked)


def test_headers_do_not_follow_a_redirect_to_another_host(
    server: ArtifactServer, part: ArtifactPart
) -> None:
    server.files["/a"] = redirect(server.url("/file", "x.org"))
    hosts = ArtifactHosts.of([f"x.org:{server.port}", f"127.0.0.1:{server.port}"])
    http = HttpDownloads(hosts, resolve=lambda host, port: ["127.0.0.1"])
    http.fetch(server.url("/a"), {"Authorization": "secret"}, part)
    assert ["Authorization" in asked.headers for asked in server.asked] == [True, False]


@pytest.mark.parametrize(
    ("target", "words"),
    [
        ("http://169.254.169.254/latest/meta-data", "does not fetch from"),
        ("http://localhost/x", "does not fetch from"),
        ("file:///etc/passwd", "no http"),
        ("http://user:pw@127.0.0.1/x", "user in it"),
        ("/a", "more than 10 redirects"),
    ],
)
def test_a_redirect_is_judged_like_a_source(
    server: ArtifactServer, part: ArtifactPart, target: str, words: str
) -> None:
    server.files["/a"] = redirect(target)
    with pytest.raises(ArtifactRefused, match=words):
        downloads(server).fetch(server.url("/a"), {}, part)


def test_each_redirect_is_judged_by_the_sites_policy_too(
    server: ArtifactServer, part: ArtifactPart, tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text('artifact_hosts = ["127.0.0.1"]')
    settings = ArtifactHosts.of([f"127.0.0.1:{server.port}", f"localhost:{server.port}"])
    http = HttpDownloads(settings, check_policy=policy_rule(policy, "dc1"))
    server.files |= {"/a": redirect("/b"), "/b": redirect(server.url("/file", "localhost"))}
    with pytest.raises(ArtifactRefused, match=r"policy of site dc1: .* come from localhost"):
        http.fetch(server.url("/a"), {}, part)
    assert [asked.line for asked in server.asked] == ["GET /a HTTP/1.1", "GET /b HTTP/1.1"]
    policy.write_text('artifact_hosts = ["127.0.0.1", "LOCALHOST"]')
    http.fetch(server.url("/a"), {}, part)
    assert arrived(part) == CONTENT
    policy.write_text("nonsense")
    with pytest.raises(ArtifactUnavailable, match="cannot be used"):
        http.fetch(server.url("/a"), {}, part)


def test_a_host_that_does_not_answer_is_no_refusal(part: ArtifactPart) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        http = HttpDownloads(ArtifactHosts.of([f"127.0.0.1:{port}"]))
        with pytest.raises(ArtifactUnavailable, match="cannot connect"):
            http.fetch(f"http://127.0.0.1:{port}/a", {}, part)


def test_a_name_that_cannot_be_resolved_is_no_refusal(part: ArtifactPart) -> None:
    def unknown(host: str, port: int) -> list[str]:
        raise socket.gaierror("no such name")

    http = HttpDownloads(ArtifactHosts.of(["x.org"]), resolve=unknown)
    with pytest.raises(ArtifactUnavailable, match="resolved"):
        http.fetch("https://x.org/a", {}, part)


def test_http_goes_through_the_proxy(server: ArtifactServer, part: ArtifactPart) -> None:
    server.files["http://x.org/a?b=1"] = CONTENT
    http = HttpDownloads(
        ArtifactHosts.of(["x.org"]), proxy=f"http://me:p%40ss@127.0.0.1:{server.port}"
    )
    http.fetch("http://x.org/a?b=1", {}, part)
    (asked,) = server.asked
    assert asked.headers["Host"] == "x.org"
    assert asked.headers["Proxy-Authorization"] == "Basic bWU6cEBzcw=="
    assert arrived(part) == CONTENT


def test_https_goes_through_a_tunnel_of_the_proxy(
    server: ArtifactServer, part: ArtifactPart
) -> None:
    http = HttpDownloads(ArtifactHosts.of(["x.org"]), proxy=f"127.0.0.1:{server.port}")
    with pytest.raises(ArtifactUnavailable, match="403"):
        http.fetch("https://x.org/a", {}, part)
    assert server.lines == ["CONNECT x.org:443 HTTP/1.0"]


def test_a_host_that_is_not_listed_is_refused_through_a_proxy_too(
    server: ArtifactServer, part: ArtifactPart
) -> None:
    http = HttpDownloads(ArtifactHosts.of(["x.org"]), proxy=f"127.0.0.1:{server.port}")
    with pytest.raises(ArtifactRefused, match="artifact_hosts"):
        http.fetch("http://10.0.0.1/a", {}, part)
    assert server.lines == []


# ---- TLS ----


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """The certificate of x.org, signed by itself, with its key behind it."""
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate")
    file = tmp_path / "x.org.pem"
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
    names = ["-subj", "/CN=x.org", "-addext", "subjectAltName=DNS:x.org"]
    written = ["-keyout", str(file), "-out", str(tmp_path / "certificate")]
    subprocess.run([*command, *names, *written], check=True, capture_output=True)
    file.write_bytes(file.read_bytes() + (tmp_path / "certificate").read_bytes())
    return file


@pytest.fixture
def secure(certificate: Path) -> Iterator[ArtifactServer]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with artifact_server(context) as made:
        made.files["/file"] = CONTENT
        yield made


def over_tls(server: ArtifactServer, name: str, bundle: Path | None) -> HttpDownloads:
    hosts = ArtifactHosts.of([f"{name}:{server.port}", f"127.0.0.1:{server.port}"])
    trusted = None if bundle is None else str(bundle)
    return HttpDownloads(hosts, ca_bundle=trusted, resolve=lambda host, port: ["127.0.0.1"])


def test_a_file_arrives_over_tls(
    secure: ArtifactServer, certificate: Path, part: ArtifactPart
) -> None:
    http = over_tls(secure, "x.org", certificate)
    http.fetch(f"https://x.org:{secure.port}/file", {}, part)
    assert arrived(part) == CONTENT


def test_a_certificate_that_is_not_trusted_or_of_another_name(
    secure: ArtifactServer, certificate: Path, part: ArtifactPart
) -> None:
    for name, bundle in (("x.org", None), ("y.org", certificate)):
        with pytest.raises(ArtifactUnavailable, match=f"certificate of {name} is not trusted"):
            over_tls(secure, name, bundle).fetch(f"https://{name}:{secure.port}/file", {}, part)
    assert secure.asked == []


def test_tls_is_not_left_by_a_redirect(
    secure: ArtifactServer, server: ArtifactServer, certificate: Path, part: ArtifactPart
) -> None:
    secure.files["/a"] = redirect(server.url("/file"))
    http = over_tls(secure, "x.org", certificate)
    with pytest.raises(ArtifactRefused, match="without TLS"):
        http.fetch(f"https://x.org:{secure.port}/a", {}, part)
    assert server.asked == []
