"""Checkouts: what git is called with, and that it leaves a tree without history."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from job_protocol.artifact_source import GitSource
from puller.archives import Limits
from puller.artifact_git import GitCheckouts, git_commands, git_environment
from puller.artifact_tree import entries_of
from puller.confined_tree import ConfinedTree
from puller.errors import ArtifactRefused, ArtifactUnavailable
from puller.schedulers.runner import CommandMissing, Completed, run_command

URL = "https://git.example.org/tools.git"


def test_the_commands() -> None:
    init, fetch, checkout = git_commands(
        GitSource(URL, "v1.0"), Path("/jobs/tree"), ["93.184.216.34", "2606:4700::1"]
    )
    assert init == ["git", "init", "--quiet", "--template=", "/jobs/tree"]
    assert fetch[-3:] == ["--", URL, "v1.0"]
    assert {"--depth=1", "--no-tags", "--no-recurse-submodules"} <= set(fetch)
    for command in (fetch, checkout):
        options = [command[at + 1] for at, word in enumerate(command) if word == "-c"]
        assert "core.hooksPath=/dev/null" in options
        assert "http.followRedirects=false" in options
        assert "transfer.fsckObjects=true" in options
        assert "http.curloptResolve=git.example.org:443:93.184.216.34,[2606:4700::1]" in options


def test_a_proxy_resolves_names_itself() -> None:
    assert "curloptResolve" not in str(git_commands(GitSource(URL), Path("/x"), None))


def test_the_environment_has_nothing_of_the_account() -> None:
    made = git_environment(
        {"PATH": "/opt/bin", "HOME": "/home/u", "GIT_SSH_COMMAND": "x", "AWS_PROFILE": "p"},
        proxy="http://proxy:8080",
        ca_bundle="/ca.pem",
    )
    assert made["PATH"] == "/opt/bin"
    assert made["GIT_ALLOW_PROTOCOL"] == "https"
    assert made["GIT_TERMINAL_PROMPT"] == "0"
    assert made["https_proxy"] == "http://proxy:8080"
    assert made["GIT_SSL_CAINFO"] == "/ca.pem"
    assert not {"GIT_SSH_COMMAND", "AWS_PROFILE"} & set(made)
    assert made["HOME"] != "/home/u"
    assert "https_proxy" not in git_environment({}, proxy=None, ca_bundle=None)


class Repository:
    """A bare repository on disk, which stands for the one at `URL`."""

    def __init__(self, top: Path) -> None:
        self.work, self.bare = top / "work", top / "bare.git"
        self.commands: list[list[str]] = []
        self.git("init", "--quiet", "--initial-branch=main", str(self.work))

    def git(self, *arguments: str) -> str:
        author = {"GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org"}
        committer = {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
        return subprocess.run(
            ["git", *arguments],
            cwd=self.work if self.work.exists() else None,
            env={"PATH": os.environ["PATH"], "HOME": "/nonexistent", **author, **committer},
            check=True,
            capture_output=True,
            text=True,
        ).stdout.strip()

    def commit(self, **files: str) -> str:
        for name, content in files.items():
            (self.work / name).write_text(content)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "x")
        return self.git("rev-parse", "HEAD")

    def publish(self) -> None:
        self.git("clone", "--quiet", "--bare", str(self.work), str(self.bare))

    def run(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], timeout: float
    ) -> Completed:
        """The real git, with the one URL led to the disk."""
        self.commands.append(list(arguments))
        here = [word.replace(URL, f"file://{self.bare}") for word in arguments]
        assert environment["GIT_ALLOW_PROTOCOL"] == "https"
        allowed = {**environment, "GIT_ALLOW_PROTOCOL": "file"}
        return run_command(here, environment=allowed, timeout=timeout)


@pytest.fixture
def repository(tmp_path: Path) -> Repository:
    return Repository(tmp_path)


def checkouts(repository: Repository) -> GitCheckouts:
    environment = git_environment(os.environ, proxy=None, ca_bundle=None)
    return GitCheckouts(lambda url: ["192.0.2.1"], environment, repository.run)


def test_a_branch_a_tag_a_commit_and_the_default(repository: Repository, tmp_path: Path) -> None:
    first = repository.commit(file="first")
    repository.git("tag", "v1.0")
    repository.commit(file="second", run="#!/bin/sh\n")
    repository.git("branch", "dev")
    repository.publish()
    second = dict.fromkeys((None, "main", "dev"), "second")
    for number, (ref, expected) in enumerate({**second, "v1.0": "first", first: "first"}.items()):
        tree = ConfinedTree(tmp_path, f"tree{number}")
        checkouts(repository).fetch(GitSource(URL, ref), tree)
        assert (tree.path / "file").read_text() == expected
        assert not (tree.path / ".git").exists()
    assert entries_of(tree, Limits(1000))


def test_nothing_of_a_repository_runs(repository: Repository, tmp_path: Path) -> None:
    (repository.work / ".gitattributes").write_text("* filter=evil\n")
    repository.commit(file="x", **{".gitmodules": '[submodule "a"]\n\tpath=a\n\turl=../a\n'})
    repository.publish()
    hook = repository.bare / "hooks" / "post-checkout"
    hook.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    hook.chmod(0o755)
    tree = ConfinedTree(tmp_path, "tree")
    checkouts(repository).fetch(GitSource(URL), tree)
    assert not (tmp_path / "ran").exists()
    assert {path.name for path in tree.path.iterdir()} == {".gitattributes", ".gitmodules", "file"}


def test_a_link_out_of_a_repository_is_refused(repository: Repository, tmp_path: Path) -> None:
    (repository.work / "link").symlink_to("../../../etc/passwd")
    repository.commit(file="x")
    repository.publish()
    tree = ConfinedTree(tmp_path, "tree")
    checkouts(repository).fetch(GitSource(URL), tree)
    with pytest.raises(ArtifactRefused, match="'link'"):
        entries_of(tree, Limits(1000))


def test_a_ref_that_is_not_there_is_final(repository: Repository, tmp_path: Path) -> None:
    repository.commit(file="x")
    repository.publish()
    with pytest.raises(ArtifactRefused, match="remote ref"):
        checkouts(repository).fetch(GitSource(URL, "nowhere"), ConfinedTree(tmp_path, "tree"))


def said(text: str, code: int | None = 128) -> GitCheckouts:
    def run(
        arguments: Sequence[str], *, environment: Mapping[str, str], timeout: float
    ) -> Completed:
        version = arguments[-1] == "--version"
        out = "git version 2.39.5" if version else ""
        done = version or "init" in arguments
        return Completed(
            arguments=tuple(arguments), code=0 if done else code, stdout=out, stderr=text
        )

    return GitCheckouts(lambda url: None, {}, run)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("fatal: unable to access 'x': Could not resolve host: x", ArtifactUnavailable),
        ("fatal: unable to access 'x': The requested URL returned error: 503", ArtifactUnavailable),
        ("fatal: unable to access 'x': The requested URL returned error: 403", ArtifactRefused),
        ("fatal: could not read Username for 'x': terminal prompts disabled", ArtifactRefused),
        ("fatal: repository 'https://x/' not found", ArtifactRefused),
        ("fatal: transport 'ssh' not allowed", ArtifactRefused),
    ],
)
def test_what_git_says(text: str, kind: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(kind, match="git cannot fetch HEAD of"):
        said(text).fetch(GitSource(URL), ConfinedTree(tmp_path, "tree"))


@pytest.mark.parametrize("version", ["git version 2.17.1", "git version 1.8.3.1", ""])
def test_a_git_that_cannot_be_told_the_address_is_not_used(version: str, tmp_path: Path) -> None:
    git = GitCheckouts(
        lambda url: None,
        {},
        lambda arguments, **_: Completed(arguments=tuple(arguments), code=0, stdout=version),
    )
    with pytest.raises(ArtifactRefused, match=r"git 2\.37 or later"):
        git.fetch(GitSource(URL), ConfinedTree(tmp_path, "tree"))


def test_a_site_without_git_says_so(tmp_path: Path) -> None:
    def missing(*_: object, **__: object) -> Completed:
        raise CommandMissing("git is not found")

    with pytest.raises(ArtifactRefused, match="no git"):
        GitCheckouts(lambda url: None, {}, missing).fetch(
            GitSource(URL), ConfinedTree(tmp_path, "tree")
        )


def test_a_host_that_is_not_listed_is_refused_before_git_is_called(tmp_path: Path) -> None:
    def refuse(url: str) -> list[str]:
        raise ArtifactRefused(url)

    def never(*_: object, **__: object) -> Completed:
        raise AssertionError

    with pytest.raises(ArtifactRefused):
        GitCheckouts(refuse, {}, never).fetch(GitSource(URL), ConfinedTree(tmp_path, "tree"))
