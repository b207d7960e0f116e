"""The array of the conformance suite: six elements, each with another fate, at every scheduler.

By index: 0 has ended well and is forgotten, 1 has ended with 3, 2 runs, 3 waits, 4 ran out of time
and left no exit file, 5 was requeued and its exit file is stale.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass

from puller.schedulers.lsf_answers import FIELDS
from puller.schedulers.tcs_answers import ITEMS
from tests.schedulers.conformance import CONTROL, SUBMITTED, USER, WRAPPER, Answers, answered

COUNT = 6
FATES: Mapping[int, str] = {1: "failed", 2: "runs", 3: "waits", 4: "timeout", 5: "waits"}
"""What each scheduler still knows of the elements."""
LIVE = (2, 3, 5)

EXITS = {0: 0, 1: 3, 5: 143}
"""The exit files, by index."""

CONCLUDED = [
    ("complete", 0),
    ("failed", 3),
    ("running", None),
    ("queued", None),
    ("failed", None),
    ("queued", None),
]
"""State and exit code of each element; a scheduler may know a code of the one without a file."""

_AT = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(SUBMITTED))


@dataclass(frozen=True)
class ArrayColumn:
    """How one scheduler takes part.

    Attributes:
        array_id: the id that its submission gave.
        answers: what its commands answer.
        summary: answers in which only the array's own record shows, as if it had ended; None where
            it has no such record.
    """

    array_id: str
    answers: Answers
    summary: Answers | None = None


def _slurm() -> ArrayColumn:
    words = {
        "failed": ("FAILED", "NonZeroExitCode", "3:0"),
        "runs": ("RUNNING", "None", "0:0"),
        "waits": ("PENDING", "JobArrayTaskLimit", "0:0"),
        "timeout": ("TIMEOUT", "TimeLimit", "0:15"),
    }
    lines, records = "", ""
    for index, fate in FATES.items():
        state, reason, code = words[fate]
        fields = (f"17_{index}", state, str(SUBMITTED), "N/A", USER, reason, str(WRAPPER))
        lines += "\x1f".join(fields)
        lines += "\n"
        records += (
            f"JobId={18 + index} ArrayJobId=17 ArrayTaskId={index} JobName=job0001\n"
            f"   UserId={USER}(1001)\n   JobState={state} Reason={reason} Dependency=(null)\n"
            f"   Requeue=1 Restarts=0 ExitCode={code}\n   SubmitTime={SUBMITTED} EligibleTime=0\n"
            f"   Command={WRAPPER}\n\n"
        )
    gone = answered(code=1, stderr="sacct: error: Slurm accounting storage is disabled\n")
    answers: Answers = {"squeue": answered(lines), "scontrol": answered(records), "sacct": gone}
    return ArrayColumn("17", answers)


def _sge() -> ArrayColumn:
    def line(tasks: str, letters: str) -> str:
        return (
            "<job_list><JB_job_number>17</JB_job_number>"
            f"<state>{letters}</state><tasks>{tasks}</tasks></job_list>"
        )

    def record(task: int, failed: str, status: str) -> str:
        return (
            f"{'=' * 62}\nowner        {USER}\njobnumber    17\ntaskid       {task}\n"
            f"qsub_time    {_AT}\nfailed       {failed}\nexit_status  {status}\n"
        )

    listing = f"<job_info><queue_info>{line('3', 'r')}</queue_info>"
    listing += f"<job_info>{line('4,6', 'qw')}</job_info></job_info>\n"
    submitted = (
        "<detailed_job_info><djob_info><element><JB_job_number>17</JB_job_number>"
        f"<JB_submission_time>{SUBMITTED}</JB_submission_time><JB_owner>{USER}</JB_owner>"
        f"<JB_script_file>{WRAPPER}</JB_script_file></element></djob_info></detailed_job_info>\n"
    )
    accounted = record(1, "0", "0") + record(2, "0", "3")
    accounted += record(5, "37  : qmaster enforced h_rt, h_cpu, or h_vmem limit", "0")
    return ArrayColumn(
        "17",
        {
            "qstat -u": answered(listing),
            "qstat -j": answered(submitted),
            "qacct": answered(accounted),
        },
    )


def _pbs() -> ArrayColumn:
    states = {
        "failed": ("X", ["substate = 93", "Exit_status = 3"]),
        "runs": ("R", ["substate = 42"]),
        "waits": ("Q", ["substate = 10"]),
        "timeout": ("X", ["substate = 93", "Exit_status = -29"]),
    }

    def record(job_id: str, state: str, more: list[str]) -> str:
        lines = [
            f"Job_Owner = {USER}@login",
            f"job_state = {state}",
            f"ctime = {_AT}",
            *more,
            f"Submit_arguments = -J 0-5 {WRAPPER}",
        ]
        return "\n".join([f"Job Id: {job_id}", *(f"    {line}" for line in lines), "", ""])

    parent = record("17[].pbs", "B", ["array = True"])
    elements = "".join(record(f"17[{i}].pbs", *states[fate]) for i, fate in FATES.items())
    ended = record("17[].pbs", "F", ["array = True", "substate = 92", "Exit_status = 0"])
    return ArrayColumn(
        "17[].pbs",
        {
            "qselect": answered("17[].pbs\n"),
            "qstat -t -f 17[].pbs": answered(parent + elements),
            "qstat -x -t -f 17[].pbs": answered(parent + elements),
        },
        {"qselect": answered(), "qstat -x -t -f 17[].pbs": answered(ended)},
    )


def _lsf() -> ArrayColumn:
    states = {
        "failed": ("EXIT", "3", ""),
        "runs": ("RUN", "", ""),
        "waits": ("PEND", "", ""),
        "timeout": ("EXIT", "", "TERM_RUNLIMIT: job killed after reaching LSF run time limit"),
    }
    records = [
        {
            "JOBID": "2701",
            "JOBINDEX": str(index + 1),
            "STAT": states[fate][0],
            "USER": USER,
            "EXIT_CODE": states[fate][1],
            "SUBMIT_TIME": "Nov 21 22:33",
            "JOB_DESCRIPTION": f"jobferry {CONTROL.name}",
            "EXIT_REASON": states[fate][2],
            "PEND_REASON": "",
        }
        for index, fate in FATES.items()
    ]
    listing = answered(json.dumps({"COMMAND": "bjobs", "JOBS": 5, "RECORDS": records}))
    none = answered(code=255, stderr="No matching job found\n")
    return ArrayColumn("2701", {f"bjobs -a -json -o {FIELDS}": listing, "bhist": none})


def _tcs() -> ArrayColumn:
    header = "H,JOB_ID,ST,EC,PC,SN,ACCEPT,START_DATE,USER,REASON,JOB_NAME\n"
    states = {
        "failed": ("EXT", "3", "0", "0"),
        "runs": ("RUN", "-", "-", "-"),
        "waits": ("QUE", "-", "-", "-"),
        "timeout": ("EXT", "0", "11", "24"),
    }

    def row(job_id: str, state: str, ec: str, pc: str, sn: str) -> str:
        name = f"jf-{CONTROL.name}"
        return f",{job_id},{state},{ec},{pc},{sn},11/21 22:33:20,-,{USER},-,{name}\n"

    rows = {index: row(f"9714[{index}]", *states[fate]) for index, fate in FATES.items()}
    live = header + row("9714", "RUN", "-", "-", "-") + "".join(rows[i] for i in LIVE)
    ended = header + "".join(rows[index] for index in rows if index not in LIVE)
    query = f"pjstat -s --data --choose={ITEMS}"
    summary = header + row("9714", "EXT", "0", "0", "0")
    return ArrayColumn(
        "9714",
        {query: answered(live), f"{query} -H": answered(ended)},
        {query: answered(header), f"{query} -H": answered(summary)},
    )


ARRAYS = {"slurm": _slurm(), "sge": _sge(), "pbs": _pbs(), "lsf": _lsf(), "tcs": _tcs()}
