"""A throw-away Slurm of one node on loopback: everything lives in one directory, as root.

with SlurmCluster(directory) as cluster:
    subprocess.run(["sbatch", ...], env={**os.environ, **cluster.environment})
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.patience import PATIENCE

_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol", "scancel", "sacct")

_CONFIGURATION = """\
ClusterName=throwaway
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={controller_port}
SlurmdPort={node_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={directory}/munge/socket,cred_expire=15
CredType=cred/munge
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
StateSaveLocation={directory}/state
SlurmdSpoolDir={directory}/spool
SlurmctldPidFile={directory}/slurmctld.pid
SlurmdPidFile={directory}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
SwitchType=switch/none
SlurmdParameters=config_overrides
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
DefMemPerCPU=16
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=1,batch_sched_delay=0,sched_min_interval=0,bf_interval=1
ReturnToService=2
SlurmctldTimeout=10
SlurmdTimeout=20
KillWait=2
MinJobAge={forget_after}
MaxJobCount={max_jobs}
MailProg=/bin/true
PropagateResourceLimits=NONE
NodeName=node NodeHostname={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory={memory} State=UNKNOWN
PartitionName=debug Nodes=node Default=YES MaxTime=INFINITE State=UP
"""


def missing() -> str | None:
    """Why no Slurm can be started here, or None."""
    if os.geteuid() != 0:
        return "starting a Slurm needs root"
    absent = [name for name in _PROGRAMS if shutil.which(name, path=_PATH) is None]
    if absent:
        return (
            f"not installed: {', '.join(absent)} "
            "(apt-get install slurmctld slurmd slurm-client munge)"
        )
    host = _host()
    try:
        address = socket.gethostbyname(host)
    except OSError:
        address = ""
    if not address.startswith("127."):
        return (
            f"the host name {host} must resolve to loopback (add `127.0.0.1 {host}` to /etc/hosts)"
        )
    return None


def _host() -> str:
    return socket.gethostname().partition(".")[0]


class SlurmCluster:
    """Controller, one node with a partition `debug`, and their authentication.

    Args:
        directory: a short path (it holds sockets), readable by all.
        cpus, memory: what the node pretends to have; memory in MiB.
        max_jobs: jobs that the controller takes.
        forget_after: seconds for which the controller remembers an ended job.
    """

    def __init__(
        self,
        directory: Path,
        *,
        cpus: int = 8,
        memory: int = 4096,
        max_jobs: int = 10000,
        forget_after: int = 300,
    ) -> None:
        self._directory = directory
        self._configuration = {
            "host": _host(),
            "directory": directory,
            "cpus": cpus,
            "memory": memory,
            "max_jobs": max_jobs,
            "forget_after": forget_after,
        }
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def environment(self) -> dict[str, str]:
        """By what the commands find the cluster."""
        return {"SLURM_CONF": str(self._directory / "slurm.conf"), "PATH": _PATH}

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.command("scancel", "--user=root", "--state=PENDING", check=False)
        self.command("scancel", "--user=root", "--signal=KILL", "--full", check=False)
        self.command("scancel", "--user=root", check=False)
        self._wait_until(lambda: not self.command("squeue", "-h", check=False), 10)
        self._stop()

    def command(self, *arguments: str, check: bool = True) -> str:
        """The output of one of Slurm's commands."""
        done = subprocess.run(
            arguments,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if check and done.returncode != 0:
            raise AssertionError(f"{' '.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def stop_controller(self) -> None:
        """End the controller; `start_controller` brings it back with its jobs."""
        self._end("slurmctld")

    def start_controller(self) -> None:
        """Start the controller and wait until it answers."""
        self._spawn("slurmctld", "-D")
        self._expect(lambda: "is UP" in self.command("scontrol", "ping", check=False), "slurmctld")

    def _start(self) -> None:
        for name in ("munge", "state", "spool"):
            (self._directory / name).mkdir(parents=True)
        self._directory.chmod(0o755)
        (self._directory / "munge").chmod(0o711)
        self._write_configuration()
        munge = self._directory / "munge"
        self._spawn(
            "munged",
            "--foreground",
            "--force",
            f"--key-file={munge}/key",
            f"--socket={munge}/socket",
            f"--pid-file={munge}/pid",
            f"--seed-file={munge}/seed",
            "--log-file=/dev/null",
        )
        self._expect((munge / "socket").is_socket, "munged")
        self.start_controller()
        self._spawn("slurmd", "-D", "-N", "node")
        self._expect(lambda: self.command("sinfo", "-h", "-o", "%T").strip() == "idle", "slurmd")

    def _write_configuration(self) -> None:
        key = self._directory / "munge" / "key"
        key.touch(mode=0o600)
        key.write_bytes(secrets.token_bytes(1024))
        with socket.socket() as one, socket.socket() as other:
            for unused in (one, other):
                unused.bind(("127.0.0.1", 0))
            ports = {
                "controller_port": one.getsockname()[1],
                "node_port": other.getsockname()[1],
            }
        (self._directory / "slurm.conf").write_text(
            _CONFIGURATION.format(**self._configuration, **ports)
        )
        (self._directory / "cgroup.conf").write_text("CgroupAutomount=no\n")

    def _spawn(self, program: str, *arguments: str) -> None:
        with (self._directory / f"{program}.log").open("ab") as log:
            self._processes[program] = subprocess.Popen(
                [program, *arguments],
                env={**self.environment, "LC_ALL": "C"},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _end(self, program: str) -> None:
        process = self._processes.pop(program, None)
        if process is None:
            return
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def _stop(self) -> None:
        for program in ("slurmd", "slurmctld", "munged"):
            self._end(program)

    def _expect(self, ready: Callable[[], bool], program: str) -> None:
        if not self._wait_until(ready, PATIENCE):
            log = (self._directory / f"{program}.log").read_text(errors="replace")
            raise AssertionError(f"{program} is not ready:\n{log[-3000:]}")

    @staticmethod
    def _wait_until(ready: Callable[[], bool], seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while not ready():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True
