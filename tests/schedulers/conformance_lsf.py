"""LSF in the conformance suite. Every answer is written from manuals: none was recorded."""

from __future__ import annotations

import json

from puller.schedulers.lsf import Lsf
from puller.schedulers.lsf_answers import FIELDS
from puller.schedulers.runner import CommandMissing
from tests.schedulers.conformance import CONTROL, HUNG, SUBMITTED, USER, Answers, Column, answered

JOB_ID = "2701"
_OURS = f"jobferry {CONTROL.name}"
_LIST = f"bjobs -a -json -o {FIELDS}"
_ONE = f"{_LIST} {JOB_ID}"
_DENIED = answered(
    json.dumps({"RECORDS": [{"JOBID": JOB_ID, "ERROR": f"Job <{JOB_ID}> is not found"}]}), code=255
)
_NO_JOBS = answered(json.dumps({"COMMAND": "bjobs", "JOBS": 0, "RECORDS": []}))
_DOWN = answered(code=255, stderr="LSF is down. Please wait ...\n")
_FORGOTTEN: Answers = {_LIST: _NO_JOBS, _ONE: _DENIED}
_NOT_IN_HISTORY = answered(code=255, stderr="No matching job found\n")


def _shown(state: str, *, code: str = "", reason: str = "", description: str = _OURS) -> Answers:
    record = {
        "JOBID": JOB_ID,
        "STAT": state,
        "USER": USER,
        "EXIT_CODE": code,
        "SUBMIT_TIME": "Nov 21 22:33",
        "JOB_DESCRIPTION": description,
        "EXIT_REASON": reason if state == "EXIT" else "",
        "PEND_REASON": reason if state == "PEND" else "",
    }
    return {_LIST: answered(json.dumps({"COMMAND": "bjobs", "JOBS": 1, "RECORDS": [record]}))}


def _remembered(end: str, *, description: str = _OURS) -> Answers:
    text = (
        f"Job <{JOB_ID}>, Job Name <job0001>, User <{USER}>, Project <default>, "
        f"Command <#!/bin/bash>, Job Description <{description}>\n"
        f"Sat Nov 21 22:33:20: Submitted from host <login1>, to Queue <normal>, CWD <$HOME>;\n"
        f"Sat Nov 21 22:33:21: Starting (Pid 11111);\n"
        f"Sat Nov 21 22:34:21: {end};\n"
    )
    return {**_FORGOTTEN, "bhist": answered(text)}


LSF = Column(
    make=lambda run: Lsf({"PATH": "/usr/bin"}, run=run, clock=lambda: SUBMITTED + 3600.0),
    job_id=JOB_ID,
    met="written from manuals; it has not met the real thing",
    answers={
        "waits": _shown("PEND", reason="New job is waiting for scheduling;"),
        "is held": _shown("PSUSP"),
        "runs": _shown("RUN"),
        "is suspended": _shown("SSUSP"),
        "is in a state that is not known": _shown("UNKWN"),
        "ends well": _shown("DONE"),
        "ends with 3": _shown("EXIT", code="3"),
        "ends well, no exit file": _remembered("Done successfully. The CPU time used is 0.1 s"),
        "ends with 3, no exit file": _remembered("Exited with exit code 3. The CPU time used is 1"),
        "kills itself, no exit file": _shown(
            "EXIT",
            code="137",
            reason="TERM_EXTERNAL_SIGNAL: job killed by a signal external to LSF",
        ),
        "has ended just now, no exit file yet": _shown("DONE"),
        "exceeds its time": _remembered(
            "Exited; TERM_RUNLIMIT: job killed after reaching LSF run time limit"
        ),
        "exceeds its memory": _shown(
            "EXIT", code="137", reason="TERM_MEMLIMIT: job killed after reaching LSF memory limit"
        ),
        "loses its node": _shown(
            "EXIT", reason="TERM_REMOVE_HUNG_JOB: job removed from LSF on an unavailable host"
        ),
        "cannot be started": _shown(
            "EXIT", code="2", reason="TERM_CWD_NOTEXIST: current working directory does not exist"
        ),
        "depends on what failed": _shown(
            "PEND", reason="Dependency condition invalid or never satisfied;"
        ),
        "is cancelled while it runs": _shown(
            "EXIT", code="143", reason="TERM_OWNER: job killed by owner"
        ),
        "is cancelled while it waits": _shown("EXIT", reason="TERM_OWNER: job killed by owner"),
        "is cancelled by others": _shown(
            "EXIT", code="143", reason="TERM_ADMIN: job killed by root or LSF administrator"
        ),
        "is requeued, stale exit file": _shown("PEND", reason="Job was requeued;"),
        "id recycled, in the listing": _shown("RUN", description=""),
        "id recycled, in the accounting": _remembered("Done successfully", description="other"),
        "is unknown to all": {**_FORGOTTEN, "bhist": _NOT_IN_HISTORY},
        "is unknown to all for long": {**_FORGOTTEN, "bhist": _NOT_IN_HISTORY},
        "unknown, no accounting": {**_FORGOTTEN, "bhist": CommandMissing("no bhist")},
        "ends with 3, no accounting": {**_FORGOTTEN, "bhist": CommandMissing("no bhist")},
        "accounting is down": {**_FORGOTTEN, "bhist": HUNG},
        "controller is down": {_LIST: _DOWN},
        "listing hangs": {_LIST: HUNG},
        "listing is too long to be read": {_LIST: answered("{", cut=True)},
        "listing is something else": {_LIST: answered("Welcome to the cluster {{1}}\n")},
    },
    differs={
        "depends on what failed": ("queued", "LSF keeps it pending and says why"),
    },
)
