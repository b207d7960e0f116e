"""What is signed of inputs that jobs share."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from job_protocol.job_settings import SharedInput
from job_protocol.shared_places import place_of
from job_protocol.signed_manifest import SignedInput
from jobferry.errors import SigningFailed, UploadRefused
from jobferry.shared_inputs import plan_shared
from jobferry.signed_shared import SharedObject, kept_sha256, signed_shared
from jobferry.upload_plan import Upload, plan_upload

SUM = hashlib.sha256(b"x").hexdigest()


def _upload(path: Path, *rows: dict[str, str]) -> Upload:
    path.mkdir(exist_ok=True)
    (path / "aws-job-run.sh").write_text("#!/bin/sh\n")
    return plan_upload("job", path, {}, rows)


def _nothing(row: SharedInput) -> Iterable[SharedObject]:
    raise AssertionError(row)


def test_what_lies_here_is_hashed_here(tmp_path: Path) -> None:
    (tmp_path / "mesh").write_text("x")
    (tmp_path / "mesh").chmod(0o640)
    (tmp_path / "tree/sub").mkdir(parents=True)
    (tmp_path / "tree/a").write_text("x")
    plan = plan_shared([(tmp_path / "mesh", "m"), (tmp_path / "tree", "t/")], "bucket")
    upload = _upload(tmp_path / "job", *plan.inputs)
    found = {one.path: one for one in signed_shared(upload, plan.uploads, _nothing)}
    assert found["m"] == SignedInput("m", SUM, 0o640)
    assert found["t/a"].sha256 == SUM
    assert found["t/sub/"] == SignedInput("t/sub/")
    assert len(found) == 3


def test_the_bucket_is_asked_for_the_rest(tmp_path: Path) -> None:
    upload = _upload(tmp_path / "job", {"from": "a/", "to": "b"})

    def look(row: SharedInput) -> list[SharedObject]:
        assert row == SharedInput(source="a/", to="b")
        return [SharedObject("a/c", SUM, None), SharedObject("a/aws-job-run.sh", SUM, None)]

    assert signed_shared(upload, (), look) == (SignedInput("b/c", SUM),)
    with pytest.raises(SigningFailed, match="there is no object 'a/'"):
        signed_shared(upload, (), lambda row: [])


def test_a_row_that_names_the_bucket_is_signed_like_its_key(tmp_path: Path) -> None:
    upload = _upload(tmp_path / "job", {"from": "s3://bucket/a/", "to": "b"})

    def look(row: SharedInput) -> list[SharedObject]:
        assert row == SharedInput(source="a/", to="b")
        return [SharedObject("a/c", SUM, None)]

    assert signed_shared(upload, (), look, "bucket") == (SignedInput("b/c", SUM),)


def test_settings_that_cannot_be_read(tmp_path: Path) -> None:
    folder = tmp_path / "job"
    folder.mkdir()
    (folder / "aws-job.json").write_text("[]")
    with pytest.raises(UploadRefused):
        signed_shared(_upload(folder), (), _nothing)
    (folder / "aws-job.json").unlink()
    assert signed_shared(_upload(folder), (), _nothing) == ()


def test_only_a_checksum_of_the_whole_counts() -> None:
    value = base64.b64encode(bytes.fromhex(SUM)).decode()
    assert kept_sha256({"ChecksumSHA256": value}) == SUM
    assert kept_sha256({"ChecksumSHA256": value, "ChecksumType": "FULL_OBJECT"}) == SUM
    assert kept_sha256({"ChecksumSHA256": f"{value}-3"}) is None
    assert kept_sha256({"ChecksumSHA256": value, "ChecksumType": "COMPOSITE"}) is None
    assert kept_sha256({"ChecksumCRC32": "x"}) is None


@pytest.mark.parametrize(
    ("source", "to", "key", "place"),
    [
        ("a/b", "c", "a/b", "c"),
        ("a/b", "c/", "a/b", "c/b"),
        ("a/b", ".", "a/b", "b"),
        ("a/", "c", "a/b/d", "c/b/d"),
        ("a/", ".", "a/b", "b"),
        ("a/", "c/", "a/x/aws-job-stat.txt", None),
        ("a/", "c/", "a/", None),
    ],
)
def test_places(source: str, to: str, key: str, place: str | None) -> None:
    assert place_of(source, to, key) == place
