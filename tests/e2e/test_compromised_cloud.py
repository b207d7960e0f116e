"""A cloud that was taken over, with all rights on bucket and table, against a site with a policy.

Every script, forged or signed, writes its name into a ledger when it runs.
"""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from job_protocol import dynamodb_json, table_keys
from job_protocol.manifest import Entry, Manifest
from job_protocol.states import ClientStatus, Desired
from jobferry.signing import Signing
from jobferry.stated_settings import Settings
from jobferry.upload_plan import plan_upload
from tests.conftest import DeployedStack
from tests.e2e.site import DEAD, Site
from tests.unit.jobferry.signers import make_key, public_part

pytestmark = pytest.mark.emulator

POLICY = """
signatures = "required"
allowed_signers = "{signers}"
"""


@dataclass
class Trust:
    """A site that runs nothing that `alice` has not signed, and the cloud that was taken over."""

    site: Site
    home: Path
    dynamodb: Any
    keys: dict[str, Path] = field(default_factory=dict)

    @property
    def policy_file(self) -> Path:
        return self.home / "policy.toml"

    @property
    def ledger(self) -> list[str]:
        path = self.home / "ledger"
        return path.read_text().split() if path.exists() else []

    @property
    def held(self) -> set[str]:
        """The allocations that the puller holds."""
        return {path.stem for path in (self.site.home / "state/journal").iterdir()}

    def script(self, name: str, more: str = "") -> str:
        return f"#!/bin/sh\necho {name} >> {self.home}/ledger\n{more}"

    def policy(self, more: str = "") -> None:
        text = POLICY.format(signers=self.home / "signers") + more
        self.policy_file.write_text(text)

    def trust(self, *words: str) -> None:
        subprocess.run(
            [*self.site.puller, "trust", *words],
            env=self.site.cron_environment(),
            check=True,
            capture_output=True,
        )

    def audit(self, job: str, *events: str) -> list[dict[str, Any]]:
        """The entries of these events, one each, in a log whose chain is sound."""
        subprocess.run(
            [*self.site.puller, "audit", "verify"],
            env=self.site.cron_environment(),
            check=True,
            capture_output=True,
        )
        log = (self.site.home / "state/audit.log").read_text()
        entries = [json.loads(line) for line in log.splitlines()]
        found = [e for e in entries if e.get("job") == job and e["event"] in events]
        assert [entry["event"] for entry in found] == list(events)
        return found

    # ---- the honest user ----

    def upload(
        self,
        job: str,
        *,
        name: str | None = None,
        files: dict[str, str] | None = None,
        key: str = "alice",
        site: str = "dc1",
        at: datetime | None = None,
        signing: Signing | None = None,
        **settings: Any,
    ) -> None:
        """Everything that `jobferry submit --sign` uploads, without the mark."""
        source = self.home / "cloud" / uuid.uuid4().hex
        for path, text in {"aws-job-run.sh": self.script(name or job), **(files or {})}.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(text)
        signing = replace(signing or Signing(), key=self.keys[key])
        upload = plan_upload(job, source, Settings(**settings))
        upload = signing.applied_to(upload, site, at or datetime.now(UTC))
        assert upload.signed is not None
        for file in upload.files:
            self.site.put(f"{job}/{file.path}", file.source.read_bytes())
        if upload.settings is not None:
            self.site.put(f"{job}/aws-job.json", upload.settings)
        self.site.put(f"{job}/aws-job-signed.txt", upload.signed.document)
        self.site.put(f"{job}/aws-job-signed.txt.sig", upload.signed.signature)

    def run(self, job: str) -> str:
        self.site.mark(job, "FILE_UPLOAD")
        self.site.wait_for(job, "JOB_QUEUED", *DEAD, seconds=20)
        return self.site.run_to_end(job)

    def refused(self, job: str, rule: str) -> None:
        """The job comes to the site, which refuses it, and its user is told why."""
        before = self.ledger
        assert self.run(job) == "JOB_FAILED"
        self.told(job, rule)
        assert self.ledger == before

    def refused_all(self, rules: dict[str, str]) -> None:
        """All of these jobs, by id, come to the site, which refuses each for its rule."""
        before = self.ledger
        for job in rules:
            self.site.mark(job, "FILE_UPLOAD")
        for job in rules:
            self.site.wait_for(job, "JOB_QUEUED", *DEAD, seconds=30)
        for job, rule in rules.items():
            assert self.site.run_to_end(job) == "JOB_FAILED"
            self.told(job, rule)
        assert self.ledger == before

    def told(self, job: str, rule: str) -> None:
        reason = self.site.details(job)["allocation"]["reason"]
        assert reason.startswith("refused by the policy of site dc1: "), reason
        assert rule in reason

    # ---- the cloud that was taken over ----

    def delete(self, key: str) -> None:
        self.site.s3.delete_object(Bucket=self.site.bucket, Key=key)

    def allocation(self, job: str) -> dict[str, Any]:
        """The item of a job's newest allocation."""
        found = []
        for digit in "0123456789abcdef":
            partition = f"A#{self.site.name}#{digit}"
            answer = self.dynamodb.query(
                TableName=self.site.table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": partition}},
            )
            found += [dynamodb_json.decode(item) for item in answer["Items"]]
        mine = [item for item in found if item["job"] == job]
        return max(mine, key=lambda item: item.get("run", 1))

    def offer(self, item: dict[str, Any], *, under: str | None = None, **changes: Any) -> None:
        """Put an allocation into the queue, as if nobody had claimed it yet; `under` another id."""
        fresh = {**item, **changes}
        for name in ("token", "installation", "submitting", "ended_at", "scheduler_id", "reason"):
            fresh.pop(name, None)
        key = table_keys.allocation(self.site.name, under or fresh["id"])
        fresh |= {
            "pk": key.pk,
            "sk": key.sk,
            "client_status": ClientStatus.PENDING,
            "desired": Desired.RUN,
            "qpk": table_keys.queue_partition(self.site.name),
            "qsk": table_keys.queue_pending(50, 1),
        }
        self.dynamodb.put_item(TableName=self.site.table, Item=dynamodb_json.encode(fresh))

    def until_ended(self, allocation: str) -> dict[str, Any]:
        deadline = time.monotonic() + 60
        key = table_keys.allocation(self.site.name, allocation)
        while True:
            self.site.pull()
            answer = self.dynamodb.get_item(
                TableName=self.site.table,
                Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
                ConsistentRead=True,
            )
            item = dynamodb_json.decode(answer["Item"])
            if ClientStatus(item["client_status"]).terminal:
                return item
            assert time.monotonic() < deadline, (item, self.site.log)
            time.sleep(0.2)


