"""Jobs that wait for others, on the real stack with the real puller."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.site import Site
from tests.e2e.test_arrays import jobferry

pytestmark = pytest.mark.emulator


def _after(job: str, on: str) -> dict[str, bytes]:
    return {"aws-job.json": json.dumps({"depends_on": [{"job": job, "on": on}]}).encode()}


def test_a_chain_runs_in_order_and_what_can_never_start_ends(site: Site, tmp_path: Path) -> None:
    site.upload("chain/mesh", "#!/bin/sh\necho mesh >> ~/order\n")
    site.wait_for("chain/mesh", "JOB_QUEUED")
    site.upload(
        "chain/solve", "#!/bin/sh\necho solve >> ~/order\nexit 3\n", _after("chain/mesh", "afterok")
    )
    site.wait_for("chain/solve", "JOB_QUEUED")
    site.upload("chain/plot", "#!/bin/sh\necho plot >> ~/order\n", _after("chain/solve", "afterok"))
    site.wait_for("chain/plot", "JOB_QUEUED")
    script = tmp_path / "clean.sh"
    script.write_text("#!/bin/sh\necho clean >> ~/order\n")
    jobferry(site, "submit", str(script), "--job", "chain/clean", "--after-notok", "chain/plot")
    site.wait_for("chain/clean", "JOB_QUEUED")
    assert site.details("chain/solve")["message"] == "waits for chain/mesh (afterok)"

    assert site.run_to_end("chain/clean") == "JOB_COMPLETE"
    assert [site.word(f"chain/{name}") for name in ("mesh", "solve", "plot")] == [
        "JOB_COMPLETE",
        "JOB_FAILED",
        "JOB_STOPPED",
    ]
    assert (site.home / "order").read_text().split() == ["mesh", "solve", "clean"]
    assert site.details("chain/plot")["message"] == (
        "stopped (dependency chain/solve never satisfied: afterok, but its outcome is failed)"
    )
