"""What Slurm 22.05.8 really answered (its times as `SLURM_TIME_FORMAT=%s` shows them)."""

from __future__ import annotations

LISTING = "".join(
    "\x1f".join(fields) + "\n"
    for fields in (
        ("7", "CANCELLED", "1795300143", "1795300144", "root", "None", "/srv/aws-job/c.sh"),
        ("9", "CANCELLED", "1795300143", "1795300144", "root", "JobHeldUser", "/srv/aws-job/s.sh"),
        ("1", "COMPLETED", "1795300143", "1795300144", "root", "None", "/srv/aws-job/ok/w.sh"),
        (
            "2",
            "FAILED",
            "1795300143",
            "1795300144",
            "root",
            "NonZeroExitCode",
            "/srv/aws-job/job 日本|x/w.sh",
        ),
        (
            "4",
            "FAILED",
            "1795300143",
            "1795300144",
            "root",
            "JobLaunchFailure",
            "/srv/aws-job/k.sh",
        ),
        (
            "11",
            "PENDING",
            "1795300143",
            "N/A",
            "root",
            "DependencyNeverSatisfied",
            "/srv/aws-job/s.sh",
        ),
        ("12", "PENDING", "1795300143", "1795303743", "root", "Resources", "/srv/aws-job/s.sh"),
        ("5", "RUNNING", "1795300143", "1795300144", "root", "None", "/srv/aws-job/s.sh"),
    )
)

_DETAIL = """\
JobId={job_id} JobName={name}
   UserId=root(0) GroupId=root(0) MCS_label=N/A
   Priority=4294901757 Nice=0 Account=(null) QOS=(null)
   JobState={state} Reason={reason} Dependency=(null)
   Requeue=1 Restarts=0 BatchFlag=1 Reboot=0 ExitCode={exit_code}
   RunTime=00:00:00 TimeLimit=365-00:00:00 TimeMin=N/A
   SubmitTime=1795300143 EligibleTime=1795300143
   AccrueTime=1795300143
   StartTime=1795300144 EndTime=1795300144 Deadline=N/A
   SuspendTime=None SecsPreSuspend=0 LastSchedEval=1795300144 Scheduler=Backfill
   Partition=debug AllocNode:Sid=localhost:6763
   ReqNodeList=(null) ExcNodeList=(null)
   NodeList=node
   BatchHost=node
   NumNodes=1 NumCPUs=1 NumTasks=1 CPUs/Task=1 ReqB:S:C:T=0:0:*:*
   TRES=cpu=1,mem=16M,node=1,billing=1
   Socks/Node=* NtasksPerN:B:S:C=0:0:*:* CoreSpec=*
   MinCPUsNode=1 MinMemoryCPU=16M MinTmpDiskNode=0
   Features=(null) DelayBoot=00:00:00
   OverSubscribe=OK Contiguous=0 Licenses=(null) Network=(null)
   Command={command}
   WorkDir=/srv/aws-job
   StdErr=/dev/null
   StdIn=/dev/null
   StdOut=/dev/null
   Power=


"""


def detail(
    *,
    job_id: str = "2",
    name: str = "w.sh",
    state: str = "FAILED",
    reason: str = "NonZeroExitCode",
    exit_code: str = "3:0",
    command: str = "/srv/aws-job/job 日本|x/w.sh",
) -> str:
    """The recorded answer of `scontrol show job`, for the outcomes that were recorded."""
    return _DETAIL.format(
        job_id=job_id,
        name=name,
        state=state,
        reason=reason,
        exit_code=exit_code,
        command=command,
    )


UNKNOWN_JOB = "slurm_load_jobs error: Invalid job id specified\n"
NO_ACCOUNTING = "Slurm accounting storage is disabled\n"
CONTROLLER_DOWN = "slurm_load_jobs error: Unable to contact slurm controller (connect failure)\n"
ACCOUNTING_DOWN = (
    "sacct: error: slurm_persist_conn_open_without_init: failed to open persistent connection to "
    "host:localhost:6819: Connection refused\n"
    "sacct: error: Sending PersistInit msg: Connection refused\n"
    "sacct: error: Problem talking to the database: Connection refused\n"
)

_FAILED = "sbatch: error: Batch job submission failed: "
NOT_SENT = (_FAILED + "Unable to contact slurm controller (connect failure)\n",)
LOST = (
    _FAILED + "Unable to contact slurm controller (receive failure)\n",
    _FAILED + "Socket timed out on send/recv operation\n",
    _FAILED + "Zero Bytes were transmitted or received\n",
    _FAILED + "Connection reset by peer\n",
    "sbatch: error: slurm_send_node_msg: auth_g_create: REQUEST_SUBMIT_BATCH_JOB has "
    "authentication error\n" + _FAILED + "Protocol authentication error\n",
)
DEFERRED = (
    "sbatch: error: AssocMaxSubmitJobLimit\n"
    + _FAILED
    + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n",
    "sbatch: error: QOSMaxSubmitJobPerUserLimit\n"
    + _FAILED
    + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n",
    _FAILED
    + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n",
    "sbatch: error: Slurm temporarily unable to accept job, sleeping and retrying\n"
    + _FAILED
    + "Resource temporarily unavailable\n",
    _FAILED + "Required partition not available (inactive or drain)\n",
)
REFUSED = (
    "sbatch: error: invalid partition specified: nope\n"
    + _FAILED
    + "Invalid partition name specified\n",
    "sbatch: unrecognized option '--bogus'\nTry \"sbatch --help\" for more information\n",
    "sbatch: error: Memory specification can not be satisfied\n"
    + _FAILED
    + "Requested node configuration is not available\n",
    "sbatch: error: Invalid --time specification\n",
    "sbatch: error: Invalid generic resource (gres) specification\n",
    "sbatch: error: QOSMaxWallDurationPerJobLimit\n"
    + _FAILED
    + "Job violates accounting/QOS policy (job submit limit, user's size and/or time limits)\n",
)
