"""The gate: what passes, what is refused, and a process that dies at any write."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from job_protocol.job_settings import JobSettings
from job_protocol.signed_manifest import SignedInput, SignedJobs
from jobferry.signing import Signing
from jobferry.stated_settings import Settings
from jobferry.upload_plan import plan_upload
from puller.errors import NotNow, Refused
from puller.journal import Phase
from puller.trust.gate import overlap
from puller.trust.policy import PolicyBroken
from tests.unit.puller.trust.signed_site import SignedSite


def test_what_is_signed_passes_and_comes_to_its_place(site: SignedSite) -> None:
    gate, record = site.gate(), site.record(settings=JobSettings(queue="forged", priority=99))
    site.stage(gate, record, site.signed(files={"data/a.txt": "a"}, queue="long"))
    assert not (site.settings.jobs_dir / "job").exists()
    admitted = gate.admit(record)
    assert admitted.allocation.settings == JobSettings(queue="long")
    assert admitted.signer == "alice"
    job = site.settings.jobs_dir / "job"
    assert (job / "data/a.txt").read_text() == "a"
    assert oct((job / "data/a.txt").stat().st_mode)[-3:] == "640"
    assert oct((job / "aws-job-run.sh").stat().st_mode)[-3:] == "755"


def test_the_rows_of_a_signed_sweep_are_its_elements(site: SignedSite) -> None:
    gate, record = site.gate(), site.record(settings=JobSettings(sweep="v.csv", count=9))
    signed = site.signed(files={"v.csv": "alpha\n1\n2\n"}, sweep="v.csv")
    site.stage(gate, record, signed)
    assert gate.admit(record).allocation.settings == JobSettings(sweep="v.csv", count=2)
    site.policy("[limits]\ncount = 1\n")
    gate, record = site.gate(), site.record(settings=JobSettings(sweep="v.csv"))
    site.stage(gate, record, signed)
    with pytest.raises(Refused, match=r"count is 2, and at most 1 is allowed"):
        gate.admit(record)


def test_a_job_may_have_the_drivers_that_the_policy_lists(site: SignedSite) -> None:
    site.policy('drivers = ["exec", "java"]\n', required=False)
    for drivers in (("java",), ("exec", "java")):
        gate, record = site.gate(), site.record(settings=JobSettings(drivers=drivers))
        site.stage(gate, record, {"aws-job-run.sh": b"#!/bin/sh\n"})
        gate.admit(record)
        site.settings.state.joinpath("journal", f"{record.id}.json").unlink()
    for drivers, named in (((), "script"), (("docker", "exec"), "docker")):
        gate, record = site.gate(), site.record(settings=JobSettings(drivers=drivers))
        site.stage(gate, record, {"aws-job-run.sh": b"#!/bin/sh\n"})
        with pytest.raises(Refused, match=rf"driver '{named}' is not among exec, java \(drivers\)"):
            gate.admit(record)


def test_without_a_signed_settings_file_the_table_states_nothing(site: SignedSite) -> None:
    gate, record = site.gate(), site.record(settings=JobSettings(queue="forged"))
    site.stage(gate, record, site.signed())
    assert gate.admit(record).allocation.settings == JobSettings()


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"aws-job-run.sh": b"#!/bin/sh\nevil\n"}, "input 'aws-job-run.sh' is not what was signed"),
        ({"data/more.txt": b""}, "input 'data/more.txt' is not in what was signed"),
        ({"new/x": b""}, "'new"),
        ({"aws-job-signed.txt": b"nonsense"}, "not a good one"),
        ({"aws-job-signed.txt.sig": b""}, "not a good one"),
    ],
)
def test_what_differs_is_refused(site: SignedSite, change: dict[str, bytes], rule: str) -> None:
    gate, record = site.gate(), site.record()
    site.stage(gate, record, {**site.signed(files={"data/a.txt": "a"}), **change})
    with pytest.raises(Refused, match=r"refused by the policy of site dc1: ") as refused:
        gate.admit(record)
    assert rule in str(refused.value)
    assert not (site.settings.jobs_dir / "job").exists()


def test_a_link_or_a_pipe_among_the_inputs_is_refused(site: SignedSite) -> None:
    for plant in (lambda path: path.symlink_to("/etc/passwd"), os.mkfifo):
        gate, record = site.gate(), site.record()
        site.stage(gate, record, site.signed(files={"data": "a"}))
        path = gate.staging_directory(record).path / "data"
        path.unlink()
        plant(path)
        with pytest.raises(Refused, match="'data' is no regular file"):
            gate.admit(record)


def test_an_empty_folder_that_was_signed_is_made(site: SignedSite) -> None:
    gate, record = site.gate(), site.record()
    source = site.home / "cloud/folder"
    (source / "out/empty").mkdir(parents=True)
    (source / "aws-job-run.sh").write_text("#!/bin/sh\n")
    upload = Signing(key=site.key).applied_to(
        plan_upload("job", source, Settings()), "dc1", datetime.fromtimestamp(site.now, UTC)
    )
    assert upload.signed is not None
    files = {
        "aws-job-run.sh": b"#!/bin/sh\n",
        "aws-job-signed.txt": upload.signed.document,
        "aws-job-signed.txt.sig": upload.signed.signature,
    }
    site.stage(gate, record, files)
    gate.admit(record)
    assert (site.settings.jobs_dir / "job/out/empty").is_dir()


def test_runs_are_counted_by_claim(site: SignedSite) -> None:
    files = site.signed(signing=Signing(key=site.key, runs=2))
    first = site.record()
    for _ in range(3):  # the same submission, tried again
        gate = site.gate()
        site.stage(gate, first, files)
        gate.admit(first)
    for record, passes in (
        (replace(first, token="offered again"), True),
        (site.record(), False),
        (first, True),
    ):
        gate = site.gate()
        site.stage(gate, record, files)
        if passes:
            gate.admit(record)
        else:
            with pytest.raises(Refused, match="2 runs"):
                gate.admit(record)


def test_a_run_for_which_the_scheduler_had_no_room_is_taken_back(site: SignedSite) -> None:
    files, record = site.signed(), site.record()
    gate = site.gate()
    site.stage(gate, record, files)
    gate.admit(record)
    gate.take_back(record)
    again = replace(record, token="claimed again")
    site.stage(gate, again, files)
    gate.admit(again)
    earlier = site.settings.jobs_dir / ".jobferry/earlier"
    assert not earlier.exists()  # its own directory is not put aside at each attempt


def test_a_pattern_has_its_runs_together(site: SignedSite) -> None:
    script = b"#!/bin/sh\ntrue\n"
    signing = Signing(key=site.key)
    inputs = (SignedInput("aws-job-run.sh", hashlib.sha256(script).hexdigest()),)
    jobs = (
        SignedJobs(("sweep/1", "sweep/2"), ("sweep/x*",), 1, inputs),
        SignedJobs((), ("other/*",), 2, inputs),
    )
    document = signing.document(jobs, "dc1", datetime.fromtimestamp(site.now, UTC))
    files = {
        "aws-job-run.sh": script,
        "aws-job-signed.txt": document,
        "aws-job-signed.txt.sig": signing.signature(document),
    }
    for job, passes in (
        ("sweep/1", True),
        ("sweep/2", True),
        ("sweep/2", False),
        ("sweep/x1", True),
        ("sweep/x2", False),
        ("other/1", True),
        ("other/1", True),
        ("other/2", False),
        ("third", False),
    ):
        gate, record = site.gate(), site.record(job)
        site.stage(gate, record, files)
        if passes:
            gate.admit(record)
        else:
            with pytest.raises(Refused):
                gate.admit(record)


def test_what_was_signed_before_counting_began_is_refused(site: SignedSite) -> None:
    gate, record = site.gate(), site.record()
    site.stage(gate, record, site.signed(at=site.now - 1))
    with pytest.raises(Refused, match="before this site began to count runs"):
        gate.admit(record)


def test_lost_counts_stop_what_is_signed(site: SignedSite) -> None:
    gate, record = site.gate(), site.record()
    site.stage(gate, record, site.signed())
    gate.admit(record)
    counts = site.settings.state / "trust/runs"
    (counts / "since").unlink()
    gate, other = site.gate(), site.record("other")
    site.stage(gate, other, site.signed("other"))
    with pytest.raises(NotNow, match="since"):
        gate.admit(other)


def test_a_job_directory_that_is_in_use_is_not_exchanged(site: SignedSite) -> None:
    gate, held = site.gate(), site.record("a/b")
    files = site.signed("a/b")
    site.stage(gate, held, files)
    gate._place.journal.write(replace(gate.admit(held), phase=Phase.SUBMITTED))
    for job in ("a/b", "a/b/c", "a"):
        record = site.record(job)
        for process in (gate, site.gate()):
            site.stage(process, record, site.signed(job, {"of": record.id}))
            with pytest.raises(NotNow, match="'a/b'"):
                process.admit(record)
    beside = site.record("a/c")
    site.stage(gate, beside, site.signed("a/c"))
    gate.admit(beside)


def test_overlap() -> None:
    assert overlap("a", "a")
    assert overlap("a", "a/b")
    assert overlap("a/b", "a")
    assert not overlap("a", "ab")
    assert not overlap("a/b", "a/c")


def test_results_stay_where_the_cloud_offers_an_allocation_again(site: SignedSite) -> None:
    gate, record = site.gate(), site.record()
    files = site.signed()
    site.stage(gate, record, files)
    gate.admit(record)
    job = site.settings.jobs_dir / "job"
    (job / "result").write_text("r")
    shutil.rmtree(site.settings.jobs_dir / ".jobferry/alloc" / record.id)  # as its end does
    again = replace(record, token="another")
    gate = site.gate()
    site.stage(gate, again, files)
    with pytest.raises(Refused):
        gate.admit(again)
    assert (job / "result").read_text() == "r"


def test_a_policy_that_came_meanwhile_lets_nothing_pass_that_was_not_staged_for_it(
    site: SignedSite,
) -> None:
    gate, record = site.gate(), site.record()
    (site.settings.jobs_dir / "job").mkdir(parents=True)
    with pytest.raises(NotNow, match="stages it again"):
        gate.admit(record)


def test_only_listed_scripts(site: SignedSite) -> None:
    known = hashlib.sha256(b"#!/bin/sh\ntrue\n").hexdigest()
    for required in (True, False):
        for listed, passes in ((known, True), ("0" * 64, False)):
            site.policy(f'scripts = ["sha256:{listed}"]\n', required=required)
            gate, record = site.gate(), site.record(f"job-{required}-{passes}")
            site.stage(gate, record, site.signed(record.allocation.job))
            if passes:
                gate.admit(record)
            else:
                with pytest.raises(Refused, match="SHA-256"):
                    gate.admit(record)


def test_only_the_signers_of_the_policy(site: SignedSite) -> None:
    site.policy('signers = ["bob"]\n')
    gate, record = site.gate(), site.record()
    site.stage(gate, record, site.signed())
    with pytest.raises(Refused, match="'alice' has signed it"):
        gate.admit(record)


def test_a_revoked_key_does_not_count(site: SignedSite) -> None:
    revoked = site.home / "revoked"
    revoked.write_text(site.key.with_name(f"{site.key.name}.pub").read_text())
    site.policy(f'revoked_keys = "{revoked}"\n')
    gate, record = site.gate(), site.record()
    site.stage(gate, record, site.signed())
    with pytest.raises(Refused, match=r"is revoked \(revoked_keys\)"):
        gate.admit(record)
    revoked.unlink()
    with pytest.raises(NotNow, match="cannot be read"):
        gate.admit(record)


def test_without_ssh_keygen_nothing_is_decided(
    site: SignedSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "defpath", str(site.home))
    gate, record = site.gate(), site.record()
    site.stage(gate, record, site.signed())
    with pytest.raises(NotNow, match="ssh-keygen"):
        gate.admit(record)


def test_a_broken_policy_lets_nothing_pass(site: SignedSite) -> None:
    gate, record = site.gate(), site.record()
    site.stage(gate, record, site.signed())
    (site.home / "policy.toml").write_text("signatures = 1\n")
    with pytest.raises(PolicyBroken, match="nothing is submitted"):
        gate.admit(record)


class _Killed(BaseException):
    pass


def _killer(monkeypatch: pytest.MonkeyPatch, at: int) -> Callable[[], int]:
    """Die before the `at`-th of the calls by which the disk changes; tells how many there were."""
    calls = 0

    def dying(original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls >= at:
                raise _Killed
            return original(*arguments, **named)

        return call

    for name in ("rename", "mkdir", "fsync", "fchmod"):
        monkeypatch.setattr(os, name, dying(getattr(os, name)))
    return lambda: calls


def test_killed_between_any_two_writes_it_counts_once_and_passes_at_last(
    tmp_path: Path, key: Path
) -> None:
    at, died = 1, True
    while died:
        site = SignedSite(tmp_path / str(at), key)
        files = site.signed(files={"tool": "#!/bin/sh\n"})
        record = site.record()
        gate = site.gate()
        site.stage(gate, record, files)
        with pytest.MonkeyPatch.context() as patch:
            _killer(patch, at)
            try:
                gate.admit(record)
                died = False
            except _Killed:
                died = True
        gate = site.gate()
        site.stage(gate, record, files)
        gate.admit(record)
        assert (site.settings.jobs_dir / "job/tool").exists()
        counts = [
            json.loads(file.read_text())
            for file in (site.settings.state / "trust/runs").glob("*.json")
        ]
        assert counts == [{"job job": [record.token]}]
        other = site.record()
        site.stage(gate, other, files)
        with pytest.raises(Refused, match="took place already"):
            gate.admit(other)
        at += 1
    assert at > 8  # it did die at many places
