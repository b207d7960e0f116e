"""The `jobferry` command and client against the real stack, whose Lambdas write the states."""

from __future__ import annotations

import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from job_protocol.object_keys import SIGNATURE_NAMES, STATUS_NAMES
from job_protocol.signed_manifest import SignedManifest
from jobferry import Client, CloudRefused, JobActive, over_s3
from local_cloud.isolation import without_aws
from tests.conftest import DeployedStack
from tests.patience import PATIENCE
from tests.unit.jobferry.signers import make_key, verified

pytestmark = pytest.mark.emulator

CHECKOUT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class User:
    """Somebody in the cloud, with a shell in `home` that leads to the deployed stack."""

    stack: DeployedStack
    home: Path

    @property
    def bucket(self) -> str:
        return self.stack.buckets["dc1"]

    @property
    def environment(self) -> dict[str, str]:
        return {
            **without_aws(os.environ),
            **self.stack.emulator.environment(),
            "JOBFERRY_STACK": self.stack.deployment.stack,
            "JOBFERRY_VIA": "s3",
            "XDG_CONFIG_HOME": str(self.home / ".config"),
            "PYTHONPATH": str(CHECKOUT),
            "PYTHONUTF8": "1",
            "TZ": "Asia/Tokyo",
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "jobferry", *arguments],
            cwd=self.home,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        process = self.start(*arguments)
        out, err = process.communicate(timeout=240)
        assert process.returncode == expect, f"{process.returncode}\n{out}\n{err}"
        return subprocess.CompletedProcess(arguments, process.returncode, out, err)

    def json(self, *arguments: str, expect: int = 0) -> Any:
        return json.loads(self.run(*arguments, "--json", expect=expect).stdout)

    def put(self, key: str, body: bytes, **arguments: Any) -> None:
        self.stack.client("s3").put_object(Bucket=self.bucket, Key=key, Body=body, **arguments)

    def keys(self, job_id: str) -> set[str]:
        rows = self.stack.client("s3").list_objects_v2(Bucket=self.bucket, Prefix=f"{job_id}/")
        return {row["Key"].removeprefix(f"{job_id}/") for row in rows.get("Contents", [])}

    def until(self, job_id: str, *words: str) -> dict[str, Any]:
        deadline = time.monotonic() + PATIENCE
        while (state := self.json("status", job_id))["word"] not in words:
            assert time.monotonic() < deadline, state
            time.sleep(0.3)
        return dict(state)


@pytest.fixture
def user(deployed: DeployedStack, tmp_path: Path) -> User:
    return User(deployed, tmp_path)


@pytest.fixture
def job_id() -> str:
    """A job id of its own, nested and with more than ASCII in it."""
    return f"計算 A/job-{uuid.uuid4().hex[:8]}"


def _simulation(home: Path, script: str = "#!/bin/sh\nexit 0\n") -> Path:
    directory = home / "simulation"
    (directory / "data").mkdir(parents=True, exist_ok=True)
    (directory / "empty").mkdir(exist_ok=True)
    (directory / "aws-job-run.sh").write_text(script)
    (directory / "data/入力.txt").write_text("1 2 3\n")
    (directory / "tool").write_text("#!/bin/sh\n")
    (directory / "tool").chmod(0o755)
    return directory


def test_a_signed_submission_uploads_what_it_signs(user: User, job_id: str) -> None:
    key = make_key(user.home / "key")
    _simulation(user.home)
    options = ["--job", job_id, "--queue", "long", f"--sign={key}", "--sign-expires", "12h"]
    user.run("submit", "simulation", *options, "--sign-runs", "3", "--bucket", user.bucket)
    user.until(job_id, "JOB_QUEUED")
    s3 = user.stack.client("s3")

    def content(path: str) -> bytes:
        answer = s3.get_object(Bucket=user.bucket, Key=f"{job_id}/{path}")
        return bytes(answer["Body"].read())

    document = content("aws-job-signed.txt")
    assert verified(document, content("aws-job-signed.txt.sig"), key)
    manifest = SignedManifest.parse(document)
    (jobs,) = manifest.jobs
    assert (manifest.site, jobs.ids, jobs.runs) == ("dc1", (job_id,), 3)
    assert manifest.expires - manifest.signed == 12 * 3600
    paths = {one.path for one in jobs.inputs}
    assert paths == user.keys(job_id) - {*SIGNATURE_NAMES, *STATUS_NAMES}
    for one in jobs.inputs:
        if one.sha256 is not None:
            assert hashlib.sha256(content(one.path)).hexdigest() == one.sha256


