"""A throw-away Grid Engine of one host on loopback: everything lives in one directory, as root.

with GridEngineCluster(directory) as cluster:
    subprocess.run(["qsub", ...], env={**os.environ, **cluster.environment})
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from tests.patience import PATIENCE

_PATH = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
_PROGRAMS = Path("/usr/lib/gridengine")
_SHARED = Path("/usr/share/gridengine")
_DAEMONS = ("sge_qmaster", "sge_execd")
_TOOLS = ("spoolinit", "spooldefaults", "qconf", "qsub", "qstat", "qacct", "qdel")
_CELL = "default"
_HOST = "localhost"

_LOOPBACK = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
int bind(int descriptor, const struct sockaddr *address, socklen_t length) {
  int (*real)(int, const struct sockaddr *, socklen_t) =
      (int (*)(int, const struct sockaddr *, socklen_t))dlsym(RTLD_NEXT, "bind");
  struct sockaddr_in inside;
  if (address->sa_family == AF_INET && length >= sizeof inside) {
    memcpy(&inside, address, sizeof inside);
    inside.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return real(descriptor, (struct sockaddr *)&inside, sizeof inside);
  }
  return real(descriptor, address, length);
}
"""
"""Grid Engine binds every address; preloaded, this makes it loopback."""

_BOOTSTRAP = """\
admin_user none
default_domain none
ignore_fqdn true
spooling_method classic
spooling_lib libspoolc
spooling_params {common};{directory}/spool/qmaster
binary_path {programs}
qmaster_spool_dir {directory}/spool/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
"""

_EXECUTION_HOST = """\
hostname localhost
load_scaling NONE
complex_values NONE
user_lists NONE
xuser_lists NONE
projects NONE
xprojects NONE
usage_scaling NONE
report_variables NONE
"""

_SETTINGS = {
    "execd_spool_dir": "{directory}/spool/execd",
    "min_uid": "0",
    "min_gid": "0",
    "load_report_time": "00:00:02",
    "max_unheard": "00:00:20",
    "mailer": "/bin/true",
    "administrator_mail": "none",
    "reporting_params": (
        "accounting=true reporting=false flush_time=00:00:01 "
        "accounting_flush_time=00:00:00 joblog=false sharelog=00:00:00"
    ),
}
_QUEUE = {
    "qname": "all.q",
    "hostlist": "localhost",
    "slots": "{slots}",
    "shell": "/bin/csh",
    "load_thresholds": "NONE",
    "tmpdir": "/tmp",
    "notify": "00:00:05",
}
"""`/bin/csh` is what Grid Engine itself installs: a job must not depend on the queue's shell."""
_SCHEDULING = {
    "schedule_interval": "0:0:1",
    "flush_submit_sec": "1",
    "flush_finish_sec": "1",
}


def missing() -> str | None:
    """Why no Grid Engine can be started here, or None."""
    if os.geteuid() != 0:
        return "starting a Grid Engine needs root"
    absent = [
        name
        for name in (*_DAEMONS, *_TOOLS)
        if not (_PROGRAMS / name).exists() and shutil.which(name, path=_PATH) is None
    ]
    if absent:
        return (
            f"not installed: {', '.join(absent)} (apt-get install gridengine-master "
            "gridengine-exec gridengine-client)"
        )
    if shutil.which("cc") is None:
        return "a C compiler is needed to keep Grid Engine on loopback (apt-get install gcc)"
    return None


