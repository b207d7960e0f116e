"""Fetches what a branch, tag or commit holds with the site's `git`, and nothing of its history."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

from job_protocol.artifact_source import GitSource
from puller.confined_tree import ConfinedTree
from puller.errors import ArtifactRefused, ArtifactUnavailable, SchedulerUnavailable
from puller.schedulers.runner import CommandMissing, Completed, run_command

LEAST_VERSION = (2, 37)
"""The first git that can be told which address to connect to (http.curloptResolve)."""

TIMEOUT = 600.0
"""Seconds for the transfer of one repository."""

_VERSION = re.compile(r"git version ([0-9]+)\.([0-9]+)")
_FINAL = re.compile(
    r"couldn't find remote ref|not our ref|unadvertised object|could not read Username|"
    r"Authentication failed|returned error: 40[0134]|repository .* not found|"
    r"transport '.*' not allowed|redirect|fsck error|invalid refspec",
    re.IGNORECASE,
)
_SAFE = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "credential.helper=",
    "http.followRedirects=false",
    "submodule.recurse=false",
    "transfer.fsckObjects=true",
)


class Run(Protocol):
    """How a command is run: see `puller.schedulers.runner.run_command`."""

    def __call__(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], timeout: float
    ) -> Completed:
        """Run it and wait for its end."""


def git_environment(
    environment: Mapping[str, str], *, proxy: str | None, ca_bundle: str | None
) -> dict[str, str]:
    """The whole environment of git: no configuration, no prompt, no protocol but https.

    Args:
        environment: the process's; only where programs are comes from it.
        proxy: see `puller.settings`; not an argument, since those can be seen by everybody.
        ca_bundle: file with the certificates to trust.
    """
    own = {
        "GIT_ALLOW_PROTOCOL": "https",
        "GIT_ASKPASS": "",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_LFS_SKIP_SMUDGE": "1",
        "GIT_TERMINAL_PROMPT": "0",
        "HOME": "/nonexistent",
        "PATH": environment.get("PATH", "/usr/bin:/bin"),
    }
    if proxy is not None:
        own |= {"https_proxy": proxy, "http_proxy": proxy}
    if ca_bundle is not None:
        own["GIT_SSL_CAINFO"] = ca_bundle
    return own


def git_commands(
    source: GitSource, folder: Path, addresses: Sequence[str] | None
) -> tuple[list[str], ...]:
    """The commands that check a source out, one after another.

    Args:
        source: what is wanted.
        folder: an empty or missing folder.
        addresses: the addresses to connect to; None where a proxy connects.
    """
    options = [word for option in _SAFE for word in ("-c", option)]
    if addresses is not None:
        parts = urlsplit(source.url)
        listed = ",".join(f"[{one}]" if ":" in one else one for one in addresses)
        options += ["-c", f"http.curloptResolve={parts.hostname}:{parts.port or 443}:{listed}"]
    inside = ["git", *options, "-C", str(folder)]
    shallow = ["--quiet", "--depth=1", "--no-tags", "--no-recurse-submodules"]
    return (
        ["git", "init", "--quiet", "--template=", str(folder)],
        [*inside, "fetch", *shallow, "--", source.url, source.ref or "HEAD"],
        [*inside, "checkout", "--quiet", "--detach", "FETCH_HEAD"],
    )


class GitCheckouts:
    """Checkouts under the rule of one site."""

    def __init__(
        self,
        addresses: Callable[[str], list[str] | None],
        environment: Mapping[str, str],
        run: Run = run_command,
    ) -> None:
        """Prepare checkouts.

        Args:
            addresses: examines a URL; see `puller.artifact_http.HttpDownloads.addresses`.
            environment: see `git_environment`.
            run: runs a command.
        """
        self._addresses = addresses
        self._environment = environment
        self._run = run

    def fetch(self, source: GitSource, tree: ConfinedTree) -> None:
        """Put what the source holds into a folder, without `.git`.

        Raises:
            ArtifactRefused: the site does not fetch from there, has no git, or it is not there.
            ArtifactUnavailable: it cannot be fetched now.
            OSError: the folder cannot be written.
        """
        addresses = self._addresses(source.url)
        self._check_version()
        with tree.folder(create=True):
            pass
        for arguments in git_commands(source, tree.path, addresses):
            self._succeed(arguments, source)
        shutil.rmtree(tree.path / ".git")

    def _check_version(self) -> None:
        said = self._command(["git", "--version"]).stdout
        found = _VERSION.match(said)
        if found is None or (int(found[1]), int(found[2])) < LEAST_VERSION:
            least = ".".join(map(str, LEAST_VERSION))
            raise ArtifactRefused(
                f"this site has {said.strip()[:100] or 'no working git'}, and git {least} or later "
                "is needed; upload the files with the job, or fetch an archive by https"
            )

    def _succeed(self, arguments: Sequence[str], source: GitSource) -> None:
        done = self._command(arguments)
        if done.code == 0:
            return
        said = f"git cannot fetch {source.ref or 'HEAD'} of {source.url}: {done.says}"
        if _FINAL.search(done.stderr):
            raise ArtifactRefused(f"{said}; check the URL and ref: only public repositories work")
        raise ArtifactUnavailable(said)

    def _command(self, arguments: Sequence[str]) -> Completed:
        try:
            return self._run(arguments, environment=self._environment, timeout=TIMEOUT)
        except CommandMissing as error:
            raise ArtifactRefused(
                "this site has no git in its PATH; upload the files with the job, fetch an archive "
                "by https, or ask the site's administrator to install git or set `path`"
            ) from error
        except SchedulerUnavailable as error:
            raise ArtifactUnavailable(str(error)) from error