def test_a_job_is_found_by_its_site_uploaded_and_waits_for_the_site(
    user: User, job_id: str
) -> None:
    _simulation(user.home)
    options = ["--job", job_id, "--priority", "70", "--time-limit", "1h30m"]
    submitted = user.run("submit", "simulation", *options, "--site", "dc1")
    assert submitted.stdout == f"{job_id}\n"
    assert submitted.stderr == ""
    state = user.until(job_id, "JOB_QUEUED")
    assert (state["status"], state["outcome"], state["site"]) == ("pending", None, "dc1")
    assert state["upload"]["time"].endswith("Z")
    told = user.run("status", job_id).stdout
    assert re.search(rf"^ID += {re.escape(job_id)}$", told, re.MULTILINE)
    assert "+09:00" in told
    assert user.keys(job_id) == {
        "aws-job-run.sh",
        "aws-job-stat.json",
        "aws-job-stat.txt",
        "aws-job.json",
        "data/入力.txt",
        "empty/",
        "tool",
    }
    tool = user.stack.client("s3").head_object(Bucket=user.bucket, Key=f"{job_id}/tool")
    assert tool["Metadata"] == {"file-permissions": "0755"}


def test_what_many_jobs_share_is_uploaded_once(user: User, job_id: str) -> None:
    _simulation(user.home)
    mesh = user.home / "mesh"
    (mesh / "empty").mkdir(parents=True)
    mesh.joinpath("big.h5").write_bytes(uuid.uuid4().bytes)
    user.put("shared/a.txt", b"a")
    shared = [
        *("--input", "mesh=data/mesh"),
        *("--input", "mesh/big.h5=copy.h5"),
        *("--input", f"s3://{user.bucket}/shared/a.txt=data/"),
    ]
    s3 = user.stack.client("s3")
    for number in (1, 2):
        name = f"{job_id}-{number}"
        user.run("submit", "simulation", "--job", name, *shared)
        user.until(name, "JOB_QUEUED")
        stated = s3.get_object(Bucket=user.bucket, Key=f"{name}/aws-job.json")["Body"].read()
        rows = {row["to"]: row["from"] for row in json.loads(stated)["inputs"]}
        assert rows["data/"] == "shared/a.txt"
        assert re.fullmatch(r"shared/[0-9a-f]{64}/big\.h5", rows["copy.h5"])
        prefix = re.fullmatch(r"(shared/[0-9a-f]{64}/)mesh/", rows["data/mesh"])
        assert prefix is not None
        for below in (prefix[1], rows["copy.h5"]):
            found = s3.list_object_versions(Bucket=user.bucket, Prefix=below)["Versions"]
            assert len(found) == len({row["Key"] for row in found}), "uploaded twice"
    (mesh / "big.h5").unlink()
    refused = user.run("submit", "simulation", "--input", "./mesh/big.h5=x", expect=1)
    assert "there is no such file here" in refused.stderr


def test_an_active_job_is_not_overwritten_and_can_be_stopped(user: User, job_id: str) -> None:
    _simulation(user.home)
    user.run("submit", "simulation", "--job", job_id)
    user.until(job_id, "JOB_QUEUED")
    refused = user.run("submit", "simulation", "--job", job_id, expect=1)
    assert "still active (JOB_QUEUED)" in refused.stderr
    assert refused.stdout == ""
    assert "asked to stop" in user.run("stop", job_id).stderr
    ended = user.run("wait", job_id, "--timeout", "60", expect=1)
    assert "JOB_STOPPED" in ended.stderr
    assert "has ended: stopped" in ended.stderr
    assert "has ended already" in user.run("stop", job_id).stderr


def test_a_rejected_upload_ends_the_wait_with_every_reason(user: User, job_id: str) -> None:
    _simulation(user.home)
    wrong = ["--queue=--evil", "--account=--evil", "--time-limit=soon"]
    options = ["--job", job_id, *wrong, "--wait"]
    rejected = user.run("submit", "simulation", *options, expect=1)
    assert rejected.stdout == f"{job_id}\n"
    for part in ("FILE_REJECTED", "has ended: rejected", "queue", "account", "time_limit"):
        assert part in rejected.stderr
    document = user.json("wait", job_id, expect=1)
    assert document["outcome"] == "rejected"
    assert len(document["reasons"]) == 3
    assert "Reasons\n" in user.run("status", job_id).stdout


