"""PBS' column: answers in the form recorded from OpenPBS 23.06 and PBS Pro 19 and 2021."""

from __future__ import annotations

import time

from puller.schedulers.pbs import Pbs
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

JOB = "17.pbs"

NO_JOBS = answered()
UNKNOWN = answered(code=153, stderr=f"qstat: Unknown Job Id {JOB}\n")
NO_HISTORY = answered(code=1, stderr="qstat: PBS is not configured to maintain job history\n")
DOWN = answered(
    code=111,
    stderr="Connection refused\nqselect: cannot connect to server pbs (errno=111)\n",
)


def _folded(line: str) -> str:
    """As `qstat -f` folds a line: at column 79, and the rest begins with a tab."""
    first, rest = line[:79], line[79:]
    pieces = [rest[n : n + 71] for n in range(0, len(rest), 71)]
    return "\n\t".join([first, *pieces])


def full(
    state: str,
    *,
    substate: int,
    status: int | None = None,
    comment: str = "",
    script: str = str(WRAPPER),
    owner: str = USER,
) -> Answer:
    at = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(SUBMITTED))
    output = f"{WRAPPER.parent}/scheduler.out"
    lines = [
        "    Job_Name = job0001",
        f"    Job_Owner = {owner}@login01.example.org",
        f"    job_state = {state}",
        "    queue = workq",
        "    server = pbs",
        f"    ctime = {at}",
        f"    Output_Path = login01.example.org:{output}",
        "    Resource_List.select = 1:ncpus=1",
        f"    substate = {substate}",
        "    Variable_List = PBS_O_HOME=/home/hanako,PBS_O_LANG=ja_JP.UTF-8,PBS_O_PATH=/home/hana"
        "ko/bin:/usr/local/bin:/usr/bin,PBS_O_WORKDIR=/srv/aws-job/job0001,PBS_O_SYSTEM=Linux",
        *([f"    comment = {comment}"] if comment else []),
        *([f"    Exit_status = {status}"] if status is not None else []),
        f"    Submit_arguments = -N job0001 -j oe -o {output} -S /bin/bash {script}",
        "    project = _pbs_project_default",
    ]
    return answered("\n".join([f"Job Id: {JOB}", *map(_folded, lines), "", ""]))


def listed(answer: Answer) -> Answers:
    return {"qselect": answered(f"{JOB}\n"), "qstat -f": answer}


def gone(history: Answer) -> Answers:
    return {"qselect": NO_JOBS, "qstat -x -f": history, "qstat -f": UNKNOWN}


KILLED_BY_USER = full("F", substate=91, status=0, comment="Job run and terminated")

PBS = Column(
    make=lambda run: Pbs({"PATH": "/usr/bin"}, user=USER, run=run),
    job_id=JOB,
    met="written after a recorded table of OpenPBS 23.06; has met no running PBS here",
    answers={
        "waits": listed(
            full("Q", substate=10, comment="Not Running: Insufficient amount of resource: ncpus")
        ),
        "is held": listed(full("H", substate=20)),
        "runs": listed(full("R", substate=42)),
        "is suspended": listed(full("S", substate=45)),
        "is in a state that is not known": listed(full("M", substate=0)),
        "ends well": gone(UNKNOWN),
        "ends with 3": gone(full("F", substate=93, status=3)),
        "ends well, no exit file": gone(full("F", substate=92, status=0)),
        "ends with 3, no exit file": gone(full("F", substate=93, status=3)),
        "kills itself, no exit file": gone(full("F", substate=93, status=137)),
        "has ended just now, no exit file yet": gone(full("F", substate=92, status=0)),
        "exceeds its time": gone(
            full("F", substate=93, status=-29, comment="job killed: walltime 2 exceeded limit 1")
        ),
        "exceeds its memory": gone(full("F", substate=93, status=-27)),
        "loses its node": gone(full("F", substate=93, status=-4)),
        "cannot be started": gone(full("F", substate=93, status=-1)),
        "depends on what failed": gone(
            full("F", substate=91, comment="Job deleted as result of dependency on job 16.pbs")
        ),
        "is cancelled while it runs": gone(KILLED_BY_USER),
        "is cancelled while it waits": gone(full("F", substate=91)),
        "is cancelled by others": gone(KILLED_BY_USER),
        "is requeued, stale exit file": listed(full("Q", substate=10)),
        "id recycled, in the listing": {
            **listed(full("R", substate=42, script="other.sh")),
            "qstat -x -f": full("R", substate=42, script="other.sh"),
        },
        "id recycled, in the accounting": gone(
            full("F", substate=92, status=0, script="run.sh", owner="taro")
        ),
        "is unknown to all": gone(UNKNOWN),
        "is unknown to all for long": gone(UNKNOWN),
        "unknown, no accounting": gone(NO_HISTORY),
        "ends with 3, no accounting": gone(NO_HISTORY),
        "accounting is down": gone(DOWN),
        "controller is down": {"qselect": DOWN, "qstat": DOWN},
        "listing hangs": {"qselect": HUNG},
        "listing is too long to be read": {
            "qselect": answered(f"{JOB}\n"),
            "qstat": answered("Job Id: 17", cut=True),
        },
        "listing is something else": {"qselect": answered("Good morning!\n")},
    },
)
