"""Submitting through the API against an emulated table and bucket: repeated, interrupted, raced."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest

from job_protocol.states import ClientStatus, Role, Word
from lambdas.errors import Refused
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_bucket import SiteBucket
from lambdas.ports.site_directory import Site
from lambdas.ports.submitted_files import SubmittedFiles
from lambdas.rules.mark import Action
from lambdas.rules.submission import Submission
from lambdas.rules.submission_form import read_submission
from lambdas.runs import Runs
from lambdas.submitting import Announced, Submitter, Submitting
from local_cloud.emulator import Emulator
from tests.emulator.control_plane import UserOfASite
from tests.emulator.registry import ME, Fragile, Killed

pytestmark = pytest.mark.emulator

SCRIPT = "#!/bin/sh\ntrue\n"


@pytest.fixture
def user(emulator: Emulator, plain_table: str, plain_bucket: str) -> UserOfASite:
    return UserOfASite(
        emulator.client("dynamodb"), emulator.client("s3"), plain_table, plain_bucket
    )


def submitting(user: UserOfASite, budget: int = 10**6) -> Submitting:
    left = [budget]
    dynamodb, s3 = Fragile(user.dynamodb, left), Fragile(user.s3, left)
    runs = Runs(
        JobTable(dynamodb, user.table),
        SiteBucket(s3, user.bucket),
        Site(user.site, user.bucket, user.limits, keep_days=7),
        lambda: user.now,
    )
    return Submitting(runs, SubmittedFiles(s3, user.bucket))


def a_submission(**document: Any) -> Submission:
    submission, problems = read_submission({"Script": SCRIPT, **document})
    assert submission is not None, problems
    return submission


def runs_of(user: UserOfASite) -> list[str]:
    rows = user.dynamodb.scan(TableName=user.table)["Items"]
    return [row["job"]["S"] for row in rows if row["pk"]["S"].startswith("A#")]


def test_exactly_the_files_of_the_request_run(user: UserOfASite) -> None:
    user.put("a/b/old.txt", b"not of this request")
    found = submitting(user).submit(
        a_submission(ID="a/b", Files=[{"Path": "in"}], Settings={"priority": 9}), ME
    )
    assert not isinstance(found, Announced)
    assert set(user.inputs("a/b")) == {"aws-job-run.sh", "aws-job.json", "in"}
    job, allocation = user.job("a/b"), user.allocation("a/b")
    assert (job.submitter, job.sequencer, job.run) == ("me", None, 1)
    assert (allocation.client_status, allocation.priority) == (ClientStatus.PENDING, 9)
    assert user.job("a").role is Role.FOLDER


def test_a_request_that_is_killed_anywhere_and_repeated_is_one_run(user: UserOfASite) -> None:
    for budget in range(30):
        submission = a_submission(ID=f"a/run{budget}", Files=[{"Path": "in"}])
        try:
            submitting(user, budget).submit(submission, ME)
        except Killed:
            submitting(user).submit(submission, ME)
            assert runs_of(user).count(submission.job_id or "") == 1
            assert user.job(submission.job_id or "").run == 1
        else:
            assert budget > 5, "nothing was killed"
            return
    raise AssertionError("the request never got through")


def test_a_start_that_is_killed_anywhere_and_repeated_is_one_run(user: UserOfASite) -> None:
    row = {"Path": "big", "Size": 1, "SHA256": hashlib.sha256(b"x").hexdigest()}
    for budget in range(30):
        submission = a_submission(ID=f"run{budget}", Uploads=[row])
        announced = submitting(user).submit(submission, ME)
        assert isinstance(announced, Announced)
        user.s3.put_object(
            Bucket=user.bucket,
            Key=f"run{budget}/big",
            Body=b"x",
            ChecksumSHA256=base64.b64encode(hashlib.sha256(b"x").digest()).decode(),
        )
        job_id, upload = announced.job_id, announced.upload
        try:
            submitting(user, budget).start(job_id, upload, submitter=ME, task_token="t")
        except Killed:
            submitting(user).start(job_id, upload, submitter=ME, task_token="t")
        else:
            assert budget > 3, "nothing was killed"
            return
        assert runs_of(user).count(job_id) == 1
        assert user.jobs.task_token("dc1", job_id, 1) == "t"
    raise AssertionError("the request never got through")


def test_a_task_token_is_forgotten_at_the_time_that_is_given(user: UserOfASite) -> None:
    submitting(user).submit(a_submission(ID="awaited", TaskToken="t"), ME)
    job = user.job("awaited")
    user.jobs.forget_task_token(job, ttl=user.now + 60)
    assert user.jobs.task_token("dc1", "awaited", job.run) is None
    assert user.item("T#dc1#awaited", "000001")["ttl"] == user.now + 60


def test_the_same_job_id_of_two_requests_is_one_active_run(user: UserOfASite) -> None:
    submission = a_submission(ID="job0001")
    submitting(user).submit(submission, ME)
    with pytest.raises(Refused, match="run 1 of job 'job0001' is still active") as error:
        submitting(user).submit(submission, Submitter(name="you", key="k2"))
    assert error.value.status == 409
    assert user.job("job0001").submitter == "me"


@pytest.mark.parametrize("job_id", ["job0001/inner", "job0001"])
def test_the_tree_of_job_ids_is_that_of_the_bucket(user: UserOfASite, job_id: str) -> None:
    user.uploads("job0001" if "/" in job_id else "job0001/inner")
    with pytest.raises(Refused, match=r"lies inside|is a folder"):
        submitting(user).submit(a_submission(ID=job_id), ME)


def test_marks_of_the_user_work_on_a_job_of_the_api(user: UserOfASite) -> None:
    submitting(user).submit(a_submission(ID="job0001"), ME)
    assert user.says("job0001", Word.JOB_STOP).action is Action.STOP
    assert user.allocation("job0001").client_status is ClientStatus.STOPPED


def test_reuse_takes_earlier_files_that_match(user: UserOfASite) -> None:
    user.put("job0001/restart/7", b"x")
    user.put("job0001/other", b"x")
    gone = user.put("job0001/restart/8", b"x")
    user.s3.delete_object(Bucket=user.bucket, Key="job0001/restart/8")
    submission = a_submission(ID="job0001", Settings={"reuse": ["restart/**"]})
    submitting(user).submit(submission, ME)
    assert set(user.inputs("job0001")) == {"aws-job-run.sh", "aws-job.json", "restart/7"}
    assert gone not in user.inputs("job0001").values()