@pytest.fixture
def trust(deployed: DeployedStack, tmp_path: Path) -> Trust:
    home = tmp_path / "trust"
    keys = {name: make_key(home / "keys" / name) for name in ("alice", "mallory")}
    site = Site.of(
        deployed,
        tmp_path / "home",
        extra_settings={"policy_file": str(home / "policy.toml")},
    )
    made = Trust(site, home, deployed.client("dynamodb"), keys)
    (home / "signers").write_text(f'alice namespaces="jobferry" {public_part(keys["alice"])}\n')
    made.policy()
    site.pull()  # from here on runs are counted
    return made


def _job() -> str:
    return f"trust-{uuid.uuid4().hex[:8]}"


def test_a_signed_job_runs_once_and_not_a_second_time(trust: Trust) -> None:
    job = _job()
    trust.upload(job, files={"data/a.txt": "a\n", "tool": "#!/bin/sh\n"})
    assert trust.run(job) == "JOB_COMPLETE"
    assert trust.ledger == [job]
    directory = trust.site.jobs_dir / job
    assert (directory / "data/a.txt").read_text() == "a\n"
    assert oct((directory / "data/a.txt").stat().st_mode)[-3:] == "644"
    assert trust.site.details(job)["allocation"]["results"]["files"] == 0  # inputs are no results
    trust.refused(job, "it was signed for 1 run")
    submitted, refused = trust.audit(job, "submitted", "refused")
    assert submitted["signer"] == "alice"
    assert "it was signed for 1 run" in refused["reason"]


BUCKET_ATTACKS: dict[str, Callable[[Trust, str], object]] = {
    "input 'aws-job-run.sh' is not what was signed": lambda t, job: t.site.put(
        f"{job}/aws-job-run.sh", t.script("forged")
    ),
    "input 'data/a.txt' is not what was signed": lambda t, job: t.site.put(
        f"{job}/data/a.txt", "b\n"
    ),
    "'extra.sh' is not in what was signed": lambda t, job: t.site.put(f"{job}/extra.sh", "x"),
    "'extra/' is not in what was signed": lambda t, job: t.site.put(f"{job}/extra/", ""),
    "'aws-job.json' is not in what was signed": lambda t, job: t.site.put(
        f"{job}/aws-job.json", "{}"
    ),
    "'data/a.txt' was signed and is not there": lambda t, job: t.delete(f"{job}/data/a.txt"),
    "it is not signed": lambda t, job: t.delete(f"{job}/aws-job-signed.txt"),
    "not a good one of anybody": lambda t, job: t.site.put(f"{job}/aws-job-signed.txt.sig", "x"),
}


