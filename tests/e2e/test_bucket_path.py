"""The bucket path on the real stack: files into the bucket, the job on the site, results back."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.e2e.site import Site
from tests.patience import PATIENCE

pytestmark = pytest.mark.emulator

AWS = str(Path(sys.executable).parent / "aws")


def test_the_reference_document_step_by_step_with_the_stock_aws_cli(
    site: Site, tmp_path: Path
) -> None:
    here = tmp_path / "cloud"
    (here / "data").mkdir(parents=True)
    (here / "aws-job-run.sh").write_text(
        "#!/bin/bash\n"
        "mkdir -p out/nested/empty && tr a-z A-Z < data/input.txt > out/nested/result.txt\n"
        "echo '#!/bin/sh' > out/tool.sh && chmod 750 out/tool.sh\n"
        "echo done; echo careful >&2\n"
    )
    (here / "data/input.txt").write_text("hello\n")
    (here / "aws-job-stat.txt").write_text("FILE_UPLOAD\n")

    def aws(*arguments: str) -> None:
        subprocess.run(
            [AWS, *arguments],
            cwd=here,
            check=True,
            capture_output=True,
            env={
                **os.environ,
                "AWS_ENDPOINT_URL": site.endpoint_url,
                "AWS_ACCESS_KEY_ID": "test",
                "AWS_SECRET_ACCESS_KEY": "test",
                "AWS_DEFAULT_REGION": site.region,
            },
        )

    prefix = f"s3://{site.bucket}/job0001"
    aws("s3", "cp", "aws-job-run.sh", f"{prefix}/aws-job-run.sh")
    aws("s3", "cp", "data", f"{prefix}/data", "--recursive")
    aws("s3", "cp", "aws-job-stat.txt", f"{prefix}/aws-job-stat.txt")
    assert site.run_to_end("job0001") == "JOB_COMPLETE"

    aws("s3", "cp", prefix, "results", "--recursive")
    assert (here / "results/out/nested/result.txt").read_text() == "HELLO\n"
    assert (here / "results/aws-job-stdout.txt").read_text() == "done\n"
    assert (here / "results/aws-job-stderr.txt").read_text() == "careful\n"
    assert "out/nested/empty/" in site.keys("job0001")
    tool = site.s3.head_object(Bucket=site.bucket, Key="job0001/out/tool.sh")
    assert tool["Metadata"]["file-permissions"] == "0750"
    assert (site.jobs_dir / "job0001/out/nested/result.txt").read_text() == "HELLO\n"
    details = site.details("job0001")
    assert details["status"] == "dead"
    assert details["outcome"] == "complete"
    assert details["allocation"]["exit_code"] == 0
    assert details["allocation"]["results"]["left_out"] == 0
    assert details["site_last_seen"]

    # Removal, as in the document: first the bucket, then the directory.
    aws("s3", "rm", prefix, "--recursive")
    subprocess.run(["rm", "-r", str(site.jobs_dir / "job0001")], check=True)
    assert site.pull().stderr == ""
    assert site.keys("job0001") == set()
    assert not (site.jobs_dir / "job0001").exists()


def test_unchanged_inputs_are_not_pushed_again(site: Site) -> None:
    site.upload("inputs", "#!/bin/sh\necho new >> b.txt\n", {"a.txt": b"a\n", "b.txt": b"b\n"})
    assert site.run_to_end("inputs") == "JOB_COMPLETE"
    rows = site.s3.list_object_versions(Bucket=site.bucket, Prefix="inputs/")["Versions"]
    versions = [row["Key"] for row in rows]
    assert versions.count("inputs/a.txt") == 1
    assert versions.count("inputs/b.txt") == 2
    assert versions.count("inputs/aws-job-run.sh") == 1
    assert site.get("inputs/b.txt") == b"b\nnew\n"


def test_a_job_that_exits_3_has_failed_with_exit_code_3(site: Site) -> None:
    site.upload("three", "#!/bin/bash\necho partial > part.txt\nexit 3\n")
    assert site.run_to_end("three") == "JOB_FAILED"
    details = site.details("three")
    assert details["allocation"]["exit_code"] == 3
    assert "exit code 3" in details["message"]
    assert site.get("three/part.txt") == b"partial\n"


def test_a_job_id_with_a_space_japanese_and_a_slash(site: Site) -> None:
    job_id = "計算 プロジェクト/job 1"
    site.upload(job_id, "#!/bin/bash\ncat '入力 a.txt' > '結果.txt'; pwd\n", {"入力 a.txt": b"x\n"})
    assert site.run_to_end(job_id) == "JOB_COMPLETE"
    assert site.get(f"{job_id}/結果.txt") == b"x\n"
    assert site.get(f"{job_id}/aws-job-stdout.txt").decode() == f"{site.jobs_dir / job_id}\n"


def test_a_second_upload_runs_again_without_taking_results_for_inputs(site: Site) -> None:
    script = "#!/bin/bash\nls > seen.txt\necho more >> in.txt\necho r > result.txt\n"
    site.upload("again", script, {"in.txt": b"first\n"})
    assert site.run_to_end("again") == "JOB_COMPLETE"
    assert site.get("again/in.txt") == b"first\nmore\n"
    site.mark("again", "FILE_UPLOAD")
    site.wait_for("again", "JOB_QUEUED")
    assert site.run_to_end("again") == "JOB_COMPLETE"
    assert site.details("again")["run"] == 2
    assert "result.txt" not in site.get("again/seen.txt").decode().split()
    assert site.get("again/in.txt") == b"first\nmore\n"
    earlier = list((site.jobs_dir / ".jobferry/earlier/again").iterdir())
    assert len(earlier) == 1
    assert (earlier[0] / "result.txt").read_text() == "r\n"


def test_file_upload_for_an_active_job_changes_nothing_but_says_why(site: Site) -> None:
    site.upload("active", "#!/bin/bash\nwhile [ ! -e go ]; do sleep 0.1; done\n")
    site.wait_for("active", "JOB_RUNNING", between=site.pull)
    site.mark("active", "FILE_UPLOAD")
    deadline = time.monotonic() + PATIENCE
    while "note" not in site.details("active"):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "still active" in site.details("active")["note"]
    site.wait_for("active", "JOB_RUNNING")
    (site.jobs_dir / "active/go").touch()
    assert site.run_to_end("active") == "JOB_COMPLETE"
    assert site.details("active")["run"] == 1


def test_a_running_job_is_stopped_from_the_bucket(site: Site) -> None:
    site.upload("endless", "#!/bin/bash\ntouch started\nsleep 600\n")
    site.wait_for("endless", "JOB_QUEUED")
    site.wait_for("endless", "JOB_RUNNING", between=site.pull)
    site.mark("endless", "JOB_STOP")
    assert site.wait_for("endless", "JOB_STOPPED", between=site.pull)
    assert "started" in site.keys("endless")


def test_one_poisonous_job_does_not_keep_the_next_from_running(site: Site) -> None:
    site.upload("gone", "#!/bin/bash\ntrue\n", {"data.bin": b"x" * 10})
    site.wait_for("gone", "JOB_QUEUED")
    rows = site.s3.list_object_versions(Bucket=site.bucket, Prefix="gone/data.bin")["Versions"]
    site.s3.delete_object(Bucket=site.bucket, Key="gone/data.bin", VersionId=rows[0]["VersionId"])
    site.upload("healthy", "#!/bin/bash\ntrue\n")
    assert site.run_to_end("healthy") == "JOB_COMPLETE"
    assert site.run_to_end("gone") == "JOB_FAILED"
    assert "data.bin" in site.details("gone")["message"]


def test_removal_the_other_way_round_does_no_harm(site: Site) -> None:
    go = site.home / "go"
    site.upload("removed", f"#!/bin/bash\nwhile [ ! -e {go} ]; do sleep 0.1; done\necho x > y\n")
    site.wait_for("removed", "JOB_RUNNING", between=site.pull)
    subprocess.run(["rm", "-r", str(site.jobs_dir / "removed")], check=True)
    go.touch()
    assert site.run_to_end("removed") in ("JOB_COMPLETE", "JOB_FAILED")
    site.upload("removed", "#!/bin/bash\necho x > y\n")
    site.wait_for("removed", "JOB_QUEUED")
    assert site.run_to_end("removed") == "JOB_COMPLETE"
    assert site.get("removed/y") == b"x\n"


def test_patterns_choose_the_results_and_what_is_left_out_is_told(site: Site) -> None:
    site.put("chosen/aws-job.json", '{"results": ["out/**"], "exclude": ["*.tmp"]}')
    site.upload(
        "chosen", "#!/bin/bash\nmkdir out; echo 1 > out/a; echo 2 > out/b.tmp; echo 3 > c\n"
    )
    assert site.run_to_end("chosen") == "JOB_COMPLETE"
    assert "out/a" in site.keys("chosen")
    assert not {"out/b.tmp", "c"} & site.keys("chosen")
    left_out = site.details("chosen")["allocation"]["results"]["left_out_first"]
    assert {entry["path"] for entry in left_out} >= {"out/b.tmp", "c"}


def test_2000_result_files_and_one_of_1_gib_arrive_whole(site: Site) -> None:
    site.upload(
        "large",
        "#!/bin/bash\n"
        "mkdir many; for i in $(seq 2000); do echo $i > many/$i.txt; done\n"
        "python3 - <<'END'\n"
        "import hashlib\n"
        "block = bytes(range(256)) * 4096\n"
        "with open('big.bin', 'wb') as f:\n"
        "    for i in range(1024):\n"
        "        f.write(i.to_bytes(4, 'big') + block[4:])\n"
        "END\n",
    )
    assert site.run_to_end("large", seconds=240) == "JOB_COMPLETE"
    assert site.details("large")["allocation"]["results"]["files"] == 2001
    assert len([k for k in site.keys("large") if k.startswith("many/")]) == 2000
    assert site.get("large/many/1234.txt") == b"1234\n"
    digest = hashlib.sha256()
    body = site.s3.get_object(Bucket=site.bucket, Key="large/big.bin")["Body"]
    for block in body.iter_chunks(1 << 20):
        digest.update(block)
    with (site.jobs_dir / "large/big.bin").open("rb") as file:
        assert digest.hexdigest() == hashlib.file_digest(file, "sha256").hexdigest()
    assert (site.jobs_dir / "large/big.bin").stat().st_size == 1 << 30


def test_two_attempts_when_the_user_asked_for_a_retry(site: Site) -> None:
    site.put("flaky/aws-job.json", '{"retries": {"attempts": 1, "delay": 1}}')
    marker = site.home / "tried"
    site.upload("flaky", f"#!/bin/bash\n[ -e {marker} ] || {{ touch {marker}; exit 5; }}\n")
    assert site.run_to_end("flaky") == "JOB_COMPLETE"
    assert site.details("flaky")["allocation"]["attempt"] == 2
