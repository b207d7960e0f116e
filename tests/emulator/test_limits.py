"""A site's limits, on a real table: what is refused, what is counted, and what ends counting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Entry, Manifest
from job_protocol.states import ClientStatus, JobStatus, Outcome, Word
from lambdas.admission import Admission
from lambdas.errors import LimitReached, Refused
from lambdas.launcher import launch_all
from lambdas.launching import Launching
from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.site_directory import Site
from lambdas.ports.submitted_files import SubmittedFiles
from lambdas.ports.templates import Templates
from lambdas.rules.site_limits import Quota, SiteLimits
from lambdas.rules.submission_form import read_submission
from lambdas.rules.upload import Limits
from lambdas.runs import Cause, Runs
from lambdas.submitting import Submitting
from tests.conftest import DeployedStack
from tests.emulator.control_plane import UserOfASite
from tests.emulator.registry import ME, a_job, children, register

pytestmark = pytest.mark.emulator

DAY = 24 * 3600


@dataclass
class LimitedSite(UserOfASite):
    """A site's user where there are limits."""

    quotas: SiteLimits = field(default_factory=SiteLimits)

    @property
    def as_site(self) -> Site:
        return Site(self.site, self.bucket, self.limits, keep_days=7, quotas=self.quotas)

    @property
    def admission(self) -> Admission:
        return Admission(
            self.jobs, SiteBucket(self.s3, self.bucket), self.as_site, lambda: self.now
        )

    def api_run(self, job_id: str, submitter: str, size: int = 1) -> None:
        """What the API does when the files are there."""
        runs = Runs(self.jobs, SiteBucket(self.s3, self.bucket), self.as_site, lambda: self.now)
        cause = Cause(upload=f"u-{job_id}", sequencer=None, time=self.now, submitter=submitter)
        manifest = Manifest((Entry("aws-job-run.sh", "v", size),))
        runs.start(job_id, cause, None, manifest=manifest, settings=JobSettings())

    def ends(self, job_id: str, status: ClientStatus = ClientStatus.COMPLETE) -> None:
        """The puller reports the end, and the publisher follows."""
        self.set_allocation(job_id, client_status=status, exit_code=0)
        self.publish(job_id)

    def counters(self) -> dict[str, dict[str, Any]]:
        rows = self.dynamodb.query(
            TableName=self.table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"U#{self.site}"}},
        )["Items"]
        return {
            row["sk"]["S"]: {k: int(v["N"]) for k, v in row.items() if "N" in v} for row in rows
        }


@pytest.fixture
def limited(
    deployed: DeployedStack, plain_table: str, plain_bucket: str
) -> Callable[..., LimitedSite]:
    def make(**quotas: Quota) -> LimitedSite:
        return LimitedSite(
            deployed.client("dynamodb"),
            deployed.client("s3"),
            plain_table,
            plain_bucket,
            quotas=SiteLimits(**quotas),
        )

    return make


def test_without_limits_nothing_is_counted(limited: Callable[..., LimitedSite]) -> None:
    site = limited()
    site.uploads("a")
    assert site.job("a").active
    assert site.counters() == {}


def test_active_jobs_are_limited_until_one_ends(limited: Callable[..., LimitedSite]) -> None:
    site = limited(site=Quota(active_jobs=1))
    site.uploads("a")
    site.uploads("b")
    assert site.job("b").outcome is Outcome.REJECTED
    (reason,) = site.job("b").reasons
    assert reason.problem == "site dc1 has a limit of 1 jobs at a time (active_jobs); 1 are used"
    assert reason.remedy == "wait until one has ended"
    site.ends("a")
    assert site.job("a").status is JobStatus.DEAD
    assert site.counters() == {"ACTIVE": {"active_jobs": 0}}
    site.says("b", Word.FILE_UPLOAD)
    assert site.job("b").active


def test_an_end_is_counted_once(limited: Callable[..., LimitedSite]) -> None:
    site = limited(site=Quota(active_jobs=5))
    site.uploads("a")
    site.ends("a")
    site.publish("a")
    assert site.counters()["ACTIVE"] == {"active_jobs": 0}
    assert site.job("a").counted == ()


def test_a_job_that_is_stopped_unclaimed_is_counted_no_longer(
    limited: Callable[..., LimitedSite],
) -> None:
    site = limited(site=Quota(active_jobs=5))
    site.uploads("a")
    site.says("a", Word.JOB_STOP)
    site.publish("a")
    assert site.counters()["ACTIVE"] == {"active_jobs": 0}


def test_jobs_a_day_begin_again_at_midnight_utc(limited: Callable[..., LimitedSite]) -> None:
    site = limited(site=Quota(jobs_a_day=1))
    site.now = 1_800_000_000 // DAY * DAY + DAY - 1
    site.api_run("a", "ann")
    with pytest.raises(LimitReached, match=r"1 jobs a day \(jobs_a_day\); 1 are used") as limit:
        site.api_run("b", "ann")
    assert limit.value.status == 429
    site.now += 1
    site.api_run("b", "ann")
    assert len(site.counters()) == 2


def test_bytes_a_day_count_what_would_be_added(limited: Callable[..., LimitedSite]) -> None:
    site = limited(site=Quota(bytes_a_day=10))
    with pytest.raises(LimitReached, match="0 are used, and this job has 11"):
        site.api_run("a", "ann", size=11)
    site.api_run("b", "ann", size=6)
    with pytest.raises(LimitReached, match="6 are used, and this job has 5"):
        site.api_run("c", "ann", size=5)
    site.api_run("d", "ann", size=4)


