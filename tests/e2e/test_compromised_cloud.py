"""A cloud that was taken over, with all rights on bucket and table, against a site with a policy.

Every script, forged or signed, writes its name into a ledger when it runs.
"""

from __future__ import annotations

import subprocess
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from job_protocol.manifest import Entry, Manifest
from jobferry.signing import Signing
from tests.conftest import DeployedStack
from tests.e2e.shell import Shell
from tests.e2e.trust import Trust
from tests.patience import PATIENCE
from tests.unit.jobferry.signers import make_key

pytestmark = pytest.mark.emulator


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
        retries = 0 if "aws-job.json" in rule else 2
        trust.upload(job, files={"data/a.txt": "a\n"}, **({"retries": retries} if retries else {}))
        attack(trust, job)
        cases[job] = rule
    trust.refused_all(cases)
    assert {trust.site.details(job)["allocation"]["attempt"] for job in cases} == {1}
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
    trust.site.wait_for(job, "JOB_QUEUED")
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
    trust.site.wait_for(job, "JOB_RUNNING", between=trust.site.pull)
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
    deadline = time.monotonic() + PATIENCE
    while trust.ledger != ["first", "second"]:
        assert time.monotonic() < deadline, trust.ledger
        time.sleep(0.1)


def test_a_broken_policy_stops_every_submission_until_it_is_mended(trust: Trust) -> None:
    job = _job()
    trust.upload(job)
    trust.site.mark(job, "FILE_UPLOAD")
    trust.site.wait_for(job, "JOB_QUEUED")
    trust.policy_file.write_text("signatures = required\n")
    said = trust.site.pull(expect=4).stderr
    assert str(trust.policy_file) in said
    assert "nothing is submitted" in said
    trust.policy_file.unlink()
    trust.site.pull(expect=4)
    assert "nothing is submitted" in (trust.sign_of_life["problem"] or "")
    assert trust.ledger == []
    trust.policy()
    assert trust.site.run_to_end(job) == "JOB_COMPLETE"
    assert trust.sign_of_life.get("problem") is None
    assert trust.ledger == [job]


def test_limits_and_quotas_of_the_policy_reach_the_user(trust: Trust) -> None:
    job, waiting = _job(), _job()
    trust.policy("[limits]\ntime_limit = 60\n")
    trust.upload(job, time_limit="2m")
    trust.refused(job, "time_limit is 120 s, and at most 60 s is allowed ([limits] time_limit)")

    trust.policy('environment = ["PATH"]\n[quotas]\njobs_a_day = 0\nbytes_out_a_day = 0\n')
    files = {"aws-job-run.sh": trust.script(waiting, 'echo "home: ${HOME-none}"\n')}
    trust.upload(waiting, files=files)
    trust.site.mark(waiting, "FILE_UPLOAD")
    trust.site.wait_for(waiting, "JOB_QUEUED")
    deadline = time.monotonic() + PATIENCE
    while "jobs_a_day" not in str(trust.site.details(waiting)):
        trust.site.pull()
        assert time.monotonic() < deadline, trust.site.details(waiting)
    assert trust.ledger == []

    def results_wait() -> bool:
        trust.site.pull()
        return "bytes_out_a_day" in str(trust.site.details(waiting))

    trust.policy('environment = ["PATH"]\n[quotas]\njobs_a_day = 1\nbytes_out_a_day = 0\n')
    while not results_wait():
        assert time.monotonic() < deadline + PATIENCE, trust.site.details(waiting)
    assert trust.ledger == [waiting]
    told = trust.site.details(waiting)
    assert (told["word"], told["allocation"]["client_status"]) == ("JOB_RUNNING", "publishing")
    assert "has ended; 0 bytes of results left the site today" in told["message"]
    assert "aws-job-stdout.txt" not in trust.site.keys(waiting)
    trust.policy("audit_objects = true\n")
    assert trust.site.run_to_end(waiting) == "JOB_COMPLETE"
    left, one = trust.audit(waiting, "pushed", "object")
    assert (left["objects"], left["bytes"]) == (1, 11)
    assert (one["path"], one["bytes"]) == ("aws-job-stdout.txt", 11)
    assert trust.site.get(f"{waiting}/aws-job-stdout.txt") == b"home: none\n"


def test_inputs_that_jobs_share_are_signed_too(deployed: DeployedStack, trust: Trust) -> None:
    shell, job = Shell(deployed, trust.site, trust.home), _job()
    trust.site.put(f"{job}-shared/mesh", "mesh\n", ChecksumAlgorithm="SHA256")
    trust.site.put(f"{job}-shared/sub/b", "b\n", Metadata={"file-permissions": "0640"})
    (trust.home / "here").write_text("here\n")
    source = trust.home / "cloud" / job
    source.mkdir(parents=True)
    script = trust.script(job, "cat mesh all/sub/b here > seen\n")
    (source / "aws-job-run.sh").write_text(script)
    shared = (f"{job}-shared/mesh=mesh", f"{job}-shared/=all/", f"{trust.home}/here=here")
    inputs = [word for one in shared for word in ("--input", one)]
    signed = ("--sign", str(trust.keys["alice"]), "--sign-runs", "2", "--via", "s3")
    shell.run("submit", str(source), "--job", job, *inputs, *signed)
    assert trust.site.run_to_end(job, seconds=180) == "JOB_COMPLETE", trust.site.log
    directory = trust.site.jobs_dir / job
    assert (directory / "seen").read_text() == "mesh\nb\nhere\n"
    assert oct((directory / "all/sub/b").stat().st_mode)[-3:] == "640"
    trust.site.put(f"{job}-shared/mesh", "forged\n")
    trust.refused(job, "mesh' is not what was signed")
    assert trust.ledger == [job]


def test_a_session_key_is_trusted_for_so_many_jobs_and_nodes(trust: Trust) -> None:
    key = make_key(trust.home / "keys/session")
    trust.keys["session"] = key
    one, two = _job(), _job()
    trust.upload(one, key="session", signing=Signing(runs=9))
    trust.refused(one, "not a good one of anybody")
    trust.trust("add", f"{key}.pub", "--for", "1h", "--max-jobs", "1", "--max-nodes", "2")
    trust.upload(two, key="session", files={"aws-job.json": '{"resources": {"nodes": 3}}'})
    trust.refused(two, "nodes is 3, and at most 2 is allowed (--max-nodes of its session key)")
    assert trust.run(one) == "JOB_COMPLETE"
    trust.refused(one, "the 1 jobs of session key 'session'")
    trust.trust("remove", "session")
    trust.refused(one, "not a good one of anybody")
    assert trust.ledger == [one]
