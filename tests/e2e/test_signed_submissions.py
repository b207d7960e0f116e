"""What `jobferry submit --sign` sends over the API comes to the site as it was signed."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.conftest import DeployedStack
from tests.e2e.shell import Shell
from tests.e2e.trust import Trust

pytestmark = pytest.mark.emulator


@pytest.fixture
def shell(deployed: DeployedStack, trust: Trust) -> Shell:
    return Shell(deployed, trust.site, trust.home)


def _directory(trust: Trust, name: str) -> Path:
    source = trust.home / "cloud" / name
    source.mkdir(parents=True)
    (source / "aws-job-run.sh").write_text(trust.script(name))
    return source


def _job() -> str:
    return f"signed-{uuid.uuid4().hex[:8]}"


def test_a_signed_job_with_settings_and_a_large_file_runs(shell: Shell, trust: Trust) -> None:
    job = _job()
    source = _directory(trust, job)
    (source / "aws-job.json").write_text('{"time_limit":   "1h", "exclude": ["\u8a08\u7b97"]}')
    with (source / "large").open("wb") as large:
        large.truncate(4 * 1024**2)
    signed = ("--sign", str(trust.keys["alice"]), "--sign-runs", "2")
    shell.run("submit", str(source), "--job", job, "--priority", "70", *signed)
    assert trust.site.run_to_end(job) == "JOB_COMPLETE", trust.site.details(job)
    assert trust.ledger == [job]
    # Once more, without a word of settings: that there are none is signed too.
    (source / "aws-job.json").unlink()
    shell.run("submit", str(source), "--job", job, *signed)
    assert trust.site.run_to_end(job) == "JOB_COMPLETE", trust.site.details(job)
    assert trust.ledger == [job, job]


def test_a_directory_that_was_signed_before_is_submitted_as_it_is(
    shell: Shell, trust: Trust
) -> None:
    job = _job()
    source = _directory(trust, job)
    (source / "aws-job.json").write_text('{"priority":70}')
    shell.run("sign", str(source), "--job", job, "--key", str(trust.keys["alice"]))
    shell.run("submit", str(source), "--job", job)
    assert trust.site.run_to_end(job) == "JOB_COMPLETE", trust.site.details(job)
    assert trust.ledger == [job]


def test_a_sweep_runs_with_the_values_that_were_signed(shell: Shell, trust: Trust) -> None:
    job = _job()
    source = _directory(trust, job)
    (source / "aws-job-run.sh").write_text(trust.script(f"{job}-$alpha"))
    (trust.home / "values.csv").write_text("alpha\n1\n2\n")
    signed = ("--sign", str(trust.keys["alice"]))
    shell.run("submit", str(source), "--job", job, "--sweep", "values.csv", *signed)
    assert trust.site.run_to_end(job) == "JOB_COMPLETE", trust.site.details(job)
    assert sorted(trust.ledger) == [f"{job}-1", f"{job}-2"]


def test_a_job_is_signed_for_one_site(shell: Shell, trust: Trust) -> None:
    source = _directory(trust, _job())
    signed = ("--sign", str(trust.keys["alice"]))
    said = shell.run("submit", str(source), "--site", "dc1,osaka", *signed, expect=2)
    assert "a job is signed for one site: state one of dc1, osaka" in said
