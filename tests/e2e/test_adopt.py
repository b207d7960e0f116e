"""An installation is lost in the middle of a job: a new one adopts it, and the script runs once."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from job_protocol import dynamodb_json, table_keys
from tests.conftest import DeployedStack
from tests.e2e.site import Site
from tests.patience import PATIENCE
from tests.schedulers.slurm_cluster import SlurmCluster

pytestmark = pytest.mark.emulator

HOUR = 3600


class Lossy:
    """A site whose installation gets lost, as its administrator and its table see it."""

    def __init__(self, site: Site, dynamodb: Any) -> None:
        self.site = site
        self.dynamodb = dynamodb
        self.job = f"lost {time.time_ns()}/一"
        self.ran = site.home / "ran"
        self.go = site.home / "go"

    # ---- the job ----

    def upload(self, code: int = 0) -> None:
        """A job that counts its runs and waits for leave to end."""
        self.site.upload(
            self.job,
            f"#!/bin/bash\necho run >> {self.ran}\nuntil [ -e {self.go} ]; do sleep 0.1; done\n"
            f"echo result > out.txt\nexit {code}\n",
        )
        self.site.wait_for(self.job, "JOB_QUEUED")

    @property
    def id(self) -> str:
        return str(self.site.details(self.job)["allocation"]["id"])

    @property
    def control(self) -> Path:
        return self.site.jobs_dir / ".jobferry/alloc" / self.id

    def until(self, reached: Callable[[], bool], seconds: float = PATIENCE) -> None:
        deadline = time.monotonic() + seconds
        while not reached():
            assert time.monotonic() < deadline, self.site.log
            time.sleep(0.1)

    def end_of(self, word: str) -> None:
        self.go.touch()
        assert self.site.run_to_end(self.job) == word
        assert self.ran.read_text() == "run\n"
        assert self.site.get(f"{self.job}/out.txt") == b"result\n"

    # ---- the table ----

    def item(self) -> dict[str, Any]:
        key = table_keys.allocation(self.site.name, self.id)
        answer = self.dynamodb.get_item(
            TableName=self.site.table,
            Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
            ConsistentRead=True,
        )
        return dynamodb_json.decode(answer["Item"])

    def change(self, *gone: str, **attributes: object) -> None:
        """Put the allocation into a state in which a crash can leave it."""
        item = {name: value for name, value in self.item().items() if name not in gone}
        self.dynamodb.put_item(
            TableName=self.site.table, Item=dynamodb_json.encode(item | attributes)
        )

    def is_silent_for(self, seconds: int) -> None:
        """The installation that holds the allocation gave its last sign of life so long ago."""
        key = table_keys.heartbeat(self.site.name, self.item()["installation"])
        self.dynamodb.update_item(
            TableName=self.site.table,
            Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
            UpdateExpression="SET #at = :at",
            ExpressionAttributeNames={"#at": "at"},
            ExpressionAttributeValues={":at": {"N": str(int(time.time()) - seconds)}},
        )

    # ---- the installation ----

    def lose(self) -> None:
        shutil.rmtree(self.site.home / "state")
        self.is_silent_for(HOUR + 1)

    def adopt(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [*self.site.puller, "adopt", *arguments],
            env=self.site.cron_environment(),
            cwd=self.site.home,
            capture_output=True,
            text=True,
            timeout=200,
            check=False,
        )
        assert done.returncode == expect, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    def claim_without_staging(self) -> None:
        """A pass that cannot stage: a file is where the jobs directory should be."""
        self.site.jobs_dir.touch()
        self.site.pull()
        self.site.jobs_dir.unlink()
        item = self.item()
        assert item["client_status"] == "starting"
        assert "submitting" not in item


@pytest.fixture
def lossy(site: Site, deployed: DeployedStack) -> Lossy:
    return Lossy(site, deployed.client("dynamodb"))


def test_lost_before_the_submission(lossy: Lossy) -> None:
    lossy.upload()
    lossy.claim_without_staging()
    lossy.lose()
    assert "its submission had not begun" in lossy.adopt(lossy.id).stdout
    lossy.end_of("JOB_COMPLETE")


def test_lost_while_the_job_runs(lossy: Lossy) -> None:
    lossy.upload(code=3)
    lossy.site.pull()
    lossy.until(lossy.ran.exists)
    lossy.lose()
    before = lossy.item()
    shown = json.loads(lossy.adopt("--json").stdout)["allocations"]
    assert [(row["allocation"], row["job"]) for row in shown] == [(lossy.id, lossy.job)]
    would = lossy.adopt(lossy.id, "--dry-run").stdout
    assert "would be adopted" in would
    assert lossy.item() == before
    lossy.adopt(lossy.id)
    assert lossy.item()["installation"] != before["installation"]
    assert lossy.adopt("--json").stdout.count(lossy.id) == 0
    lossy.site.pull()
    assert not lossy.site.word(lossy.job).startswith("JOB_FAILED")
    lossy.end_of("JOB_FAILED")
    assert lossy.site.details(lossy.job)["allocation"]["exit_code"] == 3


def test_lost_before_the_schedulers_answer_was_noted(lossy: Lossy) -> None:
    lossy.upload()
    lossy.site.pull()
    lossy.until(lossy.ran.exists)
    lossy.change("scheduler", "scheduler_id", "submitted_at", client_status="starting")
    lossy.lose()
    refused = lossy.adopt(lossy.id, "--not-submitted", expect=1)
    assert "it was submitted" in refused.stderr
    lossy.adopt(lossy.id)
    lossy.end_of("JOB_COMPLETE")


def test_lost_after_the_end_with_its_exit_file_on_disk(lossy: Lossy) -> None:
    lossy.upload(code=7)
    lossy.site.pull()
    lossy.go.touch()
    lossy.until((lossy.control / "exit").exists)
    lossy.lose()
    lossy.adopt(lossy.id)
    lossy.end_of("JOB_FAILED")
    assert lossy.site.details(lossy.job)["allocation"]["exit_code"] == 7


def test_a_submission_without_a_trace_needs_the_operators_word(lossy: Lossy) -> None:
    lossy.upload()
    lossy.claim_without_staging()
    lossy.change(submitting=True)
    lossy.lose()
    before = lossy.item()
    refused = lossy.adopt(lossy.id, expect=1)
    assert "--not-submitted" in refused.stderr
    assert lossy.item() == before
    lossy.adopt(lossy.id, "--not-submitted")
    assert "submitting" not in lossy.item()
    lossy.end_of("JOB_COMPLETE")


def test_an_installation_that_lives_keeps_its_allocations(lossy: Lossy) -> None:
    lossy.upload()
    lossy.site.pull()
    shutil.rmtree(lossy.site.home / "state")
    lossy.is_silent_for(HOUR // 2)
    before = lossy.item()
    refused = lossy.adopt(lossy.id, "--json", expect=1)
    assert "60 minutes" in json.loads(refused.stdout)["allocations"][0]["problem"]
    assert lossy.item() == before
    lossy.is_silent_for(HOUR)
    lossy.adopt(lossy.id)
    lossy.end_of("JOB_COMPLETE")


def test_an_adoption_that_died_before_its_journal_was_written_is_repeated(lossy: Lossy) -> None:
    lossy.upload()
    lossy.site.pull()
    lossy.until(lossy.ran.exists)
    lossy.lose()
    lossy.adopt(lossy.id)
    (lossy.site.home / "state/journal" / f"{lossy.id}.json").unlink()
    lossy.site.pull()
    lossy.adopt(lossy.id)
    assert "holds it already" in lossy.adopt(lossy.id, expect=1).stderr
    lossy.end_of("JOB_COMPLETE")


def test_a_holder_that_comes_back_is_fenced_and_may_take_it_back_later(lossy: Lossy) -> None:
    lossy.upload()
    lossy.site.pull()
    lossy.until(lossy.ran.exists)
    state, kept = lossy.site.home / "state", lossy.site.home / "kept"
    shutil.copytree(state, kept)
    lossy.lose()
    lossy.adopt(lossy.id)
    lossy.site.pull()
    shutil.rmtree(state)
    kept.rename(state)  # the first one was not lost after all, and now the second one is
    lossy.go.touch()
    lossy.until((lossy.control / "exit").exists)
    lossy.site.pull()
    assert "names another claim" in lossy.site.log
    assert "out.txt" not in lossy.site.keys(lossy.job)
    assert "leave it to that one" in lossy.adopt(lossy.id, expect=1).stderr
    lossy.is_silent_for(HOUR)
    assert lossy.id in lossy.adopt().stdout
    lossy.adopt(lossy.id)
    lossy.end_of("JOB_COMPLETE")


def test_a_stop_that_nobody_answered_is_answered_after_the_adoption(lossy: Lossy) -> None:
    lossy.upload()
    lossy.claim_without_staging()
    lossy.lose()
    lossy.site.mark(lossy.job, "JOB_STOP")
    lossy.until(lambda: lossy.item()["desired"] == "stop")
    lossy.adopt(lossy.id)
    assert lossy.site.run_to_end(lossy.job) == "JOB_STOPPED"
    assert not lossy.ran.exists()


def test_the_same_installation_at_work_on_another_host_is_left_alone(lossy: Lossy) -> None:
    lossy.upload()
    lossy.claim_without_staging()
    key = table_keys.heartbeat(lossy.site.name, lossy.item()["installation"])
    lossy.dynamodb.update_item(
        TableName=lossy.site.table,
        Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
        UpdateExpression="SET host = :host",
        ExpressionAttributeValues={":host": {"S": "elsewhere"}},
    )
    before = lossy.item()
    assert "host elsewhere runs this installation" in lossy.adopt(lossy.id, expect=1).stderr
    assert lossy.item() == before


def test_what_is_no_allocation_of_the_site_is_told(lossy: Lossy) -> None:
    unknown = "00000000-0000-5000-8000-000000000000"
    assert "no such allocation" in lossy.adopt(unknown, expect=1).stderr
    assert "not an allocation's id" in lossy.adopt("job0001", expect=2).stderr
    assert "one allocation" in lossy.adopt("--not-submitted", expect=2).stderr


@pytest.mark.slurm
def test_lost_while_the_job_waits_on_slurm(
    deployed: DeployedStack, slurm_cluster: SlurmCluster, tmp_path: Path
) -> None:
    site = Site.of(
        deployed,
        tmp_path / "home",
        scheduler="slurm",
        environment=dict(slurm_cluster.environment),
        extra_settings={"submit_args": ["--hold"]},
    )
    lossy = Lossy(site, deployed.client("dynamodb"))
    lossy.upload()
    site.wait_for(lossy.job, "JOB_SUBMITTED", between=site.pull)
    job = lossy.item()["scheduler_id"]
    lossy.change("scheduler", "scheduler_id", "submitted_at", client_status="starting")
    lossy.lose()
    assert f"slurm lists it as {job}" in lossy.adopt(lossy.id).stdout
    subprocess.run(
        ["scontrol", "release", job],
        env={"PATH": "/usr/bin:/bin", **slurm_cluster.environment},
        check=True,
    )
    lossy.end_of("JOB_COMPLETE")
