"""Shared inputs end to end: one request for all jobs, pinned versions, a changed cache noticed."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import botocore.client
import pytest

from puller.settings import load_settings
from tests.e2e.site import Site

pytestmark = pytest.mark.emulator

KEY = "shared/mesh/big.h5"
RUN = "#!/bin/bash\nsha256sum < mesh/big.h5 > sum.txt\n"
_INPUTS = json.dumps({"inputs": [{"from": KEY, "to": "mesh/"}]})


@pytest.fixture
def gets(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The keys of all objects that this process reads."""
    made: list[str] = []
    original: Any = vars(botocore.client.BaseClient)["_make_api_call"]

    def counted(self: Any, operation: str, arguments: Any) -> Any:
        if operation == "GetObject":
            made.append(arguments["Key"])
        return original(self, operation, arguments)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", counted)
    return made


def _pass_here(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pass in this process, whose requests can be counted."""
    from puller.site_pass import SitePass
    from puller.start import open_workplace

    with monkeypatch.context() as patch:
        for name, value in site.cron_environment().items():
            patch.setenv(name, value)
        settings = load_settings(site.settings_file, {}, {})
        settings.state.mkdir(parents=True, exist_ok=True)
        settings.locks.mkdir(parents=True, exist_ok=True)
        outcome = SitePass(open_workplace(settings), socket.gethostname()).run()
        assert not outcome.unreachable
        assert not outcome.refused


def _submit(site: Site, job_id: str, script: str = RUN) -> None:
    site.put(f"{job_id}/aws-job.json", _INPUTS)
    site.upload(job_id, script)
    site.wait_for(job_id, "JOB_QUEUED")


def test_jobs_that_are_claimed_together_fetch_one_shared_file_with_one_request(
    site: Site, monkeypatch: pytest.MonkeyPatch, gets: list[str]
) -> None:
    site.put(KEY, b"mesh" * 1000)
    jobs = [f"together{number}" for number in range(3)]
    for job_id in jobs:
        _submit(site, job_id)
    site.put(KEY, b"overwritten after the admission")
    gets.clear()
    _pass_here(site, monkeypatch)
    assert gets.count(KEY) == 1
    assert gets.count("together0/aws-job-run.sh") == 1
    for job_id in jobs:
        assert site.run_to_end(job_id) == "JOB_COMPLETE"
        assert site.keys(job_id) >= {"sum.txt"}
        assert "mesh/big.h5" not in site.keys(job_id)
        assert (site.jobs_dir / job_id / "mesh/big.h5").read_bytes() == b"mesh" * 1000
    assert len({site.get(f"{job_id}/sum.txt") for job_id in jobs}) == 1


def test_a_cached_file_that_a_job_changed_is_noticed_and_one_that_it_replaced_is_its_result(
    site: Site,
) -> None:
    original = b"mesh" * 1000
    site.put(KEY, original)
    _submit(site, "spoils", "#!/bin/bash\nchmod u+w mesh/big.h5; printf X >> mesh/big.h5\n")
    assert site.run_to_end("spoils") == "JOB_COMPLETE"
    assert site.get("spoils/mesh/big.h5") == original + b"X"
    _submit(site, "next", "#!/bin/bash\ncp mesh/big.h5 seen; cp seen n; mv -f n mesh/big.h5\n")
    assert site.run_to_end("next") == "JOB_COMPLETE"
    assert site.get("next/seen") == original
    assert site.log.count("fetching it again") == 1
    assert site.get("next/mesh/big.h5") == original, "it is a new file of the job's"
    _submit(site, "last")
    assert site.run_to_end("last") == "JOB_COMPLETE"
    assert "mesh/big.h5" not in site.keys("last")
    assert (site.jobs_dir / "last/mesh/big.h5").read_bytes() == original
    assert site.log.count("is in the cache") == 2
    site.put(KEY, b"second")
    site.mark("last", "FILE_UPLOAD")
    site.wait_for("last", "JOB_QUEUED")
    assert site.run_to_end("last") == "JOB_COMPLETE"
    assert (site.jobs_dir / "last/mesh/big.h5").read_bytes() == b"second"


def test_a_file_that_travels_in_parts_and_a_folder_arrive_whole(site: Site, tmp_path: Path) -> None:
    large = bytes(range(256)) * 40_000
    site.put("shared/set/large.bin", large)
    site.put("shared/set/sub/small.txt", b"small\n")
    site.put("shared/set/none/", b"")
    inputs = {"inputs": [{"from": "shared/set/", "to": "."}]}
    for job_id in ("parts1", "parts2"):
        site.put(f"{job_id}/aws-job.json", json.dumps(inputs))
        site.upload(job_id, "#!/bin/bash\ncat sub/small.txt; ls -d none; wc -c < large.bin\n")
    for job_id in ("parts1", "parts2"):
        assert site.run_to_end(job_id) == "JOB_COMPLETE"
        assert site.get(f"{job_id}/aws-job-stdout.txt") == f"small\nnone\n{len(large)}\n".encode()
        assert (site.jobs_dir / job_id / "large.bin").read_bytes() == large
    first, second = (site.jobs_dir / job / "large.bin" for job in ("parts1", "parts2"))
    assert first.samefile(second)
