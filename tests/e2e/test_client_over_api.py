"""The Python client over the API: a job's way, and transfers that break off and go on."""

from __future__ import annotations

import hashlib
import os
import uuid
from pathlib import Path
from typing import Any

import boto3
import pytest

from jobferry import Client, JobActive, JobNotFound, script_document, url_transfer
from jobferry.api_address import Address
from jobferry.api_client import ApiClient, signer
from jobferry.download import RESUMED
from jobferry.errors import CloudRefused, ConfigurationError, TransferFailed
from jobferry.interface import Progress
from jobferry.job import silent
from tests.conftest import DeployedStack
from tests.e2e.site import Site

pytestmark = pytest.mark.emulator

MIB = 1024**2


@pytest.fixture
def session(deployed: DeployedStack, monkeypatch: pytest.MonkeyPatch) -> boto3.Session:
    for name, value in deployed.emulator.environment().items():
        monkeypatch.setenv(name, value)
    return boto3.Session()


@pytest.fixture
def client(deployed: DeployedStack, session: boto3.Session) -> Client:
    return Client(stack=deployed.deployment.stack, site="dc1", via="api", session=session)


@pytest.fixture
def job_id() -> str:
    return f"計算 A/{uuid.uuid4().hex[:12]}"


def simulation(home: Path, script: str, **files: bytes) -> Path:
    folder = home / "simulation"
    folder.mkdir()
    (folder / "aws-job-run.sh").write_text(script)
    (folder / "empty").mkdir()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def finish(site: Site, client: Client, job_id: str) -> str:
    for _ in range(60):
        site.pull()
        report = client.job(job_id).status()
        if report.dead:
            return str(report.outcome)
    raise AssertionError(f"{report}\n{site.log}")


class BreaksOff:
    """Ctrl-C, once so many bytes have been transferred."""

    def __init__(self, after: int) -> None:
        self.left = after
        self.seen = 0

    def __call__(self, _total: int) -> Progress:
        def progress(size: int) -> None:
            self.seen += size
            self.left -= size
            if self.left < 0:
                raise KeyboardInterrupt

        return progress


def counted() -> BreaksOff:
    return BreaksOff(2**60)


def test_a_job_goes_its_way_over_the_api(
    client: Client, site: Site, job_id: str, tmp_path: Path
) -> None:
    script = "#!/bin/sh\ncat in mesh/m\nls -d empty\nmkdir out\necho 42 >out/answer\n"
    folder = simulation(tmp_path, script, **{"in": b"1\n"})
    (tmp_path / "mesh").mkdir()
    (tmp_path / "mesh/m").write_text("shared\n")
    with pytest.raises(JobNotFound, match="no job"):
        client.job(job_id).status()
    job = client.submit(folder, job=job_id, priority=70, inputs=[(tmp_path / "mesh", "mesh")])
    assert job.id == job_id
    report = job.status()
    assert (report.status, report.details["site"]) == ("pending", "dc1")
    with pytest.raises(JobActive, match="still active"):
        client.submit(folder, job=job_id)
    assert finish(site, client, job_id) == "complete"
    assert job.wait().exit_code == 0
    assert job.stdout() == "1\nshared\nempty\n"
    assert job.stderr() == ""
    got = job.get(tmp_path / "results", only=["out/**", "in"])
    assert (tmp_path / "results/out/answer").read_text() == "42\n"
    assert got.files == 2
    kinds = [event.type for event in job.events()]
    assert (kinds[0], kinds[-1]) == ("Submitted", "Finished")
    assert job_id in [report.job for report in client.jobs("計算 A/").reports]
    assert site.details(job_id)["submitter"].startswith("arn:aws:iam::")
    assert client.submit(folder, job=job_id).stop().dead is False


def test_transfers_that_break_off_go_on_and_are_verified(
    client: Client, site: Site, job_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script_document, "PART", 5 * MIB)
    monkeypatch.setattr(url_transfer, "_AT_ONCE", 1)
    content = os.urandom(22 * MIB)
    folder = simulation(tmp_path, "#!/bin/sh\nsha256sum big\ncp big copy\n", big=content)
    with pytest.raises(KeyboardInterrupt):
        client.submit(folder, progress=BreaksOff(12 * MIB))
    again = counted()
    sent: list[int] = []
    put = url_transfer._put

    def seen(http: Any, url: str, headers: Any, piece: Any, source: Path) -> str | None:
        sent.append(piece.seek(0, 2))
        piece.seek(0)
        return put(http, url, headers, piece, source)

    monkeypatch.setattr(url_transfer, "_put", seen)
    job = client.submit(folder, progress=again)
    assert sum(sent) == 12 * MIB  # two parts of 5 MiB had arrived
    assert again.seen == len(content) + (folder / "aws-job-run.sh").stat().st_size
    assert finish(site, client, job.id) == "complete"
    digest = hashlib.sha256(content).hexdigest()
    assert job.stdout().split()[0] == digest

    target = tmp_path / "results"
    assert len(content) > RESUMED
    with pytest.raises(KeyboardInterrupt):
        job.get(target, only=["copy"], progress=BreaksOff(9 * MIB))
    (part,) = target.glob(".jobferry-*")
    assert part.stat().st_size > 8 * MIB
    got = job.get(target, only=["copy"])
    assert (got.files, got.size) == (1, len(content))
    assert hashlib.sha256((target / "copy").read_bytes()).hexdigest() == digest
    assert [path.name for path in target.iterdir()] == ["copy"]


def test_a_file_that_changed_in_transit_is_thrown_away(
    client: Client, site: Site, job_id: str, tmp_path: Path
) -> None:
    content = os.urandom(RESUMED)
    job = client.submit(simulation(tmp_path, "#!/bin/sh\n", big=content), job=job_id)
    assert finish(site, client, job_id) == "complete"
    target = tmp_path / "results"
    with pytest.raises(KeyboardInterrupt):
        job.get(target, only=["big"], progress=BreaksOff(MIB))
    (part,) = target.glob(".jobferry-*")
    part.write_bytes(b"x" * part.stat().st_size)
    with pytest.raises(TransferFailed, match="not the checksum"):
        job.get(target, only=["big"])
    job.get(target, only=["big"])
    assert (target / "big").read_bytes() == content


def test_a_token_reaches_its_own_door(
    deployed: DeployedStack,
    client: Client,
    session: boto3.Session,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    api = ApiClient(Address(deployed.deployment.api_urls[""], None, stated=True), signer(session))
    made = api.write(
        "POST", "/v1/acl/token", "make", {"Name": "r", "Scopes": ["read"]}, repeatable=False
    )
    monkeypatch.setenv("JOBFERRY_TOKEN", made["SecretID"])
    reader = Client(stack=deployed.deployment.stack, via="auto", session=session)
    assert reader.jobs(limit=1).reports is not None
    script = tmp_path / "job.sh"
    script.write_text("#!/bin/sh\n")
    with pytest.raises(CloudRefused, match="Permission denied"):
        reader.submit(script, progress=silent)
    monkeypatch.setenv("JOBFERRY_TOKEN", "jobferry_wrong")
    with pytest.raises(ConfigurationError, match="token"):  # and not over S3 instead
        Client(stack=deployed.deployment.stack, via="auto", session=session).jobs()
    with pytest.raises(ConfigurationError, match="token"):
        Client(address=deployed.deployment.api_urls["Tokens"]).jobs()
