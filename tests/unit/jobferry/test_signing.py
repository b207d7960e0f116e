"""Signing on the user's side, with the real `ssh-keygen`."""

from __future__ import annotations

import hashlib
import re
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from job_protocol.signed_manifest import SignedInput, SignedManifest
from jobferry.command import main
from jobferry.errors import SigningFailed, UploadRefused
from jobferry.signing import Signing, default_key, signed_jobs
from jobferry.stated_settings import Settings
from jobferry.upload_plan import Upload, plan_upload
from tests.unit.jobferry.signers import make_key, verified

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
RECIPE = re.compile(r"<!-- recipe: tests run it -->\n```sh\n(.*?)```", re.DOTALL)
DOCS = Path(__file__).parents[3] / "docs/signing.md"


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("keys") / "alice")


@pytest.fixture
def simulation(tmp_path: Path) -> Path:
    directory = tmp_path / "simulation"
    (directory / "data").mkdir(parents=True)
    (directory / "out").mkdir()
    (directory / "aws-job-run.sh").write_bytes(b"#!/bin/sh\n")
    (directory / "aws-job-run.sh").chmod(0o755)
    (directory / "data/入力 1.txt").write_bytes(b"1\n")
    (directory / "data/入力 1.txt").chmod(0o640)
    return directory


def _upload(directory: Path, **settings: Any) -> Upload:
    return plan_upload("job0001", directory, Settings(**settings))


def test_a_submission_is_signed_as_it_is_uploaded(simulation: Path, key: Path) -> None:
    signed = Signing(key=key).applied_to(_upload(simulation, queue="long"), "dc1", NOW)
    assert signed.signed is not None
    assert signed.settings is not None
    assert verified(signed.signed.document, signed.signed.signature, key)
    manifest = SignedManifest.parse(signed.signed.document)
    assert (manifest.site, manifest.expires - manifest.signed) == ("dc1", 7 * 24 * 3600)
    jobs = manifest.jobs[0]
    assert (jobs.ids, jobs.patterns, jobs.runs) == (("job0001",), (), 1)
    assert jobs.inputs == (
        SignedInput("aws-job-run.sh", _sum(b"#!/bin/sh\n"), 0o755),
        SignedInput("aws-job.json", _sum(signed.settings)),
        SignedInput("data/入力 1.txt", _sum(b"1\n"), 0o640),
        SignedInput("out/"),
    )


def test_each_retry_is_a_run(simulation: Path) -> None:
    assert signed_jobs(_upload(simulation, retries=3), ("a",), (), None).runs == 4
    assert signed_jobs(_upload(simulation, retries=3), ("a",), (), 2).runs == 2
    (simulation / "aws-job.json").write_text('{"retries": {"attempts": 1}}')
    assert signed_jobs(_upload(simulation), ("a",), (), None).runs == 2
    (simulation / "aws-job.json").write_text('{"colour": 1}')
    with pytest.raises(UploadRefused, match="colour"):
        signed_jobs(_upload(simulation), ("a",), (), None)


def test_an_earlier_signature_is_replaced(simulation: Path, key: Path) -> None:
    (simulation / "aws-job-signed.txt").write_text("old")
    signed = Signing(key=key).applied_to(_upload(simulation), "dc1", NOW)
    assert "aws-job-signed.txt" not in {file.path for file in signed.files}


def test_without_a_key_it_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SigningFailed, match="ssh-keygen -t ed25519"):
        default_key(tmp_path, {})
    (tmp_path / ".ssh").mkdir()
    (tmp_path / ".ssh/id_rsa").touch()
    assert default_key(tmp_path, {}) == tmp_path / ".ssh/id_rsa"
    assert default_key(tmp_path, {"JOBFERRY_SIGNING_KEY": "/k"}) == Path("/k")


def test_a_key_that_does_not_sign(simulation: Path, tmp_path: Path) -> None:
    with pytest.raises(SigningFailed, match="nowhere"):
        Signing(key=tmp_path / "nowhere").applied_to(_upload(simulation), "dc1", NOW)


def test_directories_of_a_sweep_get_one_signature(simulation: Path, key: Path) -> None:
    other = simulation.parent / "other"
    other.mkdir()
    (other / "aws-job-run.sh").write_bytes(b"#!/bin/bash\n")
    options = ["--prefix", "sweep/", "--key", str(key), "--site", "osaka"]
    assert main(["sign", str(simulation), str(other), *options]) == 0
    document = (simulation / "aws-job-signed.txt").read_bytes()
    assert (other / "aws-job-signed.txt").read_bytes() == document
    assert verified(document, (other / "aws-job-signed.txt.sig").read_bytes(), key)
    manifest = SignedManifest.parse(document)
    assert manifest.site == "osaka"
    assert [jobs.ids for jobs in manifest.jobs] == [("sweep/simulation",), ("sweep/other",)]
    assert [len(jobs.inputs) for jobs in manifest.jobs] == [3, 1]


def test_the_documented_shell_recipe_signs_the_same(simulation: Path, key: Path) -> None:
    found = RECIPE.search(DOCS.read_text())
    assert found is not None
    (simulation / "aws-job-stat.txt").write_text("FILE_UPLOAD\n")
    script = found[1].replace("$HOME/.ssh/id_ed25519", str(key))
    subprocess.run(["bash", "-euo", "pipefail", "-c", script], cwd=simulation, check=True)
    document = (simulation / "aws-job-signed.txt").read_bytes()
    assert verified(document, (simulation / "aws-job-signed.txt.sig").read_bytes(), key)
    manifest = SignedManifest.parse(document)
    assert manifest.covering("job0001") is not None
    assert [(one.path, one.sha256, one.mode) for one in manifest.jobs[0].inputs] == [
        ("aws-job-run.sh", _sum(b"#!/bin/sh\n"), None),
        ("data/入力 1.txt", _sum(b"1\n"), None),
    ]