def test_a_submitters_limit_is_nobody_elses(limited: Callable[..., LimitedSite]) -> None:
    site = limited(submitter=Quota(active_jobs=1))
    site.api_run("a", "ann")
    with pytest.raises(LimitReached, match="submitter ann at site dc1 has a limit of 1 jobs"):
        site.api_run("b", "ann")
    site.api_run("c", "bob")
    site.uploads("d")
    assert site.job("d").active
    site.ends("a")
    site.api_run("b", "ann")


def test_nothing_is_written_of_what_is_refused(limited: Callable[..., LimitedSite]) -> None:
    site = limited(site=Quota(active_jobs=5, jobs_a_day=1), submitter=Quota(jobs_a_day=9))
    site.api_run("a", "ann")
    before = site.counters()
    with pytest.raises(LimitReached):
        site.api_run("b", "ann")
    assert site.counters() == before
    assert site.jobs.job("dc1", "b") is None


def test_a_repeated_event_counts_once(limited: Callable[..., LimitedSite]) -> None:
    site = limited(site=Quota(jobs_a_day=1))
    site.put("a/aws-job-run.sh", b"#!/bin/sh\n")
    mark = site.put_mark("a", Word.FILE_UPLOAD)
    site.admission.handle(mark)
    site.admission.handle(mark)
    assert site.job("a").active
    (day,) = site.counters().values()
    assert day["jobs_a_day"] == 1


def test_a_retry_over_the_limit_says_so(limited: Callable[..., LimitedSite]) -> None:
    site = limited(site=Quota(jobs_a_day=1))
    site.uploads("a")
    site.ends("a", ClientStatus.FAILED)
    site.says("a", Word.JOB_RETRY)
    job = site.job("a")
    assert not job.active
    assert "JOB_RETRY changed nothing: site dc1 has a limit of 1 jobs a day" in str(job.note)


def test_a_launch_that_has_no_room_stays_due_and_is_made_once(
    limited: Callable[..., LimitedSite],
) -> None:
    site = limited(site=Quota(active_jobs=1))
    site.now = 1_800_000_000 // 60 * 60
    register(site, a_job("tick", Periodic={"Spec": "* * * * *"}))
    site.uploads("a")
    made = children(site)
    runs = replace(made.runs, site=site.as_site)
    bounded = replace(made, submitting=Submitting(runs, SubmittedFiles(site.s3, site.bucket)))
    launching = Launching(bounded, lambda: site.now, lambda _job, reason: pytest.fail(reason))

    def trigger() -> dict[str, int]:
        due = list(Templates(site.dynamodb, site.table).due(site.now))
        return launch_all(due, lambda _site, job: launching.launch(job), more=lambda: True)

    site.now += 60
    for _ in range(2):
        assert trigger() == {"launched": 0, "failed": 0}
        site.now += 10
    site.ends("a")
    assert trigger() == {"launched": 1, "failed": 0}
    assert trigger() == {"launched": 0, "failed": 0}


def test_a_request_is_measured_as_an_upload_is(limited: Callable[..., LimitedSite]) -> None:
    site = replace(limited(), limits=Limits(files=2, size=100, array=3))
    runs = Runs(site.jobs, SiteBucket(site.s3, site.bucket), site.as_site, lambda: site.now)
    submitting = Submitting(runs, SubmittedFiles(site.s3, site.bucket))
    script = "#!/bin/sh\n"
    file = {"Path": "in", "Content": "x" * 200}
    for document, why in (
        ({"Files": [file]}, "bytes; this site takes at most 100"),
        ({"Files": [{"Path": name} for name in "ab"]}, "has 3 files; this site takes at most 2"),
        ({"Uploads": [{"Path": "b", "Size": 200, "SHA256": "0" * 64}]}, "at most 100"),
        ({"Settings": {"count": 4}}, "4 elements; this site takes at most 3"),
    ):
        submission, problems = read_submission({"ID": "a", "Script": script, **document})
        assert submission is not None, problems
        with pytest.raises(Refused, match=why):
            submitting.submit(submission, ME)
    assert site.jobs.job("dc1", "a") is None


def test_a_prefix_with_very_many_versions_costs_a_bounded_amount(
    limited: Callable[..., LimitedSite],
) -> None:
    site = replace(limited(), limits=Limits(files=1, size=1_000_000))
    pages: list[int] = []
    client = site.s3

    class Endless:
        """S3 with a prefix that has a million versions, a thousand in a page."""

        def __getattr__(self, name: str) -> Any:
            return getattr(client, name)

        def get_paginator(self, name: str) -> Any:
            assert name == "list_object_versions"
            return self

        def paginate(self, **_: object) -> Any:
            for page in range(1000):
                pages.append(page)
                row = {
                    "VersionId": "v",
                    "Size": 1,
                    "LastModified": datetime.fromtimestamp(0, UTC),
                    "IsLatest": False,
                    "ETag": '"x"',
                }
                yield {"Versions": [{**row, "Key": f"a/{page}-{n}"} for n in range(1000)]}

    site.s3 = Endless()
    site.uploads("a")
    job = site.job("a")
    assert job.outcome is Outcome.REJECTED
    assert "more than 1005 object versions" in job.reasons[0].problem
    assert len(pages) == 2
