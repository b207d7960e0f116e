"""Somebody's shell in the cloud, for end-to-end tests of the `jobferry` command over the API."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_cloud.isolation import without_aws
from tests.conftest import DeployedStack
from tests.e2e.site import CHECKOUT, Site


@dataclass(frozen=True)
class Shell:
    """Somebody's shell, with the site of the job at the other end."""

    stack: DeployedStack
    site: Site
    home: Path

    def run(self, *arguments: str, expect: int = 0, stdin: str | None = None) -> str:
        """What a command prints on its standard output; if it is to fail, on both."""
        done = self._done(arguments, stdin)
        assert done.returncode == expect, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout if expect == 0 else done.stdout + done.stderr

    def said(self, *arguments: str) -> str:
        """The messages of a command that works."""
        done = self._done(arguments, None)
        assert done.returncode == 0, done.stderr
        return done.stderr

    def _done(
        self, arguments: tuple[str, ...], stdin: str | None
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "jobferry", *arguments],
            cwd=self.home,
            env={
                **without_aws(os.environ),
                **self.stack.emulator.environment(),
                "JOBFERRY_STACK": self.stack.deployment.stack,
                "JOBFERRY_VIA": "api",
                "PYTHONPATH": str(CHECKOUT),
                "PYTHONUTF8": "1",
                "TZ": "Asia/Tokyo",
                "XDG_CONFIG_HOME": str(self.home / ".config"),
                "XDG_STATE_HOME": str(self.home / ".state"),
            },
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def json(self, *arguments: str) -> Any:
        return json.loads(self.run(*arguments, "-json"))

    def write(self, template: str, job_id: str) -> str:
        (self.home / "job.nomad").write_text(template % job_id)
        return "job.nomad"

    def finish(self, job_id: str) -> None:
        for _ in range(200):
            self.site.pull()
            if self.json("job", "status", job_id)["Status"] == "dead":
                return
        raise AssertionError(self.site.log)
