"""What all jobs together may do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.job_settings import JobSettings
from puller.errors import NotNow, Refused
from puller.journal import Phase
from puller.trust.disk_use import MEASURE_AGAIN_AFTER, DiskUse, bytes_in
from puller.trust.quotas import Days, QuietHours
from tests.unit.puller.trust.signed_site import SignedSite

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
times = st.times().map(lambda t: t.replace(second=0, microsecond=0))


@given(times, times, times)
def test_it_is_quiet_on_one_side_of_a_day_or_the_other(a: time, b: time, now: time) -> None:
    if a != b:
        one, other = QuietHours(a, b), QuietHours(b, a)
        assert one.contain(now) != other.contain(now)
        assert QuietHours.parse(str(one)) == one


@pytest.mark.parametrize("text", ["8-12", "08:00-24:00", "08:00", "08:00-08:00", "08:00-09:60"])
def test_what_is_no_time_of_day(text: str) -> None:
    with pytest.raises(ValueError, match=r"HH:MM|begins"):
        QuietHours.parse(text)


def test_a_day_s_jobs_are_counted_once_each_and_a_new_day_begins(tmp_path: Path) -> None:
    days = Days(tmp_path)
    for token in ("a", "b", "a"):
        days.submit(token, NOW, 2)
    with pytest.raises(NotNow, match="jobs_a_day"):
        Days(tmp_path).submit("c", NOW, 2)
    days.submit("a", NOW, 2)
    days.submit("c", NOW + timedelta(days=1), 2)
    for day in range(2, 20):
        days.submit("c", NOW + timedelta(days=day), 2)
    assert len(list((tmp_path / "trust/days").glob("*.json"))) == 7


def test_what_left_is_counted_by_allocation(tmp_path: Path) -> None:
    days = Days(tmp_path)
    days.left("a", 5, NOW)
    days.left("a", 7, NOW)
    days.left("b", 1, NOW)
    assert sum(days.today(NOW).bytes_out.values()) == 8
    (tmp_path / "trust/days/2026-11-25.json").write_text("[")
    with pytest.raises(NotNow):
        days.today(NOW)


def test_disk_use_is_measured_seldom_and_without_running_jobs(tmp_path: Path) -> None:
    jobs = tmp_path / "jobs"
    for name in ("ended/a", "running/a"):
        (jobs / name).parent.mkdir(parents=True)
        (jobs / name).write_bytes(b"12345")
    (jobs / "ended/loop").symlink_to(jobs)
    link = (jobs / "ended/loop").lstat().st_size
    assert bytes_in(jobs, frozenset()) == 10 + link
    now = 1000.0
    use = DiskUse(jobs, tmp_path / "state", lambda: now)
    running = frozenset({jobs / "running"})
    assert use.used(running) == 5 + link
    (jobs / "ended/b").write_bytes(b"1")
    assert use.used(running) == 5 + link
    now += MEASURE_AGAIN_AFTER
    assert use.used(running) == 6 + link


def test_a_limit_refuses_and_a_quota_waits(site: SignedSite) -> None:
    site.policy('queues = ["short"]\n[limits]\ntime_limit = "1h"\n')
    gate, record = site.gate(), site.record()
    site.stage(gate, record, site.signed(time_limit="2h"))
    with pytest.raises(Refused, match=r"site dc1: time_limit is 7200 s, and at most 3600 s"):
        gate.admit(record)
    record = site.record()
    site.stage(gate, record, site.signed())
    assert gate.admit(record).allocation.settings == JobSettings(queue="short", time_limit=3600)


def test_without_signatures_the_table_s_settings_are_bounded_too(site: SignedSite) -> None:
    site.policy('queues = ["short"]\n', required=False)
    gate, record = site.gate(), site.record(settings=JobSettings(queue="long"))
    site.stage(gate, record, site.signed())
    with pytest.raises(Refused, match="queue 'long'"):
        gate.admit(record)


def test_a_directive_that_could_pass_a_bound_is_refused(site: SignedSite) -> None:
    site.policy("[limits]\nnodes = 1\n")
    gate, record = site.gate(), site.record()
    script = "#!/bin/sh\n#SBATCH --nodes=8\n"
    site.stage(gate, record, site.signed(files={"aws-job-run.sh": script}))
    with pytest.raises(Refused, match="--nodes=8"):
        gate.admit(record)


def test_quiet_hours_and_a_full_disk_keep_waiting_and_count_no_run(site: SignedSite) -> None:
    now = datetime.fromtimestamp(site.now, UTC).astimezone()
    span = f"{now - timedelta(hours=1):%H:%M}-{now + timedelta(hours=1):%H:%M}"
    gate, record = site.gate(), site.record()
    files = site.signed()
    for more, rule in (
        (f'quiet_hours = ["{span}"]\n', "quiet_hours"),
        ("[quotas]\ndisk = 10\n", "disk"),
        ("[quotas]\nactive_jobs = 0\n", "active_jobs"),
        ("[quotas]\njobs_a_day = 0\n", "jobs_a_day"),
    ):
        site.policy(more)
        site.stage(gate, record, files)
        with pytest.raises(NotNow, match=rule):
            gate.admit(record)
    site.policy("[quotas]\nactive_jobs = 1\njobs_a_day = 1\ndisk = 1000000\n")
    (site.settings.state / "trust/disk.json").unlink()
    site.stage(gate, record, files)
    admitted = gate.admit(record)
    gate._place.journal.write(replace(admitted, phase=Phase.SUBMITTED))
    other = site.record("other")
    site.stage(gate, other, site.signed("other"))
    with pytest.raises(NotNow, match="1 jobs are active"):
        gate.admit(other)


def test_results_wait_when_enough_has_left_today(site: SignedSite) -> None:
    site.policy("[quotas]\nbytes_out_a_day = 100\n")
    gate = site.gate()
    gate.note_left("a", 99)
    gate.check_leaving()
    gate.note_left("b", 1)
    with pytest.raises(NotNow, match="wait for tomorrow"):
        gate.check_leaving()
    site.now += 24 * 3600
    gate.check_leaving()


def test_what_jobs_get_of_the_environment(site: SignedSite) -> None:
    site.policy('environment = ["PATH"]\n')
    assert site.gate().handed_on({"PATH": "/bin", "SECRET": "x"}) == {"PATH": "/bin"}


def test_artifacts_of_a_signed_job_need_a_checksum(site: SignedSite) -> None:
    site.policy('artifact_hosts = ["a.org"]\n')
    assert site.gate().artifact_problem("a.org", "sha256:0") is None
    assert "site dc1" in str(site.gate().artifact_problem("a.org", None))
    assert "artifact_hosts" in str(site.gate().artifact_problem("b.org", "sha256:0"))
