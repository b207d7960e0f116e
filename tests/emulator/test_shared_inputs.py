"""Shared inputs at admission: their versions are pinned, and every problem is told at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Entry, Manifest
from local_cloud.emulator import Emulator
from tests.emulator.control_plane import UserOfASite

pytestmark = pytest.mark.emulator


@pytest.fixture
def user(emulator: Emulator, plain_table: str, plain_bucket: str) -> UserOfASite:
    return UserOfASite(
        emulator.client("dynamodb"), emulator.client("s3"), plain_table, plain_bucket
    )


def _submit(user: UserOfASite, *rows: dict[str, str], **files: bytes) -> None:
    user.put("job0001/aws-job.json", json.dumps({"name": "heat", "inputs": rows}).encode())
    user.uploads("job0001", **files)


def _shared(user: UserOfASite) -> dict[str, Entry]:
    packed = user.allocation("job0001").manifest
    assert packed is not None
    return {e.path: e for e in Manifest.unpack(packed).entries if e.key is not None}


def test_the_newest_version_at_admission_is_pinned_and_an_exact_one_is_taken(
    user: UserOfASite,
) -> None:
    old = user.put("shared/格子/big.h5", b"old")
    new = user.put("shared/格子/big.h5", b"newer")
    _submit(
        user,
        {"from": "shared/格子/big.h5", "to": "mesh/big.h5"},
        {"from": "shared/格子/big.h5", "to": "before/", "version": old},
    )
    user.put("shared/格子/big.h5", b"not admitted")
    key = "shared/格子/big.h5"
    assert _shared(user) == {
        "mesh/big.h5": Entry("mesh/big.h5", new, 5, key),
        "before/big.h5": Entry("before/big.h5", old, 3, key),
    }
    assert set(user.inputs("job0001")) == {
        "aws-job-run.sh",
        "aws-job.json",
        "before/big.h5",
        "mesh/big.h5",
    }
    assert user.allocation("job0001").settings == JobSettings(name="heat"), "the manifest has them"


def test_a_folder_brings_another_jobs_results_as_they_are_now(user: UserOfASite) -> None:
    for path in ("aws-job-run.sh", "aws-job-stat.json", "aws-job-stdout.txt", "out/", "out/gone"):
        user.put(f"before/{path}")
    final = user.put("before/out/final.dat", b"42")
    user.s3.delete_object(Bucket=user.bucket, Key="before/out/gone")
    user.put("before2/other")
    _submit(user, {"from": "before/", "to": "restart"})
    assert set(_shared(user)) == {"restart/out/", "restart/out/final.dat"}
    assert _shared(user)["restart/out/final.dat"].version == final


def test_every_problem_is_told_at_once(user: UserOfASite) -> None:
    user.put("shared/gone", b"x")
    user.s3.delete_object(Bucket=user.bucket, Key="shared/gone")
    marker = user.s3.list_object_versions(Bucket=user.bucket)["DeleteMarkers"][0]["VersionId"]
    user.put("shared/a", b"x")
    rows = [
        {"from": "shared/gone", "to": "a1"},
        {"from": "shared/never", "to": "a2"},
        {"from": "shared/a", "to": "a3", "version": "no-version"},
        {"from": "shared/gone", "to": "a4", "version": marker},
        {"from": "shared/no/", "to": "a5"},
        {"from": "_jobferry/manifests/", "to": "a6"},
        {"from": "other/aws-job-stat.json", "to": "a7"},
        {"from": "shared/a", "to": "../out"},
        {"from": "shared/a", "to": "in.txt"},
        {"from": "shared/a", "to": "data"},
        {"from": "shared/a", "to": "aws-job-run.sh"},
        {"from": "shared/a", "to": "x/aws-job-stat.txt"},
    ]
    _submit(user, *rows, **{"in.txt": b"x", "data/x": b"x"})
    told = [(reason.key, reason.problem) for reason in user.job("job0001").reasons]
    settings = [text for key, text in told if key == "job0001/aws-job.json"]
    assert {text.split(":")[0] for text in settings} == {f"inputs.{n}.from" for n in range(7)}
    assert {key for key, _ in told} == {
        "job0001/aws-job.json",
        "job0001/../out",
        "job0001/in.txt",
        "job0001/data",
        "job0001/aws-job-run.sh",
        "job0001/x/aws-job-stat.txt",
    }


def test_the_sites_limits_count_them(user: UserOfASite) -> None:
    user.put("shared/big", b"x" * 600_000)
    _submit(user, {"from": "shared/big", "to": "a"}, {"from": "shared/big", "to": "b"})
    assert "this site takes at most 1000000" in user.reasons("job0001")["job0001/"]
    for number in range(50):
        user.put(f"shared/many/{number}")
    _submit(user, {"from": "shared/many/", "to": "many"})
    assert "the upload has 52 files" in user.reasons("job0001")["job0001/"]


def test_a_folder_that_is_too_large_is_not_read_on(
    user: UserOfASite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lambdas.shared_reader.most_versions", lambda _limits: 3)
    for number in range(4):
        user.put(f"shared/many/{number}")
    _submit(user, {"from": "shared/many/", "to": "many"})
    reasons: dict[str, Any] = user.reasons("job0001")
    assert "more than 3 object versions" in reasons["job0001/aws-job.json"]
