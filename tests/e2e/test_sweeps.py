"""Sweeps on the real stack: values from the client's table to each element, and back by element."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from tests.conftest import DeployedStack
from tests.e2e.site import Site
from tests.e2e.test_arrays import jobferry
from tests.schedulers.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.emulator

VALUES = [
    ("0.1", "plain"),
    ("0.2", "$(touch pwned) `id`, \"quoted\" 'so'"),
    ("0.3", "two\nlines\n"),
    ("0.4", "計算 ジョブ"),
]
SCRIPT = """\
#!/bin/bash
here=elements/$JOBFERRY_ARRAY_INDEX
mkdir -p "$here"
printf '%s|%s' "$alpha" "$LABEL" >"$here/seen.txt"
if [ -e fixed ]; then exit 0; fi
[ "$alpha" != 0.3 ] || exit 5
"""


def _submit(site: Site, home: Path, job: str) -> None:
    (home / "study").mkdir()
    (home / "study/aws-job-run.sh").write_text(SCRIPT)
    with (home / "values.csv").open("w", newline="", encoding="utf-8-sig") as table:
        csv.writer(table).writerows([("alpha", "LABEL"), *VALUES])
    values = str(home / "values.csv")
    told = jobferry(site, "submit", str(home / "study"), "--job", job, "--sweep", values)
    assert told == f"{job}\n"


def _check_values(site: Site, job: str) -> None:
    for index, row in enumerate(VALUES):
        assert site.get(f"{job}/elements/{index}/seen.txt").decode() == "|".join(row)
    assert not (site.jobs_dir / job / "pwned").exists()


def test_a_sweep_its_failed_element_and_its_retry(site: Site, tmp_path: Path) -> None:
    job = "studies/first"
    _submit(site, tmp_path, job)
    assert site.run_to_end(job) == "JOB_FAILED"
    _check_values(site, job)
    assert "4: 3 complete, 1 failed" in jobferry(site, "status", job)
    jobferry(site, "get", job, "--elements", "failed", "-o", str(tmp_path / "failed"))
    fetched = {path.name for path in (tmp_path / "failed").rglob("*") if path.is_file()}
    assert fetched == {"seen.txt"}
    assert (tmp_path / "failed/elements/2/seen.txt").read_text() == "0.3|two\nlines\n"

    # An element may have overwritten the table: the retry has the user's own again.
    (site.jobs_dir / job / "values.csv").write_text("alpha,LABEL\nx,y\n")
    (site.jobs_dir / job / "fixed").touch()
    jobferry(site, "retry", job, "--failed")
    site.wait_for(job, "JOB_QUEUED")
    assert site.run_to_end(job) == "JOB_COMPLETE"
    _check_values(site, job)


@pytest.mark.slurm
def test_a_sweep_on_slurm(
    deployed: DeployedStack, slurm_cluster: SlurmCluster, tmp_path: Path
) -> None:
    site = Site.of(
        deployed,
        tmp_path / "home",
        scheduler="slurm",
        environment=dict(slurm_cluster.environment),
    )
    _submit(site, tmp_path, "studies/slurm")
    assert site.run_to_end("studies/slurm") == "JOB_FAILED"
    _check_values(site, "studies/slurm")
    assert site.details("studies/slurm")["allocation"]["array"]["not_complete"] == "2"