def test_a_corrected_upload_runs_and_an_old_rejection_does_not_end_its_wait(
    user: User, job_id: str
) -> None:
    _simulation(user.home)
    user.run("submit", "simulation", "--job", job_id, "--queue=--evil", "--wait", expect=1)
    waiting = user.start("submit", "simulation", "--job", job_id, "--wait")
    try:
        user.until(job_id, "JOB_QUEUED")
        body = user.stack.client("s3").get_object(Bucket=user.bucket, Key=f"{job_id}/aws-job.json")
        assert json.loads(body["Body"].read()) == {}
        user.run("stop", job_id)
        _, told = waiting.communicate(timeout=240)
    finally:
        waiting.kill()
    assert waiting.returncode == 1
    assert "rejected" not in told
    assert "has ended: stopped" in told


def test_who_breaks_off_a_wait_hears_that_the_job_goes_on(user: User, job_id: str) -> None:
    _simulation(user.home)
    waiting = user.start("submit", "simulation", "--job", job_id, "--wait")
    try:
        assert waiting.stderr is not None
        while "JOB_QUEUED" not in waiting.stderr.readline():
            assert waiting.poll() is None
        waiting.send_signal(signal.SIGINT)
        _, told = waiting.communicate(timeout=240)
    finally:
        waiting.kill()
    assert waiting.returncode == 130
    assert f"job {job_id} goes on" in told
    user.run("stop", job_id)


def test_what_cannot_be_a_job_is_refused_before_anything_is_uploaded(
    user: User, job_id: str
) -> None:
    (user.home / "simulation").mkdir()
    (user.home / "simulation/out").symlink_to("/etc")
    refused = user.run("submit", "simulation", "--job", job_id, expect=1)
    assert "out: it is a link to /etc" in refused.stderr
    assert user.keys(job_id) == set()


def test_results_arrive_once_with_their_modes(user: User, job_id: str) -> None:
    _simulation(user.home)
    user.run("submit", "simulation", "--job", job_id)
    user.until(job_id, "JOB_QUEUED")
    large = os.urandom(9 * 1024 * 1024)
    user.put(f"{job_id}/out/large.bin", large)
    user.put(f"{job_id}/out/run.sh", b"#!/bin/sh\n", Metadata={"file-permissions": "0750"})
    user.put(f"{job_id}/out/empty/", b"")
    user.put(f"{job_id}/aws-job-stdout.txt", b"hello\n")
    got = user.json("get", job_id, "-o", "results")
    results = user.home / "results"
    assert got["files"] == 6
    assert (results / "out/large.bin").read_bytes() == large
    assert (results / "out/run.sh").stat().st_mode & 0o7777 == 0o750
    assert (results / "out/empty").is_dir()
    assert (results / "data/入力.txt").read_text() == "1 2 3\n"
    assert not list(results.rglob("aws-job-stat*"))
    again = user.json("get", job_id, "-o", "results")
    assert (again["files"], again["present"]) == (0, 6)
    user.run("get", job_id, "-o", "some", "--only", "*.bin")
    assert [path.name for path in (user.home / "some").rglob("*.*")] == ["large.bin"]


def test_a_log_is_followed_to_the_end_of_the_job(user: User, job_id: str) -> None:
    _simulation(user.home)
    user.run("submit", "simulation", "--job", job_id)
    user.until(job_id, "JOB_QUEUED")
    user.put(f"{job_id}/aws-job-stdout.txt", b"one\n")
    following = user.start("logs", job_id, "-f")
    try:
        assert following.stdout is not None
        assert following.stdout.readline() == "one\n"
        user.put(f"{job_id}/aws-job-stdout.txt", b"one\ntwo\n")
        user.run("stop", job_id)
        rest, _ = following.communicate(timeout=240)
    finally:
        following.kill()
    assert rest == "two\n"
    assert following.returncode == 0
    assert user.run("logs", job_id).stdout == "one\ntwo\n"
    assert user.run("logs", job_id, "--stderr").stdout == ""
    assert user.json("logs", job_id)["text"] == "one\ntwo\n"


