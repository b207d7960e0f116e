"""Examines the site's policy: whether it can be used, and who could change it."""

from __future__ import annotations

import re
import stat
from collections.abc import Iterator
from pathlib import Path

from puller.administration.finding import Finding, fail, ok, warn
from puller.errors import NotNow, SchedulerUnavailable
from puller.schedulers.runner import Run, run_command
from puller.settings import Settings
from puller.trust.policy import Policy, load_policy
from puller.trust.signature import LEAST_OPENSSH, openssh_environment

_VERSION = re.compile(r"OpenSSH(?:_for_Windows)?_([0-9]+)\.([0-9]+)")


class PolicyExamination:
    """The checks of a policy."""

    def __init__(self, settings: Settings, run: Run = run_command) -> None:
        """Examine the policy of a site.

        Args:
            settings: the puller's settings.
            run: runs a command.
        """
        self._settings = settings
        self._run = run

    def findings(self) -> Iterator[Finding]:
        """What is found."""
        path = self._settings.policy
        if path is None:
            yield ok("policy", "none: whoever may write to the bucket may run jobs here")
            return
        try:
            policy = load_policy(path)
        except NotNow as broken:
            remedy = "correct it; policy.example.toml in the puller's own file explains every key"
            yield fail("policy", str(broken), remedy)
            return
        yield ok("policy", f"{path}, signatures {_word(policy)}")
        yield from self._ownership([path, policy.allowed_signers, policy.revoked_keys])
        if policy.signatures_required:
            yield self._openssh()

    def _ownership(self, files: list[Path | None]) -> Iterator[Finding]:
        for file in filter(None, files):
            try:
                problem = changeable(file)
            except OSError as error:
                yield fail("policy", f"{file} cannot be read: {error}", "put it there")
                continue
            if problem is not None:
                yield warn(
                    "policy",
                    f"advisory: {problem}, so a job, which runs as the same user, could change "
                    f"{file}; against the cloud it holds",
                    f"as root: chown root {file} and the folders above it, chmod go-w",
                )

    def _openssh(self) -> Finding:
        try:
            environment = openssh_environment(self._settings.path)
            said = self._run(["ssh", "-V"], environment=environment)
        except SchedulerUnavailable as error:
            return fail("OpenSSH", str(error), "install OpenSSH's client, 8.2 or newer")
        found = _VERSION.search(said.stderr + said.stdout)
        version = (int(found[1]), int(found[2])) if found else None
        if version is None or version < LEAST_OPENSSH:
            return fail(
                "OpenSSH",
                f"{said.says} cannot verify signatures: 8.2 or newer is needed, and until then "
                "nothing is submitted",
                'install a newer one and name its folder in `path`, or set signatures = "off" and '
                "list the SHA-256 of each script that may run in `scripts`",
            )
        return ok("OpenSSH", said.says)


def _word(policy: Policy) -> str:
    return "required" if policy.signatures_required else "not required"


def changeable(path: Path) -> str | None:
    """How somebody else than root could change a file, a clause; None if nobody could.

    Raises:
        OSError: it cannot be looked at.
    """
    real = path.resolve(strict=True)
    for place in (real, *real.parents):
        status = place.stat()
        if status.st_uid != 0:
            return f"{place} does not belong to root"
        sticky_folder = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
        if status.st_mode & 0o022 and not sticky_folder:
            return f"others than root may write to {place}"
    return None
