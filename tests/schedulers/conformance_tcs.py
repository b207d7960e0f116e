"""TCS in the conformance suite. Every answer is written from manuals: none was recorded."""

from __future__ import annotations

from puller.schedulers.tcs import Tcs
from puller.schedulers.tcs_answers import ITEMS
from tests.schedulers.conformance import CONTROL, HUNG, SUBMITTED, USER, Answers, Column, answered

JOB_ID = "9714"
_OURS = f"jf-{CONTROL.name}"
_LIVE = f"pjstat -s --data --choose={ITEMS}"
_ENDED = f"{_LIVE} -H"
_HEADER = "H,JOB_ID,ST,EC,PC,SN,ACCEPT,START_DATE,USER,REASON,JOB_NAME\n"
_NONE = answered(_HEADER)
_DENIED = answered(code=1, stderr=f"[ERR.] PJM 0110 pjstat Job {JOB_ID} does not exist.\n")
_DOWN = answered(code=1, stderr="[ERR.] PJM 0090 pjstat Failed to communicate.\n")
_UNKNOWN: Answers = {_LIVE: _NONE, _ENDED: _NONE, f"{_LIVE} {JOB_ID}": _DENIED}
_ONE_COMMAND = "the history is another option of the listing's own command"


def _row(state: str, ec: str, pc: str, sn: str, reason: str, name: str) -> str:
    dates = "11/21 22:33:20,-"
    return f"{_HEADER},{JOB_ID},{state},{ec},{pc},{sn},{dates},{USER},{reason},{name}\n"


def _live(state: str, reason: str = "-", *, name: str = _OURS) -> Answers:
    return {_LIVE: answered(_row(state, "-", "-", "-", reason, name)), _ENDED: _NONE}


def _ended(
    state: str = "EXT",
    *,
    ec: str = "0",
    pc: str = "0",
    sn: str = "0",
    reason: str = "-",
    name: str = _OURS,
) -> Answers:
    return {**_UNKNOWN, _ENDED: answered(_row(state, ec, pc, sn, reason, name))}


TCS = Column(
    make=lambda run: Tcs({"PATH": "/usr/bin"}, run=run, clock=lambda: SUBMITTED + 3600.0),
    job_id=JOB_ID,
    met="written from manuals; it has not met the real thing",
    answers={
        "waits": _live("QUE", "INSUFF NODE"),
        "is held": _live("HLD", "USER"),
        "runs": _live("RUN"),
        "is suspended": _live("SPD"),
        "is in a state that is not known": _live("NEW"),
        "ends well": _ended(reason="COMPLETED"),
        "ends with 3": _ended(ec="3", reason="COMPLETED"),
        "ends well, no exit file": _ended(reason="COMPLETED"),
        "ends with 3, no exit file": _ended(ec="3", reason="COMPLETED"),
        "kills itself, no exit file": _ended(sn="9", reason="COMPLETED"),
        "has ended just now, no exit file yet": _ended(reason="COMPLETED"),
        "exceeds its time": _ended(pc="11", sn="24", reason="ELAPSE LIMIT EXCEEDED"),
        "exceeds its memory": _ended(pc="12", sn="9", reason="LIMIT OVER MEMORY"),
        "loses its node": _ended(pc="20"),
        "cannot be started": _ended(pc="16", reason="NO CURRENT DIR"),
        "depends on what failed": _ended("CCL", pc="6"),
        "is cancelled while it runs": _ended("CCL", pc="1", sn="15", reason="USER"),
        "is cancelled while it waits": _ended("CCL", pc="1", reason="USER"),
        "is cancelled by others": _ended("CCL", pc="1", reason="USER"),
        "is requeued, stale exit file": _live("QUE"),
        "id recycled, in the listing": _live("RUN", name="job.sh"),
        "id recycled, in the accounting": _ended(name="job.sh"),
        "is unknown to all": _UNKNOWN,
        "is unknown to all for long": _UNKNOWN,
        "accounting is down": {_LIVE: _NONE, _ENDED: _DOWN},
        "controller is down": {_LIVE: _DOWN},
        "listing hangs": {_LIVE: HUNG},
        "listing is too long to be read": {_LIVE: answered(_HEADER, cut=True)},
        "listing is something else": {_LIVE: answered("Welcome to the cluster\n")},
    },
    absent={
        "unknown, no accounting": _ONE_COMMAND,
        "ends with 3, no accounting": _ONE_COMMAND,
    },
    cut_unseen="a header without jobs is what pjstat says when there are none",
)