def test_the_table_has_jobs_and_only_jobs_newest_first(user: User, plain_bucket: str) -> None:
    s3 = user.stack.client("s3")
    for number in (2, 1, 3):
        for name in ("0-first", "aws-job-stat.txt", "z/aws-job-stat.txt.bak"):
            s3.put_object(Bucket=plain_bucket, Key=f"p/job{number}/{name}", Body=b"JOB_LOST\n")
        time.sleep(1)  # S3 keeps whole seconds
    rows = user.json("status", "--bucket", plain_bucket, "--prefix", "p/")
    assert [row["job"] for row in rows] == ["p/job3", "p/job1", "p/job2"]
    assert {(row["status"], row["outcome"]) for row in rows} == {("dead", "lost")}
    limited = user.run("status", "--bucket", plain_bucket, "--limit", "1")
    assert limited.stdout.splitlines()[1].startswith("p/job3 ")
    assert "1 of 3 jobs" in limited.stderr
    assert user.json("status", "--bucket", plain_bucket, "--prefix", "q") == []


def test_a_search_for_jobs_does_not_list_what_lies_behind_a_mark(
    user: User, plain_bucket: str
) -> None:
    s3 = user.stack.client("s3")
    names = ["a/aws-job-stat.txt", *(f"a/z{n:04}" for n in range(1100)), "b/aws-job-stat.txt"]
    for name in names:
        s3.put_object(Bucket=plain_bucket, Key=name, Body=b"JOB_QUEUED\n")
    requests: list[str] = []
    s3.meta.events.register("before-call.s3.ListObjectsV2", lambda **_: requests.append("list"))
    listing = over_s3.S3Access(s3, plain_bucket, user.home).reports("", 10)
    assert {report.job for report in listing.reports} == {"a", "b"}
    assert (listing.total, listing.complete, len(requests)) == (2, True, 2)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["status", "no-such-job"], 1, "no job 'no-such-job'"),
        (["wait", "no-such-job"], 1, "no job 'no-such-job'"),
        (["logs", "no-such-job"], 1, "no job 'no-such-job'"),
        (["get", "no-such-job"], 1, "no job 'no-such-job'"),
        (["status", "--site", "kyoto"], 3, "no site 'kyoto'"),
        (["status", "job0001", "--bucket", "no-such-bucket"], 3, "no such bucket"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_what_is_not_there_is_said_with_its_exit_code(
    user: User, arguments: list[str], code: int, said: str
) -> None:
    done = user.run(*arguments, expect=code)
    assert said in done.stderr
    assert done.stdout == ""


def test_a_wait_can_be_interrupted_and_limited(user: User, job_id: str) -> None:
    _simulation(user.home)
    user.run("submit", "simulation", "--job", job_id)
    user.until(job_id, "JOB_QUEUED")
    limited = user.run("wait", job_id, "--timeout", "0.5", expect=1)
    assert "had not ended after 0.5 s" in limited.stderr
    waiting = user.start("wait", job_id)
    assert waiting.stderr is not None
    assert "JOB_QUEUED" in waiting.stderr.readline()
    waiting.send_signal(signal.SIGINT)
    _, told = waiting.communicate(timeout=240)
    assert waiting.returncode == 130
    assert told.splitlines()[-1] == "interrupted"
    assert f"job {job_id} goes on" in told


def test_the_python_client_does_the_same(
    user: User, job_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in user.stack.emulator.environment().items():
        monkeypatch.setenv(name, value)
    client = Client(site="dc1", stack=user.stack.deployment.stack)
    job = client.submit(_simulation(user.home), job=job_id, name="wave", results=["out/**"])
    user.until(job_id, "JOB_QUEUED")
    with pytest.raises(JobActive):
        client.submit(_simulation(user.home), job=job_id)
    assert job_id in {report.job for report in client.jobs(limit=1000).reports}
    user.put(f"{job_id}/aws-job-stderr.txt", b"careful\n")
    assert (job.stdout(), job.stderr()) == ("", "careful\n")
    job.stop()
    assert job.wait(timeout=60).outcome == "stopped"
    assert job.get(user.home / "results", only=["data"]).files == 1


def test_a_right_that_is_missing_is_exit_code_4(user: User) -> None:
    s3 = user.stack.client("s3")

    def refuse(**_: object) -> tuple[Any, dict[str, Any]]:
        answer = Mock(status_code=403)
        return answer, {
            "Error": {"Code": "AccessDenied", "Message": "no"},
            "ResponseMetadata": {"HTTPStatusCode": 403},
        }

    s3.meta.events.register("before-call.s3.GetObject", refuse)
    try:
        with pytest.raises(CloudRefused, match="do not have the right") as refused:
            over_s3.S3Access(s3, user.bucket, user.home).report("job0001")
    finally:  # the emulator's clients are shared by all tests
        s3.meta.events.unregister("before-call.s3.GetObject", refuse)
    assert refused.value.exit_code == 4
