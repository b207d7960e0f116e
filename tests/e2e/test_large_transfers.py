"""A large file up and down by the command line: interrupted on both ways, gone on with, verified.

`TRANSFER_BYTES=1073741824` makes it a file of 1 GiB.
"""

from __future__ import annotations

import hashlib
import os
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore.client
import pytest

from jobferry import file_commands, s3_upload, script_document, submit_command, url_transfer
from jobferry.command import main
from jobferry.interface import Progress
from jobferry.job import SizedProgress
from tests.conftest import DeployedStack
from tests.e2e.site import Site
from tests.patience import PATIENCE

pytestmark = pytest.mark.emulator

MIB = 1024**2
SIZE = int(os.environ.get("TRANSFER_BYTES", 45 * MIB))
PART = 8 * MIB
PARTS = -(-SIZE // PART)


class BrokenOff:
    """Progress bars, one of which presses Ctrl-C once so many bytes were transferred."""

    def __init__(self) -> None:
        self.after = 0
        self.seen = 0

    @contextmanager
    def bar(self, _label: str) -> Iterator[SizedProgress]:
        def sized(_total: int) -> Progress:
            def progress(size: int) -> None:
                self.seen += size
                if self.after and self.seen >= self.after:
                    raise KeyboardInterrupt

            return progress

        yield sized

    def run(self, *arguments: str, after: int = 0) -> int:
        self.after, self.seen = after, 0
        return main(arguments)


@pytest.fixture
def shell(deployed: DeployedStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> BrokenOff:
    """A shell in `tmp_path` that leads to the site."""
    for name, value in deployed.emulator.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("JOBFERRY_STACK", deployed.deployment.stack)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.chdir(tmp_path)
    broken = BrokenOff()
    monkeypatch.setattr(submit_command, "progress_bar", broken.bar)
    monkeypatch.setattr(file_commands, "progress_bar", broken.bar)
    return broken


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """One entry for each part that has arrived."""
    found: list[str] = []
    call, put = botocore.client.BaseClient._make_api_call, url_transfer._put

    def called(self: Any, operation: str, arguments: Any) -> Any:
        answer = call(self, operation, arguments)
        if operation == "UploadPart":
            found.append("s3")
        return answer

    def has_put(http: Any, url: str, headers: Any, piece: Any, source: Path) -> str | None:
        failure = put(http, url, headers, piece, source)
        if failure is None:  # else it was on its way when the other one was interrupted
            found.append("api")
        return failure

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", called)
    monkeypatch.setattr(url_transfer, "_put", has_put)
    monkeypatch.setattr(script_document, "PART", PART)
    monkeypatch.setattr(s3_upload, "TRANSFERS", 2)
    monkeypatch.setattr(url_transfer, "_AT_ONCE", 2)
    return found


def study(home: Path, size: int, script: str) -> str:
    """A directory with a large file in it; the file's checksum."""
    (home / "study").mkdir()
    (home / "study/aws-job-run.sh").write_text(script)
    digest = hashlib.sha256()
    with (home / "study/big").open("wb") as big:
        for start in range(0, size, MIB):
            block = os.urandom(min(MIB, size - start))
            digest.update(block)
            big.write(block)
    return digest.hexdigest()


def of_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def until_told(site: Site, job: str) -> None:
    """Over the API there is no mark: the word comes when the job is published."""
    deadline = time.monotonic() + PATIENCE
    while "aws-job-stat.txt" not in site.keys(job):
        assert time.monotonic() < deadline
        time.sleep(0.2)


@pytest.mark.parametrize("via", ["s3", "api"])
def test_a_large_file_is_interrupted_up_and_down_and_arrives_whole(
    shell: BrokenOff,
    site: Site,
    sent: list[str],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    via: str,
) -> None:
    digest = study(tmp_path, SIZE, "#!/bin/sh\nsha256sum big\ncp big copy\n")
    assert shell.run("submit", "study", "--via", via, after=SIZE // 2) == 130
    assert "the same command goes on" in capfd.readouterr().err
    arrived = len(sent)
    assert 0 < arrived < PARTS
    assert shell.run("submit", "study", "--via", via) == 0
    assert len(sent) == PARTS, "a part that had arrived was sent again"
    job = capfd.readouterr().out.strip()
    assert shell.seen == SIZE + (tmp_path / "study/aws-job-run.sh").stat().st_size
    assert list((tmp_path / "state/jobferry/uploads").iterdir()) == []

    until_told(site, job)
    assert site.run_to_end(job, seconds=PATIENCE + SIZE // MIB) == "JOB_COMPLETE"
    assert site.get(f"{job}/aws-job-stdout.txt").decode().split()[0] == digest
    get = ("get", job, "-o", "results", "--only", "copy", "--via", via)
    assert shell.run(*get, after=SIZE // 2) == 130
    (part,) = (tmp_path / "results").glob(".jobferry-*.part")
    assert SIZE // 4 < part.stat().st_size < SIZE
    assert shell.run(*get) == 0
    assert of_file(tmp_path / "results/copy") == digest


def test_what_changed_meanwhile_is_sent_again_and_another_submission_is_another_job(
    shell: BrokenOff, site: Site, sent: list[str], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    study(tmp_path, 3 * PART, "#!/bin/sh\nexec sha256sum big\n")
    big = tmp_path / "study/big"
    submit = ("submit", "study", "--via", "s3")
    assert shell.run(*submit, after=PART) == 130
    before = big.stat()
    with big.open("r+b") as file:
        file.write(b"changed")
    os.utime(big, ns=(before.st_atime_ns, before.st_mtime_ns))  # as if nobody had touched it
    capfd.readouterr()
    assert shell.run(*submit) == 0
    first = capfd.readouterr().out.strip()
    assert shell.run(*submit) == 0
    second = capfd.readouterr().out.strip()
    assert first != second
    for job in (first, second):
        assert site.run_to_end(job) == "JOB_COMPLETE"
        assert site.get(f"{job}/aws-job-stdout.txt").decode().split()[0] == of_file(big)


def test_a_file_that_arrived_before_the_next_broke_off_is_not_sent_again(
    shell: BrokenOff, site: Site, sent: list[str], tmp_path: Path
) -> None:
    study(tmp_path, 2 * PART, "#!/bin/sh\n")
    (tmp_path / "study/other").write_bytes(os.urandom(2 * PART))
    job = f"transfer-parts/{uuid.uuid4().hex[:8]}"
    submit = ("submit", "study", "--job", job, "--via", "s3")
    assert shell.run(*submit, after=3 * PART) == 130
    assert shell.run(*submit) == 0
    assert len(sent) <= 5
    for name in ("big", "other"):
        assert site.get(f"{job}/{name}") == (tmp_path / "study" / name).read_bytes()


@pytest.mark.parametrize("via", ["s3", "api"])
@pytest.mark.parametrize("algorithm", ["SHA256", "CRC32"])
def test_an_object_of_parts_is_compared_with_the_checksum_of_its_parts(
    shell: BrokenOff,
    site: Site,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    via: str,
    algorithm: str,
) -> None:
    job = f"transfer-parts/{uuid.uuid4().hex[:8]}"
    site.upload(job, "#!/bin/sh\n")
    site.wait_for(job, "JOB_QUEUED")
    content = os.urandom(2 * PART + 4)
    target = {"Bucket": site.bucket, "Key": f"{job}/parts"}
    upload = site.s3.create_multipart_upload(**target, ChecksumAlgorithm=algorithm)["UploadId"]
    parts = []
    for number, start in enumerate(range(0, len(content), PART), 1):
        put = site.s3.upload_part(
            **target,
            UploadId=upload,
            PartNumber=number,
            Body=content[start : start + PART],
            ChecksumAlgorithm=algorithm,
        )
        name = f"Checksum{algorithm}"
        parts.append({"PartNumber": number, "ETag": put["ETag"], name: put[name]})
    site.s3.complete_multipart_upload(**target, UploadId=upload, MultipartUpload={"Parts": parts})
    get = ("get", job, "-o", "results", "--only", "parts", "--via", via)
    assert shell.run(*get, after=PART) == 130
    (part,) = (tmp_path / "results").glob(".jobferry-*.part")
    with part.open("r+b") as file:
        file.write(b"x" * 16)  # the disk has another opinion
    capfd.readouterr()
    assert shell.run(*get) == 1
    assert "not the checksum that S3 states" in capfd.readouterr().err
    assert part.stat().st_size == 0
    assert shell.run(*get) == 0
    assert (tmp_path / "results/parts").read_bytes() == content
    assert shell.run("stop", job, "--via", "s3") == 0
