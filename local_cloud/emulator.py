"""The AWS emulator (MiniStack) as a subprocess on loopback, from a virtual environment of its own.

Its environment is built from nothing, because Lambdas inherit it: no proxy, certificate store,
endpoint or credential of the machine reaches them. A lock that only the emulator's process holds
tells whether it runs, so a recycled process id is never mistaken for it.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from local_cloud.errors import EmulatorFailed
from local_cloud.isolation import LOOPBACK, ROOT_CREDENTIAL, aws_environment, isolated_client

CHECKOUT = Path(__file__).resolve().parents[1]
PYTHON = CHECKOUT / ".venv-emulator" / "bin" / "python"
DEFAULT_REGION = "ap-northeast-1"
ACCOUNT = "000000000000"
"""The account of the root credentials."""

_PROCESS = Path(__file__).with_name("emulator_process.py")
_START_SECONDS = 120.0
_STOP_SECONDS = 2.0
_INHERITED = ("PATH", "LANG", "LC_ALL", "LC_CTYPE")


def free_port() -> int:
    """A port of the loopback interface that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


class Emulator:
    """One emulator with a state directory of its own.

    As a context manager it lives as long as the block. `start` and `stop` work across processes
    too: an `Emulator` of the same state directory finds the running process (`make up`).

    Attributes:
        state_dir: holds the log, the lock and all of the emulator's temporary files.
        region: the region that clients and Lambdas see.
        authenticate: whether signatures and IAM policies are enforced, over TLS. The credentials
            `test` stay those of the root; keys of IAM users and roles are checked.
        stream_windows: whether mappings of a table's stream gather records for the time that they
            say, as on AWS; without, a change shows sooner.
    """

    def __init__(
        self,
        state_dir: Path | None = None,
        *,
        port: int | None = None,
        region: str = DEFAULT_REGION,
        authenticate: bool = False,
        stream_windows: bool = False,
        python: Path = PYTHON,
    ) -> None:
        self._temporary = state_dir is None
        self.state_dir = state_dir or Path(tempfile.mkdtemp(prefix="jobferry-emulator-"))
        self.region = region
        self.authenticate = authenticate
        self.stream_windows = stream_windows
        self._python = python
        self._port = port
        self._process: subprocess.Popen[bytes] | None = None
        self._clients: dict[tuple[str, ...], Any] = {}
        if (record := self._record()) is not None:
            self._port, self.region = int(record["port"]), str(record["region"])
            self.authenticate = bool(record["authenticate"])

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def log_file(self) -> Path:
        """Where the emulator and the Lambdas write their log."""
        return self.state_dir / "emulator.log"

    @property
    def port(self) -> int:
        """The port on loopback.

        Raises:
            EmulatorFailed: it has not been started.
        """
        if self._port is None:
            raise EmulatorFailed(f"the emulator of {self.state_dir} has not been started")
        return self._port

    @property
    def endpoint_url(self) -> str:
        """The endpoint of every AWS service."""
        return f"{'https' if self.authenticate else 'http'}://{LOOPBACK}:{self.port}"

    @property
    def ca_bundle(self) -> Path | None:
        """The certificate that clients must trust; None where the emulator speaks plain HTTP."""
        return self._tmp / "ministack-tls" / "server.crt" if self.authenticate else None

    @property
    def _tmp(self) -> Path:
        return self.state_dir / "tmp"

    def environment(self) -> dict[str, str]:
        """The variables that lead a child process to this emulator; add them to `without_aws`."""
        return aws_environment(self.endpoint_url, self.region, self.ca_bundle)

    def client(
        self, service: str, *, key: str = ROOT_CREDENTIAL, secret: str = ROOT_CREDENTIAL
    ) -> Any:
        """A boto3 client of this emulator, whatever the environment of this process says.

        Args:
            service: boto3's name of the service.
            key: the access key; the default may do everything.
            secret: its secret.
        """
        place = (service, key, secret, self.endpoint_url)
        if place not in self._clients:  # making one takes as long as a hundred calls of it
            self._clients[place] = isolated_client(
                service,
                endpoint_url=self.endpoint_url,
                region=self.region,
                credentials=(key, secret),
                ca_bundle=self.ca_bundle,
            )
        return self._clients[place]

    def running(self) -> bool:
        """Whether the emulator's process lives; only it holds the lock."""
        try:
            descriptor = os.open(self.state_dir / "lock", os.O_RDWR)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(descriptor)
        return False

    def start(self) -> None:
        """Start the emulator and wait until it answers; does nothing where it runs already.

        Raises:
            EmulatorFailed: it is not installed, its port is taken, or it does not answer in 30 s.
        """
        if self.running():
            return
        if not self._python.exists():
            raise EmulatorFailed(
                f"the emulator is not installed: there is no {self._python}; run `make install`"
            )
        shutil.rmtree(self._tmp, ignore_errors=True)
        self._tmp.mkdir(parents=True)
        self._port = self._port or free_port()
        if self._listening():
            raise EmulatorFailed(
                f"{LOOPBACK}:{self._port} is already in use; stop what listens there, "
                "or choose another port"
            )
        lock = os.open(self.state_dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with self.log_file.open("wb") as log:
                self._process = subprocess.Popen(
                    [str(self._python), "-P", str(_PROCESS)],
                    cwd=self.state_dir,
                    env=self._own_environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                    pass_fds=[lock],
                )
        finally:
            os.close(lock)
        self._write_record(self._process.pid)
        try:
            self._wait_until_it_answers()
        except BaseException:
            self._kill(self._process.pid)
            raise

    def stop(self) -> None:
        """Stop the emulator and remove its temporary files; does nothing where it does not run."""
        record = self._record()
        if record is not None and self.running():
            self._kill(int(record["pid"]))
        if self._process is not None:
            self._process.wait()
            self._process = None
        self._record_file.unlink(missing_ok=True)
        shutil.rmtree(self.state_dir if self._temporary else self._tmp, ignore_errors=True)

    def log_tail(self, lines: int = 15) -> str:
        """The last lines of the emulator's log."""
        try:
            return "\n".join(self.log_file.read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    @property
    def _record_file(self) -> Path:
        return self.state_dir / "emulator.json"

    def _record(self) -> dict[str, Any] | None:
        try:
            record = json.loads(self._record_file.read_text())
        except (OSError, ValueError):
            return None
        return record if isinstance(record, dict) else None

    def _write_record(self, pid: int) -> None:
        record = {
            "pid": pid,
            "port": self.port,
            "region": self.region,
            "authenticate": self.authenticate,
        }
        self._record_file.write_text(json.dumps(record))

    def _own_environment(self) -> dict[str, str]:
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment |= {
            "HOME": str(self._tmp),
            "TMPDIR": str(self._tmp),
            "BIND_HOST": LOOPBACK,
            "GATEWAY_PORT": str(self.port),
            "MINISTACK_REGION": self.region,
            "LAMBDA_EXECUTOR": "local",
            "IOT_MTLS_ENABLED": "0",
            "SFTP_ENABLED": "0",
            "LOG_LEVEL": "WARNING",
            "AWS_ACCESS_KEY_ID": ROOT_CREDENTIAL,
            "AWS_SECRET_ACCESS_KEY": ROOT_CREDENTIAL,
        }
        if self.authenticate:
            environment |= {"AUTH": "true", "USE_SSL": "1"}
        if self.stream_windows:
            environment["JOBFERRY_STREAM_WINDOWS"] = "1"
        return environment

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if not self.running():
                raise EmulatorFailed(
                    f"the emulator ended at once; its log {self.log_file} says:\n{self.log_tail()}"
                )
            if self._listening() and (self.authenticate or self._healthy()):
                return
            time.sleep(0.05)
        raise EmulatorFailed(
            f"the emulator did not answer at {self.endpoint_url} within {_START_SECONDS:.0f} s; "
            f"its log {self.log_file} says:\n{self.log_tail()}"
        )

    def _listening(self) -> bool:
        with socket.socket() as probe:
            probe.settimeout(1)
            return probe.connect_ex((LOOPBACK, self.port)) == 0

    def _healthy(self) -> bool:
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(f"{self.endpoint_url}/_ministack/health", timeout=2) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def _kill(self, pid: int) -> None:
        # The lock is held, so the pid is the emulator's, and so is the process group.
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(pid, number)
            deadline = time.monotonic() + _STOP_SECONDS
            while self.running():
                if time.monotonic() > deadline:
                    break
                time.sleep(0.05)
            else:
                return