def test_what_is_changed_in_the_bucket_does_not_run(trust: Trust) -> None:
    cases = {}
    for rule, attack in BUCKET_ATTACKS.items():
        job = _job()
        trust.upload(job, files={"data/a.txt": "a\n"})
        attack(trust, job)
        cases[job] = rule
    trust.refused_all(cases)
    assert not any((trust.site.jobs_dir / job).exists() for job in cases)


def test_signatures_of_others_for_others_and_of_other_times_do_not_count(trust: Trust) -> None:
    past = datetime.now(UTC) - timedelta(days=30)
    cases = {}
    for rule, changes in {
        "not a good one of anybody": {"key": "mallory"},
        "signed for site 'osaka'": {"site": "osaka"},
        "expired at": {"at": past, "signing": Signing(expires=3600)},
        "before this site began": {"at": past, "signing": Signing(expires=90 * 24 * 3600)},
    }.items():
        job = _job()
        trust.upload(job, **changes)
        cases[job] = rule
    job, copied = _job(), _job()
    trust.upload(job)
    for name in ("aws-job-run.sh", "aws-job-signed.txt", "aws-job-signed.txt.sig"):
        trust.site.put(f"{copied}/{name}", trust.site.get(f"{job}/{name}"))
    cases[copied] = "signed for other jobs"
    wrong = subprocess.run(
        ["ssh-keygen", "-Y", "sign", "-f", str(trust.keys["alice"]), "-n", "git"],
        input=trust.site.get(f"{job}/aws-job-signed.txt"),
        capture_output=True,
        check=True,
    )
    trust.site.put(f"{job}/aws-job-signed.txt.sig", wrong.stdout)
    cases[job] = "not a good one"
    trust.refused_all(cases)


def test_what_is_changed_in_the_table_does_not_count(trust: Trust) -> None:
    job = _job()
    trust.upload(job, files={"data/a.txt": "a\n"}, name="signed", results=["out/**"])
    trust.site.mark(job, "FILE_UPLOAD")
    trust.site.wait_for(job, "JOB_QUEUED", seconds=20)
    item = trust.allocation(job)

    # Another version of an input than the one that was signed.
    forged = trust.site.put(f"{job}/aws-job-run.sh", trust.script("forged"))
    entries = Manifest.unpack(bytes(item["manifest"])).entries
    swapped = tuple(
        Entry(e.path, forged, len(trust.script("forged"))) if e.path == "aws-job-run.sh" else e
        for e in entries
    )
    trust.offer(item, manifest=Manifest(swapped).pack())
    assert "'aws-job-run.sh' is not what was signed" in trust.until_ended(item["id"])["reason"]
    assert trust.ledger == []

    # Other settings: the signed file counts. Of its results, only out/** would leave the site.
    trust.offer(item, settings={"queue": "expensive", "name": "x", "results": ["**"]})
    ended = trust.until_ended(item["id"])
    assert ended["client_status"] == "complete"
    assert trust.ledger == ["signed"]
    assert trust.site.details(job)["allocation"]["id"] == item["id"]
    assert "aws-job-allocation.json" not in trust.site.keys(job)

    # The same allocation once more, and a new one of the same upload.
    trust.offer(item)
    assert "took place already" in trust.until_ended(item["id"])["reason"]
    again = str(uuid.uuid4())
    trust.offer(item, id=again)
    assert "took place already" in trust.until_ended(again)["reason"]
    assert trust.ledger == ["signed"]


def test_the_files_of_a_job_that_runs_cannot_be_exchanged(trust: Trust) -> None:
    job = _job()
    go = trust.home / "go"
    wait = f'while [ ! -e {go} ]; do sleep 0.1; done\nsh "$PWD/step/2.sh"\n'
    files = {"aws-job-run.sh": trust.script("first", wait), "step/2.sh": trust.script("second")}
    trust.upload(job, files=files, signing=Signing(runs=5))
    trust.site.mark(job, "FILE_UPLOAD")
    trust.site.wait_for(job, "JOB_RUNNING", seconds=30, between=trust.site.pull)
    item = trust.allocation(job)

    # Further allocations: of the same job with forged inputs, and of a job inside its directory.
    script = trust.script("forged")
    forged = str(uuid.uuid4())
    version = trust.site.put(f"{job}/step/2.sh", script)
    manifest = Manifest((Entry("step/2.sh", version, len(script)),)).pack()
    trust.offer(item, id=forged, manifest=manifest)
    assert "refused by the policy" in trust.until_ended(forged)["reason"]
    # Items that call themselves what they are not, and another way to write an id.
    for under in (str(uuid.uuid4()), item["id"].upper(), item["id"].replace("-", "")):
        trust.offer(item, under=under, manifest=manifest)
        trust.site.pull()
        assert (trust.site.jobs_dir / job / "step/2.sh").read_text() == trust.script("second")
    trust.site.pull()
    assert item["id"] in trust.held
    inside = f"{job}/step"
    trust.upload(inside, name="inside")
    trust.site.put(f"{inside}/2.sh", script)
    same = str(uuid.uuid4())
    trust.offer(item, id=same)
    trust.site.pull()
    assert (trust.site.jobs_dir / job / "step/2.sh").read_text() == trust.script("second")
    assert "is still held at this site" in trust.site.log
    # An end that the site has not seen.
    trust.dynamodb.update_item(
        TableName=trust.site.table,
        Key={"pk": {"S": item["pk"]}, "sk": {"S": item["sk"]}},
        UpdateExpression="SET client_status = :c",
        ExpressionAttributeValues={":c": {"S": "complete"}},
    )
    trust.site.pull()
    assert (trust.site.jobs_dir / job / "step/2.sh").read_text() == trust.script("second")
    assert item["id"] in trust.held
    go.touch()
    deadline = time.monotonic() + 30
    while trust.ledger != ["first", "second"]:
        assert time.monotonic() < deadline, trust.ledger
        time.sleep(0.1)


