"""The jobs whose passes are killed: what the user uploads and does, and what must come of it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from job_protocol.object_keys import SCRIPT, SIGNATURE, SIGNED
from job_protocol.signed_manifest import SignedInput, SignedJobs
from jobferry.signing import Signing
from tests.e2e.site import Site
from tests.unit.jobferry.signers import make_key, public_part


@dataclass(frozen=True)
class Scenario:
    """One job from its upload to its end.

    Attributes:
        name: for messages.
        script: the script; `LEDGER` in it stands for a file outside the job directory, to which
            the script appends a line for each execution.
        word: the last word of the status object.
        exit_code: the script's, or None where it is not to be known.
        files: inputs beside the script.
        settings: `aws-job.json`.
        shared: objects by key, which are uploaded before.
        results: what must be in the bucket in the end, byte for byte.
        executions: how often a script of this job must have run, all in all.
        runs: how often the user uploads; all but the last run are never killed.
        stop: whether the user stops the job when it runs.
        aside: how many directories must have been put aside; None for one less than executions.
        lines: what the executions must have appended to the ledger, in any order.
        schedulers: where it is played; empty for all.
    """

    name: str
    script: str
    word: str = "JOB_COMPLETE"
    exit_code: int | None = 0
    files: Mapping[str, bytes] = field(default_factory=dict)
    settings: Mapping[str, object] | None = None
    shared: Mapping[str, bytes] = field(default_factory=dict)
    results: Mapping[str, bytes] = field(default_factory=dict)
    executions: int = 1
    runs: int = 1
    stop: bool = False
    aside: int | None = None
    lines: tuple[str, ...] = ()
    schedulers: tuple[str, ...] = ()

    def upload(self, site: Site, job_id: str, ledger: str) -> None:
        for key, content in self.shared.items():
            site.put(key, content)
        if self.settings is not None:
            site.put(f"{job_id}/aws-job.json", json.dumps(self.settings))
        site.upload(job_id, self.script.replace("LEDGER", ledger), dict(self.files))


@dataclass(frozen=True)
class SignedScenario(Scenario):
    """A job that is signed for one run, on a site that requires signatures."""

    def upload(self, site: Site, job_id: str, ledger: str) -> None:
        key = _require_signatures(site)
        script = self.script.replace("LEDGER", ledger).encode()
        contents = {SCRIPT: script, **self.files}
        inputs = tuple(
            SignedInput(path, hashlib.sha256(contents[path]).hexdigest())
            for path in sorted(contents)
        )
        signing = Signing(key=key)
        jobs = (SignedJobs((job_id,), (), 1, inputs),)
        document = signing.document(jobs, site.name, datetime.now(UTC))
        site.put(f"{job_id}/{SIGNED}", document)
        site.put(f"{job_id}/{SIGNATURE}", signing.signature(document))
        super().upload(site, job_id, ledger)


def _require_signatures(site: Site) -> Path:
    """The key of the one person whose jobs run; makes policy and key at the first call."""
    key = site.home / "signer"
    if not key.exists():
        make_key(key)
        signers, policy = site.home / "signers", site.home / "policy.toml"
        signers.write_text(f"alice {public_part(key)}\n")
        policy.write_text(f'signatures = "required"\nallowed_signers = "{signers}"\n')
        with site.settings_file.open("a") as settings:
            settings.write(f'policy_file = "{policy}"\n')
        site.pull()  # from here on runs are counted
    return key


_RAN = '#!/bin/bash\necho "ran as $$" >> LEDGER\n'

PLAIN = Scenario(
    name="plain",
    script=f"{_RAN}tr a-z A-Z < in.txt > out.txt; sleep 0.2; echo done\n",
    files={"in.txt": b"hello\n"},
    results={"out.txt": b"HELLO\n", "aws-job-stdout.txt": b"done\n"},
)
EXIT_3 = Scenario(
    name="exit 3",
    script=f"{_RAN}echo part > part.txt; sleep 0.2; exit 3\n",
    word="JOB_FAILED",
    exit_code=3,
    results={"part.txt": b"part\n"},
)
STOPPED = Scenario(
    name="stop",
    script=f"{_RAN}echo begun > begun.txt; exec sleep 60\n",
    word="JOB_STOPPED",
    exit_code=None,
    results={"begun.txt": b"begun\n"},
    stop=True,
)
RUN_AGAIN = Scenario(
    name="second run",
    script=(
        f'{_RAN}seen=$(ls | grep -v aws-job); echo "$seen" > seen.txt\n'
        "echo $(($(wc -l < in.txt) + 1)) >> in.txt; sleep 0.2\n"
    ),
    files={"in.txt": b"first\n"},
    results={"in.txt": b"first\n2\n", "seen.txt": b"in.txt\n"},
    executions=2,
    runs=2,
)
MANY_WITH_RETRY = Scenario(
    name="30 results and a retry",
    script=(
        f"{_RAN}sleep 0.2; [ $(wc -l < LEDGER) -ge 2 ] || exit 5\n"
        "mkdir many; for i in {1..30}; do echo $i > many/$i.txt; done\n"
    ),
    settings={"retries": {"attempts": 1, "delay": 1}},
    results={f"many/{n}.txt": f"{n}\n".encode() for n in range(1, 31)},
    executions=2,
)

SIGNED_ONCE = SignedScenario(
    name="signed for one run",
    script=f"{_RAN}tr a-z A-Z < in/a.txt > out.txt; sleep 0.2; echo done\n",
    files={"in/a.txt": b"hello\n"},
    results={"out.txt": b"HELLO\n", "aws-job-stdout.txt": b"done\n"},
)

SHARED = Scenario(
    name="shared input",
    script=f"{_RAN}tr a-z A-Z < mesh/big.h5 > out.txt; sleep 0.2\n",
    settings={"inputs": [{"from": "shared/kill-points/big.h5", "to": "mesh/"}]},
    shared={"shared/kill-points/big.h5": b"mesh\n"},
    results={"out.txt": b"MESH\n"},
)

ARRAY = Scenario(
    name="array and a retry",
    script=(
        '#!/bin/bash\necho "$JOBFERRY_ARRAY_INDEX" >> LEDGER\n'
        "echo $JOBFERRY_ARRAY_INDEX > out.$JOBFERRY_ARRAY_INDEX; sleep 0.2\n"
        "[ $JOBFERRY_ARRAY_INDEX != 2 ] || [ $(grep -c 2 LEDGER) -ge 2 ] || exit 4\n"
    ),
    settings={"count": 4, "retries": {"attempts": 1, "delay": 1}},
    results={
        **{f"out.{n}": f"{n}\n".encode() for n in range(4)},
    },
    executions=5,
    aside=0,
    lines=("0", "1", "2", "2", "3"),
    schedulers=("local", "slurm"),
)

SCENARIOS: tuple[Scenario, ...] = (
    PLAIN,
    EXIT_3,
    STOPPED,
    RUN_AGAIN,
    MANY_WITH_RETRY,
    SHARED,
    ARRAY,
)
