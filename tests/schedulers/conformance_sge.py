"""Grid Engine's column: answers in the form recorded from Grid Engine 8.1.9."""

from __future__ import annotations

import time
from html import escape

from puller.schedulers.runner import CommandMissing
from puller.schedulers.sge import GridEngine
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

NO_JOBS = answered("<?xml version='1.0'?>\n<job_info>\n<queue_info/>\n<job_info/>\n</job_info>\n")
UNKNOWN = answered(
    f"<?xml version='1.0'?>\n<unknown_jobs >\n    <ST_name>{JOB}</ST_name>\n</unknown_jobs>\n",
    code=1,
)
NOT_ACCOUNTED = answered(code=1, stderr=f"error: job id {JOB} not found\n")
NO_ACCOUNTING_FILE = answered(
    "/var/lib/gridengine/default/common/accounting: No such file or directory\n"
    "no jobs running since startup\n",
    code=1,
)
ACCOUNTING_UNREADABLE = answered(
    "/var/lib/gridengine/default/common/accounting: Permission denied\n", code=1
)
DOWN = answered(
    "<?xml version='1.0'?>\n<comunication_error >\n    <AN_status>11</AN_status>\n    <AN_text>"
    "unable to send message to qmaster using port 6444 on host &quot;sge&quot;: got send error"
    "</AN_text>\n    <AN_quality>1</AN_quality>\n</comunication_error>\n",
    stderr="error: commlib error: got select error (Connection refused)\n",
)


def states(letters: str) -> Answer:
    return answered(
        "<?xml version='1.0'?>\n<job_info  xmlns:xsd=\"http://x/qstat.xsd\">\n  <queue_info>\n"
        '    <job_list state="running">\n'
        f"      <JB_job_number>{JOB}</JB_job_number>\n"
        f"      <JB_name>job0001</JB_name>\n      <JB_owner>{USER}</JB_owner>\n"
        f"      <state>{letters}</state>\n"
        "      <slots>1</slots>\n    </job_list>\n  </queue_info>\n  <job_info>\n  </job_info>\n"
        "</job_info>\n"
    )


def submitted(script: str = str(WRAPPER), message: str = "") -> Answer:
    told = (
        "<JAT_message_list><ulong_sublist><QIM_type>1</QIM_type>"
        f"<QIM_message>{escape(message)}</QIM_message></ulong_sublist></JAT_message_list>"
    )
    return answered(
        "<?xml version='1.0'?>\n<detailed_job_info>\n  <djob_info>\n    <element>\n"
        f"      <JB_job_number>{JOB}</JB_job_number>\n"
        f"      <JB_submission_time>{SUBMITTED}</JB_submission_time>\n"
        f"      <JB_owner>{USER}</JB_owner>\n"
        f"      <JB_script_file>{script}</JB_script_file>\n"
        f"      <JB_ja_tasks><ulong_sublist>{told if message else ''}</ulong_sublist>"
        "</JB_ja_tasks>\n    </element>\n  </djob_info>\n</detailed_job_info>\n"
    )


def record(failed: str, status: str, *, owner: str = USER, submitted_at: int = SUBMITTED) -> str:
    at = time.strftime("%a %b %d %H:%M:%S %Y", time.gmtime(submitted_at))
    return (
        f"{'=' * 62}\nqname        all.q               \nhostname     node01           \n"
        f"group        users               \nowner        {owner}                \n"
        f"jobname      job0001             \njobnumber    {JOB}                  \n"
        f"taskid       undefined\naccount      sge                 \nqsub_time    {at}\n"
        f"start_time   {at}\nend_time     {at}\ngranted_pe   NONE                \n"
        f"slots        1                   \nfailed       {failed}\n"
        f"exit_status  {status}\nru_wallclock 4s\nmaxvmem      4.902MB\ncategory     NONE\n"
    )


def accounted(failed: str, status: str) -> Answer:
    return answered(record(failed, status))


def listed(letters: str, message: str = "") -> Answers:
    return {"qstat -u": states(letters), "qstat -j": submitted(message=message)}


def gone(accounting: Answer) -> Answers:
    return {"qstat -u": NO_JOBS, "qacct": accounting}


KILLED = accounted("100 : assumedly after job", "137                  (Killed)")
LIMIT = accounted("37  : qmaster enforced h_rt, h_cpu, or h_vmem limit", "137      (Killed)")
NO_DIRECTORY = "11/21/2026 22:38:10 [0:9]: error: can't chdir to /no: No such file or directory"

SGE = Column(
    make=lambda run: GridEngine({"PATH": "/usr/bin"}, user=USER, run=run),
    job_id=JOB,
    met="Grid Engine 8.1.9 of Debian, real and recorded",
    answers={
        "waits": listed("qw"),
        "is held": listed("hqw"),
        "runs": listed("r"),
        "is suspended": listed("S"),
        "is in a state that is not known": listed("Y"),
        "ends well": gone(NOT_ACCOUNTED),
        "ends with 3": gone(NOT_ACCOUNTED),
        "ends well, no exit file": gone(accounted("0    ", "0                   ")),
        "ends with 3, no exit file": gone(accounted("0    ", "3                   ")),
        "kills itself, no exit file": gone(KILLED),
        "has ended just now, no exit file yet": gone(accounted("0    ", "0                   ")),
        "exceeds its time": gone(LIMIT),
        "exceeds its memory": gone(LIMIT),
        "loses its node": gone(accounted("19  : before writing exit_status", "0")),
        "cannot be started": listed("Eqw", NO_DIRECTORY),
        "is cancelled while it runs": gone(KILLED),
        "is cancelled while it waits": gone(NOT_ACCOUNTED),
        "is cancelled by others": gone(KILLED),
        "is requeued, stale exit file": listed("Rq"),
        "id recycled, in the listing": {
            "qstat -u": states("r"),
            "qstat -j": submitted("/home/hanako/other.sh"),
            "qacct": NOT_ACCOUNTED,
        },
        "id recycled, in the accounting": gone(
            answered(
                record("0", "0", submitted_at=SUBMITTED - 86400) + record("0", "0", owner="taro")
            )
        ),
        "is unknown to all": gone(NOT_ACCOUNTED),
        "is unknown to all for long": gone(NOT_ACCOUNTED),
        "unknown, no accounting": gone(NO_ACCOUNTING_FILE),
        "ends with 3, no accounting": gone(CommandMissing("qacct is not found")),
        "accounting is down": gone(ACCOUNTING_UNREADABLE),
        "controller is down": {"qstat": DOWN},
        "listing hangs": {"qstat": HUNG},
        "listing is too long to be read": {"qstat": answered("<", cut=True)},
        "listing is something else": {"qstat": answered("welcome\n")},
    },
    absent={"depends on what failed": "`-hold_jid` lets a job start however the other one ended"},
    differs={
        "is cancelled by others": (
            "failed 137",
            "Grid Engine cannot tell it from a job that killed itself",
        ),
    },
)