class GridEngineCluster:
    """A qmaster, one execution host and a queue `all.q`.

    Args:
        directory: a short path, readable by all.
        slots: jobs that run at once.
    """

    def __init__(self, directory: Path, *, slots: int = 8) -> None:
        self._directory = directory
        self._common = directory / _CELL / "common"
        self._slots = slots
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ports = _unused_ports()

    @property
    def environment(self) -> dict[str, str]:
        """By what the commands find the cluster."""
        return {
            "PATH": _PATH,
            "SGE_ROOT": str(self._directory),
            "SGE_CELL": _CELL,
            "SGE_QMASTER_PORT": str(self._ports[0]),
            "SGE_EXECD_PORT": str(self._ports[1]),
            "SGE_CLUSTER_NAME": "throwaway",
        }

    @property
    def accounting(self) -> Path:
        """The accounting file."""
        return self._common / "accounting"

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.command("qdel", "-f", "-u", "root", check=False)
        self._wait_until(lambda: not self.command("qstat", check=False), 10)
        self._stop()

    def command(self, *arguments: str, check: bool = True) -> str:
        """The output of one of Grid Engine's commands."""
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
            raise AssertionError(f"{' '.join(arguments)}: {done.stdout}{done.stderr}")
        return done.stdout

    def limit_jobs_per_user(self, number: int) -> None:
        """Let the qmaster refuse more jobs of one user; 0 means no limit."""
        told = self.command("qconf", "-sconf")
        self._load("-Mconf", "global", _changed(told, {"max_u_jobs": str(number)}))

    def stop_qmaster(self) -> None:
        """Kill the qmaster; `start_qmaster` brings it back with its jobs."""
        self._end("sge_qmaster")

    def start_qmaster(self) -> None:
        """Start the qmaster and wait until it answers."""
        self._spawn("sge_qmaster")
        self._expect(lambda: bool(self.command("qconf", "-sconf", check=False)), "sge_qmaster")

    def forget_ids(self) -> None:
        """Restart the qmaster as after a crash of old: its next job gets id 1 again."""
        self.stop_qmaster()
        (self._directory / "spool/qmaster/jobseqnum").write_text("0\n")
        self.start_qmaster()

    def release(self, job_id: str) -> None:
        """Let a held job go."""
        self.command("qrls", job_id)

    def _start(self) -> None:
        self._lay_out()
        self._initialise_spool()
        self.start_qmaster()
        self._add_host_and_queue()
        self._spawn("sge_execd")
        self._expect(self._ready, "sge_execd")

    def _lay_out(self) -> None:
        self._directory.chmod(0o755)
        for path in (self._common, *(self._directory / name for name in ("bin", "lib", "utilbin"))):
            path.mkdir(parents=True)
        for name in ("qmaster/job_scripts", "execd"):
            (self._directory / "spool" / name).mkdir(parents=True)
        architecture = self.command(str(_SHARED / "util/arch")).strip()
        for name in ("bin", "lib", "utilbin"):
            (self._directory / name / architecture).symlink_to(_PROGRAMS)
        (self._directory / "util").symlink_to(_SHARED / "util")
        source = self._directory / "loopback.c"
        source.write_text(_LOOPBACK)
        library = str(source.with_suffix(".so"))
        subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source, "-ldl"], check=True)

    def _initialise_spool(self) -> None:
        (self._common / "bootstrap").write_text(
            _BOOTSTRAP.format(common=self._common, directory=self._directory, programs=_PROGRAMS)
        )
        names = {socket.gethostname(), socket.gethostname().partition(".")[0], *_own_names()}
        (self._common / "host_aliases").write_text(f"{_HOST} {' '.join(sorted(names))}\n")
        (self._common / "act_qmaster").write_text(f"{_HOST}\n")
        configuration = self._directory / "configuration"
        default = (_SHARED / "default-configuration").read_text()
        values = {name: text.format(directory=self._directory) for name, text in _SETTINGS.items()}
        configuration.write_text(_changed(default, values))
        spool = f"{self._common};{self._directory}/spool/qmaster"
        resources = _SHARED / "util/resources"
        self.command(str(_PROGRAMS / "spoolinit"), "classic", "libspoolc", spool, "init")
        for kind, source in (
            ("configuration", configuration),
            ("complexes", resources / "centry"),
            ("usersets", resources / "usersets"),
            ("pes", resources / "pe"),
            ("managers", "root"),
        ):
            self.command(str(_PROGRAMS / "spooldefaults"), kind, str(source))

    def _add_host_and_queue(self) -> None:
        self.command("qconf", "-ah", _HOST, check=False)
        self.command("qconf", "-as", _HOST, check=False)
        self._load("-Ae", "host", _EXECUTION_HOST)
        values = {name: text.format(slots=self._slots) for name, text in _QUEUE.items()}
        self._load("-Aq", "queue", _changed(self.command("qconf", "-sq"), values))
        self._load("-Msconf", "scheduling", _changed(self.command("qconf", "-ssconf"), _SCHEDULING))

    def _load(self, option: str, name: str, content: str) -> None:
        file = self._directory / name
        file.write_text("".join(line for line in content.splitlines(True) if line[0] != "#"))
        self.command("qconf", option, str(file))

    def _ready(self) -> bool:
        for line in self.command("qstat", "-f", check=False).splitlines():
            words = line.split()
            if line.startswith("all.q@"):
                return len(words) < 6 or not re.search("[auEd]", words[5])
        return False

    def _spawn(self, program: str) -> None:
        with (self._directory / f"{program}.log").open("ab") as log:
            self._processes[program] = subprocess.Popen(
                [_PROGRAMS / program],
                env={
                    **self.environment,
                    "LC_ALL": "C",
                    "SGE_ND": "1",
                    "LD_PRELOAD": str(self._directory / "loopback.so"),
                },
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _end(self, program: str) -> None:
        """Kill it: every change is spooled at once, and a polite end takes nine seconds."""
        process = self._processes.pop(program, None)
        if process is not None:
            process.kill()
            process.wait()

    def _stop(self) -> None:
        for program in reversed(_DAEMONS):
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
            time.sleep(0.1)
        return True


def _changed(configuration: str, values: dict[str, str]) -> str:
    """A configuration of `name value` lines with other values; continued lines are joined."""
    lines = configuration.replace("\\\n", " ").splitlines()
    return "".join(
        f"{name} {values[name]}\n" if (name := line.partition(" ")[0]) in values else f"{line}\n"
        for line in lines
    )


def _own_names() -> list[str]:
    """Every name of loopback: to Grid Engine they are all this one host."""
    names: list[str] = []
    for line in Path("/etc/hosts").read_text().splitlines():
        words = line.partition("#")[0].split()
        if words[:1] == ["127.0.0.1"]:
            names += [name for name in words[1:] if name != _HOST]
    return names


def _unused_ports() -> tuple[int, int]:
    with socket.socket() as one, socket.socket() as other:
        for unused in (one, other):
            unused.bind(("127.0.0.1", 0))
        return one.getsockname()[1], other.getsockname()[1]
