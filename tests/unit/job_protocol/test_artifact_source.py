"""What an artifact's URL means, and which ones are refused before anything is fetched."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.artifact_plan import ArtifactPlan, Checksum, read_artifact
from job_protocol.artifact_source import (
    ArtifactProblem,
    GitSource,
    HttpSource,
    S3Source,
    own_object,
)
from job_protocol.job_settings import Artifact
from job_protocol.object_keys import input_path_problems

SHA = "ab" * 32


def read(source: str, **more: Any) -> ArtifactPlan:
    return read_artifact(Artifact(source=source, **more))


@pytest.mark.parametrize(
    ("source", "origin"),
    [
        ("https://x.org/a.jar", HttpSource("https://x.org/a.jar")),
        ("HTTPS://x.org/a.jar", HttpSource("HTTPS://x.org/a.jar")),
        ("http::https://x.org/a.jar", HttpSource("https://x.org/a.jar")),
        (
            "https://x.org/a?X-Sig=a%2Fb&archive=false&n=1&checksum=md5:" + "0" * 32,
            HttpSource("https://x.org/a?X-Sig=a%2Fb&n=1"),
        ),
        (
            "https://jar.s3-ap-northeast-1.amazonaws.com/pass.txt",
            HttpSource("https://jar.s3-ap-northeast-1.amazonaws.com/pass.txt"),
        ),
        ("s3://bucket/a/b c.txt", S3Source("bucket", "a/b c.txt")),
        ("s3://bucket/a?version=v1", S3Source("bucket", "a", "v1")),
        ("s3::https://s3.amazonaws.com/bucket/a/b", S3Source("bucket", "a/b")),
        (
            "s3::https://s3-eu-west-1.amazonaws.com/bucket/a",
            S3Source("bucket", "a", None, "eu-west-1"),
        ),
        (
            "s3::https://bu.cket.s3.eu-west-1.amazonaws.com/a%20b",
            S3Source("bu.cket", "a b", None, "eu-west-1"),
        ),
        ("s3::https://bucket.s3.amazonaws.com/a", S3Source("bucket", "a")),
        ("git::https://x.org/a.git", GitSource("https://x.org/a.git")),
        ("git::https://x.org/a.git//s?ref=v1.0&depth=1", GitSource("https://x.org/a.git", "v1.0")),
    ],
)
def test_where_it_comes_from(source: str, origin: object) -> None:
    assert read(source).origin == origin


@pytest.mark.parametrize(
    ("source", "more", "folder", "file"),
    [
        ("https://x/d/a.jar?q=1", {}, "local", "a.jar"),
        ("https://x/d/a.jar", {"destination": "lib/x/"}, "lib/x", "a.jar"),
        ("https://x/d/a.jar", {"destination": "."}, "", "a.jar"),
        ("https://x/d/a.jar", {"destination": "./"}, "", "a.jar"),
        ("https://x/d/a.jar", {"destination": "./a/b"}, "a/b", "a.jar"),
        ("https://x/d/a.jar?filename=b.jar", {}, "local", "b.jar"),
        ("https://x/d/a.jar", {"options": {"filename": "b.jar"}}, "local", "b.jar"),
        ("https://x/d/a.jar", {"mode": "file", "destination": "lib/b"}, "lib", "b"),
        ("https://x/d/a.jar", {"mode": "file", "destination": "b"}, "", "b"),
        ("https://x/d/a%20b", {}, "local", "a b"),
        ("https://x/d/a.tar.gz", {}, "local", None),
        ("https://x/d/a.tar.gz?archive=false", {}, "local", "a.tar.gz"),
        ("https://x/d/a.tar.gz", {"mode": "file", "destination": "b"}, "", "b"),
        ("https://x/d/a.txt.gz", {}, "local", "a.txt"),
        ("https://x/d/a", {"options": {"archive": "gz"}}, "local", "a"),
        ("s3://bucket/a/", {}, "local", None),
        ("s3://bucket/a", {"mode": "dir"}, "local", None),
        ("s3://bucket/a.zip", {"mode": "dir"}, "local", None),
        ("git::https://x/a.git", {"destination": "src"}, "src", None),
    ],
)
def test_where_it_goes(source: str, more: dict[str, Any], folder: str, file: str | None) -> None:
    plan = read(source, **more)
    assert (plan.folder, plan.file) == (folder, file)


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("a.tar", "tar"),
        ("a.tgz", "tar.gz"),
        ("a.tar.bz2", "tar.bz2"),
        ("a.txz", "tar.xz"),
        ("a.zip", "zip"),
        ("a.bz2", "bz2"),
        ("a.jar", None),
        ("a.zip?archive=0", None),
        ("download?archive=zip", "zip"),
        ("download?archive=tgz", "tar.gz"),
        ("a.zip?archive=tar", "tar"),
    ],
)
def test_how_it_is_unpacked(name: str, form: str | None) -> None:
    assert read(f"https://x/{name}").form == form
    assert read(f"s3://bucket/{name}").form == form


@pytest.mark.parametrize(
    ("stated", "algorithm"),
    [
        (f"sha256:{SHA}", "sha256"),
        (SHA.upper(), "sha256"),
        ("sha512:" + SHA * 2, "sha512"),
        ("md5:" + "0" * 32, "md5"),
        ("0" * 40, "sha1"),
    ],
)
def test_a_checksum_wherever_it_is_stated(stated: str, algorithm: str) -> None:
    expected = Checksum(algorithm, stated.rpartition(":")[2].lower())
    assert read("https://x/a", checksum=stated).checksum == expected
    assert read("https://x/a", options={"checksum": stated}).checksum == expected
    assert read(f"https://x/a?checksum={stated}").checksum == expected


def test_options_are_parameters_of_the_source() -> None:
    http = read("https://x/a?n=1", options={"m": "a b"})
    assert http.origin == HttpSource("https://x/a?n=1&m=a+b")
    git = read("git::https://x/a", options={"ref": "dev"})
    assert git.origin == GitSource("https://x/a", "dev")


@pytest.mark.parametrize(
    ("source", "more", "words"),
    [
        ("github.com/a/b", {}, "no scheme"),
        ("a.txt", {}, "no scheme"),
        ("file:///etc/passwd", {}, "sources are"),
        ("file::https://x/a", {}, "sources are"),
        ("ftp://x/a", {}, "sources are"),
        ("git::ssh://git@x/a", {}, "sources are"),
        ("git::ext::sh -c x", {}, "no scheme"),
        ("git::http://x/a", {}, "sources are"),
        ("git::file:///x", {}, "sources are"),
        ("hg::https://x/a", {}, "sources are"),
        ("https://u:p@x/a", {}, "Authorization"),
        ("https://x/a#b", {}, "from #"),
        ("https://x/a b", {}, "percent-encode"),
        ("https://x/日本", {}, "percent-encode"),
        ("https://x\n/a", {}, "percent-encode"),
        ("https://x:99999/a", {}, "no URL"),
        ("https://[::1/a", {}, "no URL"),
        ("https:///a", {}, "host"),
        ("https://evil.com\\.x.org/a", {}, "no name of a host"),
        ("https://evil.com;.x.org/a", {}, "no name of a host"),
        ("https://x.org%2eevil.com/a", {}, "no name of a host"),
        ("https://[fe80::1%25eth0]/a", {}, "no name of a host"),
        ("https://x/", {}, "names no file"),
        ("https://x", {}, "names no file"),
        ("https://x/a%2Fb?filename=c/d", {}, "without a slash"),
        ("https://x/a?filename=..", {}, "'..'"),
        ("https://x/aws-job-stat.txt", {}, "protocol"),
        ("https://x/a/%0A", {}, "control character"),
        ("https://x/a", {"destination": "../b"}, "'..'"),
        ("https://x/a", {"destination": "/b"}, "empty path segment"),
        ("https://x/a", {"destination": "aws-job-x"}, "protocol"),
        ("https://x/a", {"destination": ".", "options": {"filename": "aws-job-x"}}, "protocol"),
        ("https://x/a", {"mode": "dir"}, "one file"),
        ("https://x/a", {"mode": "tree"}, "mode 'tree'"),
        ("https://x/a", {"mode": "file"}, "path of the file"),
        ("s3://bucket/a/", {"mode": "file", "destination": "b"}, "folder"),
        ("git::https://x/a", {"checksum": SHA}, "one file"),
        ("https://x/a", {"checksum": "file:https://x/sums"}, "itself"),
        ("https://x/a", {"checksum": "sha256:12"}, "sha256:HEX"),
        ("https://x/a", {"checksum": "crc:12"}, "sha256:HEX"),
        (f"https://x/a?checksum={SHA}", {"checksum": "0" * 64}, "twice"),
        ("https://x/a.tar.zst", {}, "archive=false"),
        ("https://x/a?archive=rar", {}, "known are"),
        ("https://x/a//b", {}, "only an archive"),
        ("https://x/a.zip//../b", {}, "'..'"),
        ("s3://BUCKET/a", {}, "no name of a bucket"),
        ("s3::https://minio.example.org/b/a", {}, "no host of Amazon S3"),
        ("s3://bucket/a?region=x/y", {}, "AWS region"),
        ("s3://bucket/a?aws_access_key_id=A", {}, "credentials"),
        ("https://x/a", {"options": {"sshkey": "A"}}, "credentials"),
        ("s3://bucket/a?n=1", {}, "unknown parameter"),
        ("git::https://x/a?archive=zip", {}, "unknown parameter"),
        ("git::https://x/a?ref=--upload-pack=x", {}, "no branch"),
        ("git::https://x/a?ref=a..b", {}, "no branch"),
        ("git::https://x/a?depth=x", {}, "no number"),
        ("s3://bucket/a", {"headers": {"A": "b"}}, "headers are for"),
        ("https://x/a", {"headers": {"A b": "b"}}, "characters"),
        ("https://x/a", {"headers": {"A": "b\r\nC: d"}}, "characters"),
        ("https://x/a", {"headers": {"Host": "b"}}, "own"),
    ],
)
def test_what_can_never_be_fetched_is_told(source: str, more: dict[str, Any], words: str) -> None:
    with pytest.raises(ArtifactProblem, match=words):
        read(source, **more)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://own.s3.eu-west-1.amazonaws.com/a%20b", S3Source("own", "a b", None, "eu-west-1")),
        ("https://own.s3.amazonaws.com/a", S3Source("own", "a")),
        ("https://own.s3.amazonaws.com/a?X-Amz-Signature=1", None),
        ("http://own.s3.amazonaws.com/a", None),
        ("https://other.s3.amazonaws.com/a", None),
        ("https://own.s3.amazonaws.com.example.org/a", None),
    ],
)
def test_a_plain_url_of_the_own_bucket(url: str, found: S3Source | None) -> None:
    assert own_object(url, "own") == found


_parts = st.lists(
    st.sampled_from(
        [
            "git::",
            "s3::",
            "https://",
            "s3://",
            "x.org",
            "/",
            "//",
            "..",
            "a",
            ".tar.gz",
            "?",
            "archive=",
            "filename=",
            "ref=",
            "&",
            "%2e%2e",
            "%2F",
            "\x00",
            "é",
            ":",
            "@",
            "-",
        ]
    ),
    max_size=12,
).map("".join)


@given(_parts, _parts, st.sampled_from(["any", "file", "dir"]))
def test_whatever_is_accepted_stays_in_the_job_directory(
    source: str, destination: str, mode: str
) -> None:
    try:
        plan = read(source, destination=destination, mode=mode)
    except ArtifactProblem:
        return
    path = "/".join(filter(None, [plan.folder, plan.file or "x"]))
    assert input_path_problems("job", [path]) == []
    assert not plan.subfolder or input_path_problems("job", [plan.subfolder]) == []
    if isinstance(plan.origin, GitSource):
        assert plan.origin.url.startswith("https://")
        assert not (plan.origin.ref or "").startswith("-")
