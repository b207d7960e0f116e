"""The contestants of a burst: jobferry, `sbatch` alone, and the peers, on the same jobs."""

from __future__ import annotations

import math
import subprocess
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.admitted import admit
from benchmarks.arrivals import Arrivals
from benchmarks.bench import Bench
from benchmarks.busy import Busy, watched
from benchmarks.lingering_puller import lingering
from benchmarks.peers import SYNC_SCHEME, cloudq, sync_environment
from tests.schedulers.slurm_cluster import SlurmCluster

_STALLED = 45.0
"""Seconds without any progress after which what is there counts, and the rest is lost."""

_STALLED_PER_JOB = 0.6
"""The same for each job: some contestants submit all before they look after any."""


_WARM = 4
"""Jobs before the clock runs, so that functions and emulator have started."""

LOOP = "sbatch in a loop, no cloud"
OURS = "jobferry, jobs admitted"

PEER_SECONDS = 90.0
"""Seconds after which a peer is stopped; its rate is that of what is there by then."""


@dataclass(frozen=True, slots=True)
class Ran:
    """One contestant's burst.

    Attributes:
        name: who.
        jobs: how many there were.
        seconds: until the last result was there, or until it was stopped.
        right: how many results were there and right.
        busy: how busy the machine was meanwhile.
    """

    name: str
    jobs: int
    seconds: float
    right: int
    busy: Busy

    @property
    def rate(self) -> float:
        """Right results a second."""
        return self.right / max(self.seconds, 0.001)


