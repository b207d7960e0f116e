"""Slurm's column: answers in the form recorded from Slurm 22.05.8."""

from __future__ import annotations

from puller.schedulers.runner import CommandMissing
from puller.schedulers.slurm import Slurm
from tests.schedulers.conformance import (
    HUNG,
    SUBMITTED,
    USER,
    WRAPPER,
    Answer,
    Answers,
    Column,
    answered,
)

JOB = "17"

NO_JOBS = answered()
UNKNOWN = answered(code=1, stderr="slurm_load_jobs error: Invalid job id specified\n")
NO_ACCOUNTING = answered(code=1, stderr="Slurm accounting storage is disabled\n")
DATABASE_DOWN = answered(
    code=1, stderr="sacct: error: Problem talking to the database: Connection refused\n"
)
DOWN = answered(
    code=1,
    stderr="slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n",
)


def listing(state: str, reason: str = "None", *, script: str = str(WRAPPER)) -> Answer:
    return answered("\x1f".join((JOB, state, str(SUBMITTED), "N/A", USER, reason, script)) + "\n")


def detail(state: str, exit_code: str, reason: str, *, script: str = str(WRAPPER)) -> Answer:
    return answered(
        f"JobId={JOB} JobName=job0001\n"
        f"   UserId={USER}(1001) GroupId=users(100) MCS_label=N/A\n"
        f"   JobState={state} Reason={reason} Dependency=(null)\n"
        f"   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode={exit_code}\n"
        f"   SubmitTime={SUBMITTED} EligibleTime={SUBMITTED}\n"
        f"   Command={script}\n   WorkDir=/srv/aws-job\n   Power=\n\n\n"
    )


def known(state: str, exit_code: str = "0:0", reason: str = "None") -> Answers:
    return {
        "squeue": listing(state, reason),
        "scontrol": detail(state, exit_code, reason),
    }


def forgotten(accounting: Answer) -> Answers:
    return {"squeue": NO_JOBS, "scontrol": UNKNOWN, "sacct": accounting}


SLURM = Column(
    make=lambda run: Slurm({"PATH": "/usr/bin"}, run=run),
    job_id=JOB,
    met="Slurm 22.05.8 of Debian, real and recorded",
    answers={
        "waits": known("PENDING", reason="Resources"),
        "is held": known("PENDING", reason="JobHeldUser"),
        "runs": known("RUNNING"),
        "is suspended": known("SUSPENDED"),
        "is in a state that is not known": known("REVOKED"),
        "ends well": known("COMPLETED"),
        "ends with 3": known("FAILED", "3:0", "NonZeroExitCode"),
        "ends well, no exit file": known("COMPLETED"),
        "ends with 3, no exit file": known("FAILED", "3:0", "NonZeroExitCode"),
        "kills itself, no exit file": known("FAILED", "0:9", "RaisedSignal:9(Killed)"),
        "has ended just now, no exit file yet": known("COMPLETED"),
        "exceeds its time": known("TIMEOUT", "0:15", "TimeLimit"),
        "exceeds its memory": known("OUT_OF_MEMORY", "0:125", "OutOfMemory"),
        "loses its node": known("NODE_FAIL", "0:0", "NodeDown"),
        "cannot be started": known("FAILED", "0:53", "JobLaunchFailure"),
        "is cancelled while it runs": known("CANCELLED", "0:15"),
        "is cancelled while it waits": known("CANCELLED", "0:0"),
        "is cancelled by others": known("CANCELLED", "0:15"),
        "is requeued, stale exit file": known("PENDING", reason="BeginTime"),
        "id recycled, in the listing": {
            "squeue": listing("RUNNING", script="/home/hanako/other.sh"),
            "scontrol": detail("RUNNING", "0:0", "None", script="/home/hanako/other.sh"),
        },
        "id recycled, in the accounting": forgotten(
            answered(f"{JOB}|COMPLETED|0:0|{SUBMITTED - 86400}|taro\n")
        ),
        "is unknown to all": forgotten(answered()),
        "is unknown to all for long": forgotten(answered()),
        "unknown, no accounting": forgotten(NO_ACCOUNTING),
        "ends with 3, no accounting": forgotten(CommandMissing("sacct is not found")),
        "accounting is down": forgotten(DATABASE_DOWN),
        "controller is down": {"squeue": DOWN, "scontrol": DOWN},
        "listing hangs": {"squeue": HUNG},
        "listing is too long to be read": {"squeue": answered("17", cut=True)},
        "listing is something else": {"squeue": answered("Good morning!\n")},
    },
    absent={
        "depends on what failed": "the job stays PENDING with DependencyNeverSatisfied as its "
        "reason, which users see"
    },
)
