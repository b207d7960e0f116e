"""The demonstration: one job from the bucket to the site and back, on real parts.

The stack is the synthesized one, the user's side is the stock AWS command line, the site's side is
the puller as cron would start it. Only AWS itself is emulated.
"""

from __future__ import annotations

import contextlib
import filecmp
import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from job_protocol.object_keys import STDOUT, status_details_key, status_word_key
from job_protocol.states import Word
from local_cloud.emulator import CHECKOUT
from local_cloud.errors import DemoFailed
from local_cloud.narration import Narration
from local_cloud.playground import BINARIES, SITE, Playground

JOB = "job0001"

_EXAMPLE = CHECKOUT / "examples" / "heat"
_JOB_SECONDS = 90.0
_LOOK_EVERY = 0.2
_LINGER = 600
_ENDS = frozenset(
    {Word.JOB_COMPLETE, Word.JOB_FAILED, Word.JOB_STOPPED, Word.JOB_LOST, Word.FILE_REJECTED}
)


class Demo:
    """One run of the demonstration in a folder of its own, which it empties first.

    Args:
        playground: the folder with the emulated cloud and the site.
        stream: where the story goes.
    """

    def __init__(self, playground: Playground, stream: TextIO) -> None:
        self._playground = playground
        self._tell = Narration(stream)
        self._user_dir = playground.root / "user"
        self._puller_log = playground.root / "puller.log"

    def run(self) -> None:
        """Run it, and stop everything that it started.

        Raises:
            LocalCloudError: something did not go as it must; the message names the logs.
        """
        root = self._playground.root
        self._playground.emulator.stop()  # what an interrupted run may have left
        shutil.rmtree(root, ignore_errors=True)
        shutil.copytree(_EXAMPLE, self._user_dir)
        try:
            self._play()
        finally:
            self._playground.emulator.stop()
        self._tell.step(
            f"Done in {self._tell.seconds:.0f} s; everything that was started is stopped"
        )
        self._tell.note(f"the results, as the user got them: {_shown(self._user_dir / 'results')}")
        self._tell.note(f"the job directory of the site:     {_shown(self._job_dir)}")
        self._tell.note("`make up` starts an emulated cloud that stays, to play with")

    @property
    def _job_dir(self) -> Path:
        return self._playground.jobs_dir / JOB

    def _play(self) -> None:
        bucket = self._bring_up()
        with self._puller():
            self._submit(bucket)
            self._watch(bucket)
            self._collect(bucket)

    def _bring_up(self) -> str:
        self._tell.step("The cloud: an AWS emulator on loopback, and the real stack deployed to it")
        self._playground.start()
        self._tell.moment(f"emulator at {self._playground.emulator.endpoint_url}")
        deployment = self._playground.deploy({SITE: {}})
        bucket = deployment.buckets[SITE]
        self._tell.moment(f"stack {deployment.stack} deployed")
        self._tell.note(f"bucket of site {SITE}: {bucket}")
        return bucket

    @contextlib.contextmanager
    def _puller(self) -> Iterator[None]:
        self._tell.step("The site: the puller, as cron starts it; it only makes outbound requests")
        settings = _shown(self._playground.settings_file)
        self._tell.command(f"jobferry-puller --settings {settings} pass --linger {_LINGER}")
        with self._puller_log.open("wb") as log:
            process = subprocess.Popen(
                [*self._playground.puller, "pass", "--linger", str(_LINGER)],
                env=self._playground.environment(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._process = process
        try:
            yield
        finally:
            process.terminate()
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _submit(self, bucket: str) -> None:
        self._tell.step(f"The user: submits {JOB} with nothing but `aws s3 cp`")
        job = f"s3://{bucket}/{JOB}"
        self._tell.command(f"cd {_shown(self._user_dir)}; BUCKET={bucket}")
        self._aws("s3", "cp", "aws-job-run.sh", f"{job}/aws-job-run.sh")
        self._aws("s3", "cp", "input", f"{job}/", "--recursive")
        self._tell.command("echo FILE_UPLOAD > aws-job-stat.txt")
        (self._user_dir / "aws-job-stat.txt").write_text("FILE_UPLOAD\n")
        self._aws("s3", "cp", "aws-job-stat.txt", f"{job}/aws-job-stat.txt")

    def _watch(self, bucket: str) -> None:
        self._tell.step(f"The job: what {JOB}/aws-job-stat.txt says, as it happens")
        s3 = self._playground.emulator.client("s3")
        deadline = time.monotonic() + _JOB_SECONDS
        shown = ""
        while shown not in _ENDS:
            word = _text(s3, bucket, status_word_key(JOB)).strip()
            if word != shown:
                self._tell.moment(word)
                shown = word
                continue
            if (code := self._process.poll()) is not None:
                raise self._failure(f"the puller ended with exit code {code}")
            if time.monotonic() > deadline:
                raise self._failure(f"{JOB} is still {shown} after {_JOB_SECONDS:.0f} s")
            time.sleep(_LOOK_EVERY)
        details = json.loads(_text(s3, bucket, status_details_key(JOB)))
        if shown != Word.JOB_COMPLETE:
            pretty = json.dumps(details, indent=2, ensure_ascii=False)
            raise self._failure(f"{JOB} ended with {shown}; its aws-job-stat.json says:\n{pretty}")

    def _collect(self, bucket: str) -> None:
        job = f"s3://{bucket}/{JOB}"
        self._tell.step("The results: what the job printed, and what it wrote, under its prefix")
        self._aws("s3", "cp", f"{job}/{STDOUT}", "-")
        self._aws("s3", "ls", f"{job}/results/", "--recursive")
        self._aws("s3", "cp", f"{job}/results/", "results", "--recursive", "--only-show-errors")
        _compare(self._job_dir / "results", self._user_dir / "results")
        self._tell.note("the same, byte for byte, as in the job directory of the site")

    def _aws(self, *arguments: str) -> None:
        line = shlex.join(["aws", *arguments])
        self._tell.command(line.replace(self._playground.bucket(), "$BUCKET"))
        done = subprocess.run(
            [str(BINARIES / "aws"), *arguments],
            cwd=self._user_dir,
            env=self._playground.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        text = done.stdout.decode(errors="replace").replace("\r", "\n")
        if done.returncode != 0:
            raise self._failure(f"the command ended with {done.returncode}: {text.strip()}")
        lines = [line.rstrip() for line in text.splitlines() if not line.startswith("Completed ")]
        self._tell.output("\n".join(lines))

    def _failure(self, reason: str) -> DemoFailed:
        logs = {
            "puller": self._puller_log,
            "emulator and Lambdas": self._playground.emulator.log_file,
        }
        tails = [f"log of the {name}: {path}\n{_tail(path)}" for name, path in logs.items()]
        return DemoFailed("\n".join([reason, *tails]))


def _text(s3: Any, bucket: str, key: str) -> str:
    return str(s3.get_object(Bucket=bucket, Key=key)["Body"].read().decode())


def _tail(path: Path, lines: int = 10) -> str:
    try:
        last = path.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        return "  (not there)"
    return "\n".join(f"  {line}" for line in last) or "  (empty)"


def _shown(path: Path) -> str:
    here = Path.cwd()
    return shlex.quote(str(path.relative_to(here) if path.is_relative_to(here) else path))


def _compare(site: Path, user: Path) -> None:
    names = {path.relative_to(site) for path in site.rglob("*") if path.is_file()}
    arrived = {path.relative_to(user) for path in user.rglob("*") if path.is_file()}
    same, different, unreadable = filecmp.cmpfiles(
        site, user, [os.fspath(name) for name in names], shallow=False
    )
    if not same or different or unreadable or names != arrived:
        wrong = sorted({*different, *unreadable, *map(os.fspath, names ^ arrived)})
        raise DemoFailed(f"results differ between {site} and {user}: {', '.join(wrong) or 'none'}")