def test_a_broken_policy_stops_every_submission_until_it_is_mended(trust: Trust) -> None:
    job = _job()
    trust.upload(job)
    trust.site.mark(job, "FILE_UPLOAD")
    trust.site.wait_for(job, "JOB_QUEUED", seconds=20)
    trust.policy_file.write_text("signatures = required\n")
    said = trust.site.pull(expect=4).stderr
    assert str(trust.policy_file) in said
    assert "nothing is submitted" in said
    trust.policy_file.unlink()
    trust.site.pull(expect=4)
    assert trust.ledger == []
    trust.policy()
    assert trust.site.run_to_end(job) == "JOB_COMPLETE"
    assert trust.ledger == [job]


def test_limits_and_quotas_of_the_policy_reach_the_user(trust: Trust) -> None:
    job, waiting = _job(), _job()
    trust.policy("[limits]\ntime_limit = 60\n")
    trust.upload(job, time_limit="2m")
    trust.refused(job, "time_limit is 120, and at most 60 is allowed")

    trust.policy('environment = ["PATH"]\n[quotas]\njobs_a_day = 0\nbytes_out_a_day = 0\n')
    files = {"aws-job-run.sh": trust.script(waiting, 'echo "home: ${HOME-none}"\n')}
    trust.upload(waiting, files=files)
    trust.site.mark(waiting, "FILE_UPLOAD")
    trust.site.wait_for(waiting, "JOB_QUEUED", seconds=20)
    deadline = time.monotonic() + 30
    while "jobs_a_day" not in str(trust.site.details(waiting)):
        trust.site.pull()
        assert time.monotonic() < deadline, trust.site.details(waiting)
    assert trust.ledger == []

    def results_wait() -> bool:
        trust.site.pull()
        return "bytes_out_a_day" in str(trust.site.details(waiting))

    trust.policy('environment = ["PATH"]\n[quotas]\njobs_a_day = 1\nbytes_out_a_day = 0\n')
    while not results_wait():
        assert time.monotonic() < deadline + 30, trust.site.details(waiting)
    assert trust.ledger == [waiting]
    assert "aws-job-stdout.txt" not in trust.site.keys(waiting)
    trust.policy("audit_objects = true\n")
    assert trust.site.run_to_end(waiting) == "JOB_COMPLETE"
    left, one = trust.audit(waiting, "pushed", "object")
    assert (left["objects"], left["bytes"]) == (1, 11)
    assert (one["path"], one["bytes"]) == ("aws-job-stdout.txt", 11)
    assert trust.site.get(f"{waiting}/aws-job-stdout.txt") == b"home: none\n"


def test_a_session_key_is_trusted_for_so_many_jobs_and_nodes(trust: Trust) -> None:
    key = make_key(trust.home / "keys/session")
    trust.keys["session"] = key
    one, two = _job(), _job()
    trust.upload(one, key="session", signing=Signing(runs=9))
    trust.refused(one, "not a good one of anybody")
    trust.trust("add", f"{key}.pub", "--for", "1h", "--max-jobs", "1", "--max-nodes", "2")
    trust.upload(two, key="session", files={"aws-job.json": '{"resources": {"nodes": 3}}'})
    trust.refused(two, "nodes is 3, and at most 2 is allowed")
    assert trust.run(one) == "JOB_COMPLETE"
    trust.refused(one, "the 1 jobs of session key 'session'")
    trust.trust("remove", "session")
    trust.refused(one, "not a good one of anybody")
    assert trust.ledger == [one]
