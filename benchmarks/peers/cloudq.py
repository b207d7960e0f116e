"""CloudQ 1.2.0, AIST's and Hitachi's meta scheduler over S3, as a peer.

Its agent removes the directories that a job's manifest names, so it runs as an unprivileged user
in a home of its own, which is thrown away.
"""

from __future__ import annotations

import io
import json
import os
import pwd
import subprocess
import zipfile
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.arrivals import Arrivals
from benchmarks.peers import BENCH_PYTHON
from benchmarks.rig import Rig

USER = "nobody"
_SYSTEM = "site"
_MANIFEST = {
    "jobid": "",
    "jobscript_type": "local",
    "hold_jid": "",
    "array_tid": "",
    "submit_to": _SYSTEM,
    "submit_opt": "",
    "state": "INIT",
    "workdir": "",
    "run_system": "",
    "local_account": "",
    "local_group": "",
    "submit_command": "",
    **dict.fromkeys(
        (
            "time_submit",
            "time_receive",
            "time_ready",
            "time_start",
            "time_stageout_start",
            "time_stageout_finish",
            "time_finish",
        ),
        "-",
    ),
    "size_input": 0,
    "size_output": 0,
    "error_msg": "",
}


def missing() -> str | None:
    """Why CloudQ cannot run here, or None."""
    agent = BENCH_PYTHON.parent / "cloudqd"
    if not agent.exists():
        return f"not installed ({agent}): run `make bench`"
    if os.geteuid() != 0:
        return f"only root can start it as the user {USER}"
    tried = subprocess.run(
        [str(BENCH_PYTHON), "-c", "import cloudq"],
        user=USER,
        group=pwd.getpwnam(USER).pw_gid,
        extra_groups=[],
        cwd="/",
        env={"PATH": "/usr/bin:/bin"},
        capture_output=True,
        check=False,
    )
    if tried.returncode != 0:
        return f"the user {USER} cannot run {BENCH_PYTHON}"
    return None


@dataclass(frozen=True, slots=True)
class CloudQ:
    """Its bucket, and a home for its agent.

    Attributes:
        s3: a client past the proxy.
        bucket: its bucket.
        endpoint_url: where its agent finds S3.
        home: the agent's home, which does not exist yet.
        threads: its setting `num_procs`.
    """

    s3: Any
    bucket: str
    endpoint_url: str
    home: Path
    threads: int

    @staticmethod
    def fresh(rig: Rig, name: str, threads: int) -> CloudQ:
        """One with an empty bucket."""
        s3 = rig.client("s3")
        s3.create_bucket(
            Bucket=name, CreateBucketConfiguration={"LocationConstraint": rig.emulator.region}
        )
        return CloudQ(s3, name, rig.emulator.endpoint_url, rig.directory / name, threads)

    def submit(self, scripts: Mapping[str, str]) -> None:
        """Put jobs as `cloudqcli submit` does; ids of eight hexadecimal digits."""

        def put(pair: tuple[str, str]) -> None:
            job_id, script = pair
            body = script.encode()
            self.s3.put_object(Bucket=self.bucket, Key=f"{job_id}/run.sh", Body=body)
            manifest = _MANIFEST | {"uuid": job_id, "name": "run.sh", "size_input": len(body)}
            self.s3.put_object(
                Bucket=self.bucket,
                Key=f"{job_id}/manifest.json",
                Body=json.dumps(manifest).encode(),
            )

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(put, scripts.items()))

    @contextmanager
    def agent(self, environment: Mapping[str, str]) -> Iterator[None]:
        """Its agent runs meanwhile, looking once a second.

        Args:
            environment: what leads to the scheduler.
        """
        user = pwd.getpwnam(USER)
        self._make_home(user)
        with (self.home / "agent.out").open("wb") as said:
            process = subprocess.Popen(
                [str(BENCH_PYTHON.parent / "cloudqd"), "--daemon"],
                user=user.pw_uid,
                group=user.pw_gid,
                extra_groups=[],
                cwd=self.home,
                env={
                    **environment,
                    "HOME": str(self.home),
                    "AWS_EC2_METADATA_DISABLED": "true",
                },
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )
        try:
            yield
        finally:
            process.terminate()
            process.wait(30)

    def _make_home(self, user: pwd.struct_passwd) -> None:
        settings = self.home / ".cloudq" / "agent"
        credentials = self.home / ".aws"
        for folder in (settings, credentials):
            folder.mkdir(parents=True)
        (settings / "config.ini").write_text(
            f"[default]\nname = {_SYSTEM}\naws_profile = default\n"
            f"cloudq_endpoint_url = {self.endpoint_url}\ncloudq_bucket = {self.bucket}\n"
            "log_level = INFO\n"
            f"[agent]\ntype = slurm\nnum_procs = {self.threads}\ndaemon_interval = 1\n"
            "cloudq_directory = ~/.cloudq\n"
        )
        (credentials / "credentials").write_text(
            "[default]\naws_access_key_id = test\naws_secret_access_key = test\n"
        )
        (credentials / "config").write_text("[default]\nregion = us-east-1\n")
        for path in (self.home, *self.home.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid)

    def arrivals(self, jobs: Collection[str]) -> Arrivals:
        """Counts the jobs that have their results in the bucket."""
        return Arrivals(self.s3, self.bucket, "", [f"{job_id}/output.zip" for job_id in jobs])

    def result(self, job_id: str, name: str) -> bytes | None:
        """A file of a job's results; None if it is not there."""
        try:
            answer = self.s3.get_object(Bucket=self.bucket, Key=f"{job_id}/output.zip")
            with zipfile.ZipFile(io.BytesIO(answer["Body"].read())) as archive:
                return archive.read(name)
        except (KeyError, self.s3.exceptions.NoSuchKey):
            return None
