"""A site that runs nothing unsigned, its honest user, and a cloud that was taken over."""

from __future__ import annotations

import json
import subprocess
import time
import uuid
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.states import ClientStatus, Desired
from jobferry.signing import Signing
from jobferry.stated_settings import Settings
from jobferry.upload_plan import plan_upload
from tests.e2e.site import DEAD, Site
from tests.patience import PATIENCE

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

    @property
    def sign_of_life(self) -> dict[str, Any]:
        """What the puller told last of itself."""
        answer = self.dynamodb.query(
            TableName=self.site.table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={
                ":pk": {"S": table_keys.heartbeat_partition(self.site.name)}
            },
        )
        found = [dynamodb_json.decode(item) for item in answer["Items"]]
        return max(found, key=lambda item: item["at"])

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
        self.site.wait_for(job, "JOB_QUEUED", *DEAD)
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
            self.site.wait_for(job, "JOB_QUEUED", *DEAD)
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
        deadline = time.monotonic() + PATIENCE
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
