"""A site for end-to-end tests: a puller that is started as cron starts it, against a real stack."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from tests.conftest import DeployedStack
    from tests.emulator.api_client import ApiClient

from job_protocol import table_keys
from tests.conftest import DeployedStack
from tests.patience import PATIENCE

CHECKOUT = Path(__file__).parents[2]
ADMITTED = ("JOB_QUEUED", "JOB_SUBMITTED", "JOB_RUNNING")
DEAD = ("JOB_COMPLETE", "JOB_FAILED", "JOB_STOPPED", "JOB_LOST", "FILE_REJECTED")


@dataclass
class Site:
    """One site with its puller; `home` is the account's home directory."""

    home: Path
    bucket: str
    table: str
    endpoint_url: str
    region: str
    s3: Any
    scheduler: str = "local"
    name: str = "dc1"
    extra_settings: dict[str, Any] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        settings = {
            "site": self.name,
            "bucket": self.bucket,
            "table": self.table,
            "region": self.region,
            "endpoint_url": self.endpoint_url,
            "scheduler": self.scheduler,
            "jobs_dir": str(self.jobs_dir),
            "state_dir": str(self.home / "state"),
            "lock_dir": str(self.home / "locks"),
            **self.extra_settings,
        }
        lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
        self.settings_file.write_text("\n".join(lines) + "\n", encoding="utf-8")

    @classmethod
    def of(cls, deployed: DeployedStack, home: Path, **more: Any) -> Self:
        """A site of a deployed stack, `dc1` if `name` is not given; `more` are its attributes."""
        return cls(
            home=home,
            bucket=deployed.buckets[more.get("name", "dc1")],
            table=deployed.table,
            endpoint_url=deployed.emulator.endpoint_url,
            region=deployed.emulator.region,
            s3=deployed.client("s3"),
            **more,
        )

    @property
    def settings_file(self) -> Path:
        return self.home / "puller.toml"

    @property
    def puller(self) -> list[str]:
        return [sys.executable, "-m", "puller", "--settings", str(self.settings_file)]

    @property
    def jobs_dir(self) -> Path:
        return self.home / "aws-job"

    @property
    def log(self) -> str:
        path = self.home / "state" / "puller.log"
        return path.read_text() if path.exists() else ""

    def cron_environment(self) -> dict[str, str]:
        """What cron gives a command, and the credentials that a profile would give."""
        return {
            "HOME": str(self.home),
            "LOGNAME": "root",
            "PATH": "/usr/bin:/bin",
            "SHELL": "/bin/sh",
            "PYTHONPATH": str(CHECKOUT),
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_EC2_METADATA_DISABLED": "true",
            **self.environment,
        }

    def pull(self, *arguments: str, expect: int = 0) -> subprocess.CompletedProcess[str]:
        """One pass, as cron starts it. Silent when all is well."""
        done = subprocess.run(
            [*self.puller, "pass", *arguments],
            env=self.cron_environment(),
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == expect, f"{done.returncode}\n{done.stderr}\n{self.log}"
        return done

    # ---- the user's side ----

    def put(self, key: str, body: bytes | str, **arguments: Any) -> str:
        content = body.encode() if isinstance(body, str) else body
        answer = self.s3.put_object(Bucket=self.bucket, Key=key, Body=content, **arguments)
        return str(answer["VersionId"])

    def upload(self, job_id: str, script: str, files: dict[str, bytes] | None = None) -> None:
        """The reference document's steps: script, files, and last the mark."""
        self.put(f"{job_id}/aws-job-run.sh", script)
        for path, body in (files or {}).items():
            self.put(f"{job_id}/{path}", body)
        self.mark(job_id, "FILE_UPLOAD")

    def mark(self, job_id: str, word: str) -> None:
        self.put(f"{job_id}/aws-job-stat.txt", f"{word}\n")

    def get(self, key: str) -> bytes:
        body: bytes = self.s3.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return body

    def word(self, job_id: str) -> str:
        return self.get(f"{job_id}/aws-job-stat.txt").decode().strip()

    def details(self, job_id: str) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.get(f"{job_id}/aws-job-stat.json"))
        return document

    def keys(self, job_id: str) -> set[str]:
        found: set[str] = set()
        for page in self.s3.get_paginator("list_objects_v2").paginate(
            Bucket=self.bucket, Prefix=f"{job_id}/"
        ):
            found |= {row["Key"].removeprefix(f"{job_id}/") for row in page.get("Contents", [])}
        return found

    def wait_for(
        self,
        job_id: str,
        *words: str,
        seconds: float = PATIENCE,
        between: Callable[[], object] | None = None,
    ) -> str:
        """Wait until the status word is one of these; make a pass between two looks if asked."""
        deadline = time.monotonic() + seconds
        while True:
            word = self.word(job_id)
            if word in words:
                return word
            assert time.monotonic() < deadline, (
                f"{job_id} is {word}, not {words}\n{self.details(job_id)}\n{self.log}"
            )
            if between is not None:
                between()
            time.sleep(0.2)

    def run_to_end(self, job_id: str, seconds: float = PATIENCE) -> str:
        """Wait for admission, then pass until the job is dead."""
        self.wait_for(job_id, *ADMITTED, *DEAD)
        return self.wait_for(job_id, *DEAD, seconds=seconds, between=self.pull)

    def finish(self, api: ApiClient, job_id: str) -> dict[str, Any]:
        """Pass until the API says that the job is dead."""
        job: dict[str, Any] = {}
        for _ in range(200):
            self.pull()
            job = api.get(f"/v1/job/{job_id}/wait", seconds=1)
            if job["Status"] == "dead":
                return job
        raise AssertionError(f"{job}\n{self.log}")


def forget_heartbeats(stack: DeployedStack, site: str) -> None:
    """As if no puller of the site had ever run, whatever other tests did."""
    dynamodb = stack.client("dynamodb")
    partition = table_keys.heartbeat_partition(site)
    rows = dynamodb.query(
        TableName=stack.table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": {"S": partition}},
    )["Items"]
    for row in rows:
        key = {"pk": row["pk"], "sk": row["sk"]}
        dynamodb.delete_item(TableName=stack.table, Key=key)