class Contest:
    """The contestants on one cluster; each burst needs a label of its own."""

    def __init__(self, bench: Bench, cluster: SlurmCluster, site: str) -> None:
        """Take part.

        Args:
            bench: the rig and a directory.
            cluster: the scheduler of all.
            site: the name of jobferry's site.
        """
        self._bench = bench
        self._cluster = cluster
        self._site = bench.rig.site(
            site,
            direct=True,
            scheduler="slurm",
            environment=dict(cluster.environment),
            extra_settings={"max_active": 1000},
        )
        with lingering(self._site):
            self._let_them_end(self._upload("warm", _WARM))

    def sbatch_loop(self, jobs: int, label: str) -> Ran:
        """`sbatch` in a loop, results in directories: no cloud at all."""
        root = self._bench.directory / f"loop-{label}"
        for number in range(jobs):
            folder = root / f"job{number}"
            folder.mkdir(parents=True)
            (folder / "run.sh").write_text(_script(number))
        loop = 'for d in */; do (cd "$d" && sbatch run.sh > /dev/null); done'
        with watched(self._bench.rig.emulator_pid()) as busy:
            begun = time.monotonic()
            subprocess.run(
                ["bash", "-c", loop],
                cwd=root,
                env={**self._cluster.environment, "HOME": str(root)},
                check=True,
            )
            results = [root / f"job{number}" / "result.txt" for number in range(jobs)]
            _until(jobs, lambda: sum(map(_is_whole, results)))
            seconds = time.monotonic() - begun
        right = sum(
            file.read_bytes() == _expected(number)
            for number, file in enumerate(results)
            if file.exists()
        )
        return Ran(LOOP, jobs, seconds, right, busy())

    def jobferry_site(self, jobs: int, label: str) -> Ran:
        """The jobs are admitted; the puller starts."""
        names = [f"site-{label}-{number}" for number in range(jobs)]
        admit(self._bench.rig, self._site, {n: _script(i) for i, n in enumerate(names)})
        with lingering(self._site) as still_there, watched(self._bench.rig.emulator_pid()) as busy:
            seconds = _until(jobs, self._arrivals(names), still_there)
        self._let_them_end(names)
        return Ran(OURS, jobs, seconds, self._right(names), busy())

    def jobferry_from_upload(self, jobs: int, label: str) -> Ran:
        """The puller lingers; the marks are written."""
        with lingering(self._site) as still_there:
            self._let_them_end(self._upload(f"begun-{label}", 1))
            with watched(self._bench.rig.emulator_pid()) as busy:
                begun = time.monotonic()
                names = self._upload(f"all-{label}", jobs)
                uploading = time.monotonic() - begun
                seconds = uploading + _until(jobs, self._arrivals(names), still_there)
        self._let_them_end(names)
        return Ran("jobferry, from the first upload", jobs, seconds, self._right(names), busy())

    def sync_scheme(self, jobs: int, label: str) -> Ran:
        """The reference document's scheme, one pass right after the other."""
        s3, bucket = self._site.s3, f"sync-scheme-{label}"
        region = {"LocationConstraint": self._bench.rig.emulator.region}
        s3.create_bucket(Bucket=bucket, CreateBucketConfiguration=region)
        for number in range(jobs):
            for key, body in {
                "aws-job-run.sh": _script(number),
                "aws-job-stat.txt": "FILE_UPLOAD\n",
            }.items():
                s3.put_object(Bucket=bucket, Key=f"job{number}/{key}", Body=body.encode())
        environment = self._site.cron_environment() | sync_environment(self._site)
        environment |= {
            "S3_JOB_BUCKET_NAME": bucket,
            "JOBS_DIR": str(self._bench.directory / bucket),
        }

        arrived = Arrivals(s3, bucket, "", [f"job{n}/result.txt" for n in range(jobs)])

        def complete() -> int:
            subprocess.run(
                ["bash", str(SYNC_SCHEME)], env=environment, check=True, cwd=self._site.home
            )
            return arrived()

        with watched(self._bench.rig.emulator_pid()) as busy:
            begun = time.monotonic()
            passes = 0
            while complete() < jobs and passes < jobs and time.monotonic() - begun < PEER_SECONDS:
                passes += 1
            seconds = time.monotonic() - begun
        right = sum(
            _body(s3, bucket, f"job{number}/result.txt") == _expected(number)
            for number in range(jobs)
        )
        return Ran("aws s3 sync scheme", jobs, seconds, right, busy())

    def cloudq(self, jobs: int, label: str, threads: int, at_most: float) -> Ran:
        """CloudQ: the jobs are in the bucket; its agent starts; stopped after `at_most` s."""
        peer = cloudq.CloudQ.fresh(self._bench.rig, f"cloudq-{label}-{threads}", threads)
        scripts = {f"{number:08x}": _script(number) for number in range(jobs)}
        peer.submit(scripts)
        with watched(self._bench.rig.emulator_pid()) as busy, peer.agent(self._cluster.environment):
            seconds = _until(jobs, peer.arrivals(list(scripts)), at_most=at_most)
        right = sum(
            peer.result(job_id, "result.txt") == _expected(number)
            for number, job_id in enumerate(scripts)
        )
        return Ran(cloudq_name(threads), jobs, seconds, right, busy())

    def _upload(self, prefix: str, jobs: int) -> list[str]:
        names = [f"{prefix}-{number}" for number in range(jobs)]

        def put(number: int) -> None:
            self._site.upload(names[number], _script(number))

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(put, range(jobs)))
        return names

    def _arrivals(self, names: Sequence[str]) -> Arrivals:
        prefix = names[0].rpartition("-")[0]
        keys = [f"{name}/result.txt" for name in names]
        return Arrivals(self._site.s3, self._site.bucket, f"{prefix}-", keys)

    def _right(self, names: list[str]) -> int:
        s3, bucket = self._site.s3, self._site.bucket
        return sum(
            _body(s3, bucket, f"{name}/result.txt") == _expected(number)
            for number, name in enumerate(names)
        )

    def _let_them_end(self, names: list[str]) -> None:
        """Nothing of a contestant may be at work during the next one's turn."""
        s3, bucket = self._site.s3, self._site.bucket
        deadline = time.monotonic() + 600
        for name in names:
            while _body(s3, bucket, f"{name}/aws-job-stat.txt") != b"JOB_COMPLETE\n":
                self._site.pull()  # beside one that lingers it leaves at once
                if time.monotonic() > deadline:
                    raise AssertionError(
                        f"{name} is not told as complete\n{self._site.log[-2000:]}"
                    )
                time.sleep(0.2)
        self._bench.rig.settle()


def cloudq_name(threads: int) -> str:
    """CloudQ with so many threads, as a contestant."""
    return f"CloudQ 1.2.0, num_procs {threads}"


def _script(number: int) -> str:
    return (
        "#!/bin/bash\n#SBATCH --mem=1M\nsleep 0.1\n"
        f"echo {number} squared is $(({number} ** 2)) > result.txt\n"
    )


def _expected(number: int) -> bytes:
    return f"{number} squared is {number**2}\n".encode()


def _is_whole(file: Path) -> bool:
    try:
        return file.stat().st_size > 0
    except OSError:
        return False


def _until(
    jobs: int,
    count: Callable[[], int],
    check: Callable[[], None] = lambda: None,
    at_most: float = math.inf,
) -> float:
    """Wait until so many are there; the seconds until the last one came.

    A contestant that makes no progress for a while has lost the rest; one that is still at it after
    `at_most` seconds is stopped.
    """
    begun = last = time.monotonic()
    there = 0
    patience = max(_STALLED, _STALLED_PER_JOB * jobs)
    while there < jobs and time.monotonic() - last < patience:
        check()
        if time.monotonic() - begun > at_most:
            return at_most
        now_there = count()
        if now_there > there:
            there, last = now_there, time.monotonic()
        time.sleep(0.1)
    return last - begun


def _body(s3: Any, bucket: str, key: str) -> bytes | None:
    try:
        body: bytes = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
    except s3.exceptions.NoSuchKey:
        return None
    return body
