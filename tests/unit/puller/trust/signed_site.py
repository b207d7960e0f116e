"""A site with a policy, without a cloud: staged allocations before its gate."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from job_protocol.allocation import Allocation
from jobferry.signing import Signing
from jobferry.stated_settings import Settings as Stated
from jobferry.upload_plan import plan_upload
from puller.job_directory import control_directory
from puller.journal import Journal, Phase, Record
from puller.schedulers.slurm import Slurm
from puller.settings import Settings
from puller.trust.gate import Gate
from puller.workplace import Workplace
from tests.kill_points.world import no_artifacts
from tests.unit.jobferry.signers import public_part

NOW = 1_800_000_000.0
SCRIPT = "#!/bin/sh\ntrue\n"


@dataclass
class SignedSite:
    """The site `dc1`, and `alice`, who signs."""

    home: Path
    key: Path
    now: float = NOW

    def __post_init__(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        self.signers.write_text(f'alice namespaces="jobferry" {public_part(self.key)}\n')
        self.policy()

    @property
    def signers(self) -> Path:
        return self.home / "signers"

    @property
    def settings(self) -> Settings:
        return Settings(
            site="dc1",
            bucket="bucket",
            table="table",
            region="eu-west-1",
            scheduler="local",
            jobs_dir=self.home / "jobs",
            state_dir=self.home / "state",
            policy_file=self.home / "policy.toml",
        )

    def policy(self, more: str = "", *, required: bool = True) -> None:
        signatures = f'signatures = "required"\nallowed_signers = "{self.signers}"\n'
        (self.home / "policy.toml").write_text((signatures if required else "") + more)

    def gate(self) -> Gate:
        """The gate of a new process."""
        return Gate(self.place())

    def place(self) -> Workplace:
        """The workplace of a new process."""
        nothing: Any = None
        journal = Journal(self.settings.state)
        journal.records()  # as a pass begins
        return Workplace(
            settings=self.settings,
            queue=nothing,
            bucket=nothing,
            scheduler=Slurm({}),
            journal=journal,
            installation="here",
            clock=lambda: self.now,
            login_environment=dict,
            artifact_sources=no_artifacts,
        )

    def signed(
        self,
        job: str = "job",
        files: Mapping[str, str] | None = None,
        *,
        signing: Signing | None = None,
        site: str = "dc1",
        at: float | None = None,
        **settings: Any,
    ) -> dict[str, bytes]:
        """What the user uploads."""
        source = self.home / "cloud" / uuid.uuid4().hex
        for path, text in {"aws-job-run.sh": SCRIPT, **(files or {})}.items():
            (source / path).parent.mkdir(parents=True, exist_ok=True)
            (source / path).write_text(text)
            (source / path).chmod(0o640 if path.startswith("data") else 0o644)
        upload = plan_upload(job, source, Stated(**settings))
        made = signing or Signing(key=self.key)
        upload = made.applied_to(upload, site, datetime.fromtimestamp(at or self.now, UTC))
        assert upload.signed is not None
        found = {file.path: file.source.read_bytes() for file in upload.files}
        if upload.settings is not None:
            found["aws-job.json"] = upload.settings
        found["aws-job-signed.txt"] = upload.signed.document
        found["aws-job-signed.txt.sig"] = upload.signed.signature
        return found

    def record(self, job: str = "job", **attributes: Any) -> Record:
        """An allocation that this site has claimed."""
        allocation = Allocation(site="dc1", job=job, id=str(uuid.uuid4()), **attributes)
        return Record(allocation=allocation, token=uuid.uuid4().hex, phase=Phase.STAGING)

    def stage(self, gate: Gate, record: Record, files: Mapping[str, bytes]) -> None:
        """What the puller does with whatever the cloud gives it."""
        directory = gate.staging_directory(record)
        directory.prepare(record.id, datetime.fromtimestamp(self.now, UTC))
        control_directory(self.settings.jobs_dir, record.id)
        for path, content in files.items():
            with directory.tree.folder(path.rpartition("/")[0], create=True):
                pass
            directory.tree.write(path, content, mode=0o644)
