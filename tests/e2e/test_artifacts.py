"""A job that names artifacts runs with them; a site that does not allow them says so."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.artifact_server import ArtifactServer, artifact_server, status
from tests.e2e.site import PATIENCE, Site
from tests.unit.puller.hostile_archives import header, link, tar

pytestmark = pytest.mark.emulator

TOOLS = tar(
    header("tools-1.0/", b"5", mode=0o755),
    ("tools-1.0/share/words", b"hello\n"),
    link("tools-1.0/words", "share/words"),
)


@pytest.fixture
def server() -> Iterator[ArtifactServer]:
    with artifact_server() as made:
        made.files["/tools.tar.gz"] = TOOLS
        yield made


def allowing(site: Site, server: ArtifactServer) -> Site:
    return replace(site, extra_settings={"artifact_hosts": [f"127.0.0.1:{server.port}"]})


def submit(site: Site, job: str, script: str, *artifacts: dict[str, str]) -> None:
    settings = json.dumps({"artifacts": artifacts}).encode()
    site.upload(job, script, {"aws-job.json": settings})


def test_a_job_runs_with_its_artifacts(site: Site, server: ArtifactServer) -> None:
    site = allowing(site, server)
    site.put("shared/data.txt", "data\n")
    digest = hashlib.sha256(TOOLS).hexdigest()
    submit(
        site,
        "artifacts",
        "#!/bin/sh\ncat opt/tools-1.0/words local/data.txt > out.txt\n",
        {
            "source": server.url("/tools.tar.gz"),
            "destination": "opt",
            "checksum": f"sha256:{digest}",
        },
        {"source": f"s3://{site.bucket}/shared/data.txt"},
    )
    assert site.run_to_end("artifacts") == "JOB_COMPLETE"
    assert site.get("artifacts/out.txt") == b"hello\ndata\n"
    pushed = site.keys("artifacts") - {"aws-job-stat.txt", "aws-job-stat.json"}
    assert pushed == {"aws-job-run.sh", "aws-job.json", "out.txt"}
    assert site.details("artifacts")["allocation"]["results"]["left_out"] == 0


def test_a_site_that_lists_no_host_fetches_nothing(site: Site, server: ArtifactServer) -> None:
    submit(site, "refused", "#!/bin/sh\ntouch ran\n", {"source": server.url("/tools.tar.gz")})
    assert site.run_to_end("refused") == "JOB_FAILED"
    reason = site.details("refused")["allocation"]["reason"]
    assert "artifact 1 (http://127.0.0.1" in reason
    assert f'add "127.0.0.1:{server.port}" to artifact_hosts' in reason
    assert server.asked == []
    assert not (site.jobs_dir / "refused" / "ran").exists()


def test_a_source_that_can_never_be_fetched_is_rejected_with_the_upload(site: Site) -> None:
    submit(site, "rejected", "#!/bin/sh\n", {"source": "file:///etc/passwd"})
    assert site.wait_for("rejected", "FILE_REJECTED") == "FILE_REJECTED"
    (problem,) = site.details("rejected")["reasons"]
    assert problem["problem"].startswith("artifacts.0: ")


def test_a_job_waits_for_a_server_that_is_down_and_says_why(
    site: Site, server: ArtifactServer
) -> None:
    site = allowing(site, server)
    server.files["/tools.tar.gz"] = status(503)
    submit(site, "waits", "#!/bin/sh\n", {"source": server.url("/tools.tar.gz")})
    site.wait_for("waits", "JOB_QUEUED")
    deadline = time.monotonic() + PATIENCE
    while "503" not in str(site.details("waits")["allocation"].get("reason")):
        assert time.monotonic() < deadline, site.log
        site.pull()
    asked = len(server.asked)
    site.pull()
    assert len(server.asked) == asked
    assert site.word("waits") == "JOB_QUEUED"
    assert site.log.count("503") == 1
