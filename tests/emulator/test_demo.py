"""`make demo`, `make up` and `make down`, as a new user runs them."""

from __future__ import annotations

import io
import os
import subprocess
import tomllib
from pathlib import Path

import pytest

from local_cloud import demo as demo_module
from local_cloud.demo import Demo
from local_cloud.emulator import Emulator
from local_cloud.errors import DemoFailed, LocalCloudError
from local_cloud.narration import Narration
from local_cloud.playground import SITE, Playground

pytestmark = pytest.mark.emulator


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_the_demonstration_carries_a_job_to_the_site_and_back(tmp_path: Path) -> None:
    playground, story = Playground.at(tmp_path / "demo"), io.StringIO()
    Demo(playground, story).run()
    told = story.getvalue()
    words = ["FILE_UPLOAD", "JOB_QUEUED", "JOB_SUBMITTED", "JOB_RUNNING", "JOB_COMPLETE"]
    lines = [line.split()[-1] for line in told.splitlines() if line.split()[-1:]]
    seen = [word for word in lines if word in words]
    assert seen == sorted(seen, key=words.index)
    assert seen[-1] == "JOB_COMPLETE"
    assert "degrees on average" in told
    assert "\033" not in told
    results = tmp_path / "demo" / "user" / "results"
    assert {path.parent.name for path in results.rglob("*.*")} == {
        "pictures",
        "results",
        "snapshots",
    }
    assert not playground.emulator.running()


def test_a_failing_job_fails_the_demonstration_and_names_the_logs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    example = tmp_path / "example"
    (example / "input").mkdir(parents=True)
    (example / "input" / "data.txt").write_text("1\n")
    (example / "aws-job-run.sh").write_text("#!/bin/sh\nexit 3\n")
    monkeypatch.setattr(demo_module, "_EXAMPLE", example)
    playground = Playground.at(tmp_path / "demo")
    with pytest.raises(DemoFailed, match=r"JOB_FAILED(.|\n)*puller\.log(.|\n)*emulator\.log"):
        Demo(playground, io.StringIO()).run()
    assert not playground.emulator.running()


def test_a_playground_gives_an_environment_for_the_aws_command(tmp_path: Path) -> None:
    playground = Playground.at(tmp_path / "playground")
    playground.start()
    try:
        deployment = playground.deploy({SITE: {}, "osaka": {}})
        assert playground.bucket() == deployment.buckets[SITE]
        pullers = [playground.settings_of(deployment, site) for site in (SITE, "osaka")]
        settings = [tomllib.loads(file.read_text(encoding="utf-8")) for file in pullers]
        buckets = [deployment.buckets[site] for site in (SITE, "osaka")]
        assert [one["bucket"] for one in settings] == buckets
        for own in ("site", "jobs_dir", "state_dir"):
            assert settings[0][own] != settings[1][own]
        done = subprocess.run(
            ["aws", "s3", "ls"],
            env=playground.environment(),
            capture_output=True,
            text=True,
            check=True,
        )
        assert playground.bucket() in done.stdout
    finally:
        playground.emulator.stop()


def test_a_new_emulator_starts_with_an_empty_journal(tmp_path: Path) -> None:
    playground = Playground.at(tmp_path / "playground")
    stale = playground.root / "puller-state" / "journal" / "of-another-table.json"
    stale.parent.mkdir(parents=True)
    stale.touch()
    playground.start()
    playground.emulator.stop()
    assert not stale.exists()


def test_before_a_deployment_the_bucket_is_an_error_that_says_what_to_run(tmp_path: Path) -> None:
    playground = Playground(tmp_path, Emulator(tmp_path / "emulator"))
    with pytest.raises(LocalCloudError, match="make up"):
        playground.bucket()


@pytest.mark.parametrize(
    ("stream", "environment", "coloured"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "dumb"}, False),
        (Terminal(), {"NO_COLOR": "1"}, False),
        (io.StringIO(), {"TERM": "xterm"}, False),
    ],
    ids=["terminal", "dumb terminal", "NO_COLOR", "file"],
)
def test_colours_are_for_terminals(
    stream: io.StringIO, environment: dict[str, str], coloured: bool
) -> None:
    Narration(stream, environment).moment("JOB_RUNNING")
    assert ("\033" in stream.getvalue()) is coloured


def test_the_demonstration_ignores_the_site_of_the_developer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBFERRY_PULLER_SITE", "real-site")
    monkeypatch.setenv("AWS_PROFILE", "real-account")
    playground = Playground.at(tmp_path / "playground")
    playground.start()
    try:
        environment = playground.environment()
    finally:
        playground.emulator.stop()
    assert "JOBFERRY_PULLER_SITE" not in environment
    assert "AWS_PROFILE" not in environment
    assert environment["PATH"].endswith(os.environ["PATH"])
