"""What `doctor` says of a policy."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from puller.administration.finding import Finding, Level
from puller.administration.policy_examination import PolicyExamination, changeable
from puller.schedulers.runner import Completed
from tests.unit.puller.trust.signed_site import SignedSite


def _findings(site: SignedSite, version: str = "OpenSSH_9.2p1 Debian") -> list[Finding]:
    def run(arguments: object, **_named: object) -> Completed:
        return Completed(arguments=("ssh", "-V"), code=0, stderr=f"{version}\n")

    return list(PolicyExamination(site.settings, run).findings())


def test_a_policy_of_the_puller_s_user_is_advisory(site: SignedSite) -> None:
    site.signers.chmod(0o660)
    findings = _findings(site)
    assert findings[0].level is Level.OK
    assert any("advisory" in f.message and "signers" in f.message for f in findings)
    assert findings[-1].level is Level.OK


@pytest.mark.parametrize("version", ["OpenSSH_8.1p1", "OpenSSH_7.4p1, OpenSSL 1.0.2k-fips", "?"])
def test_an_old_openssh_fails(site: SignedSite, version: str) -> None:
    assert _findings(site, version)[-1].level is Level.FAIL
    site.policy(required=False)
    assert all(finding.level is not Level.FAIL for finding in _findings(site, version))


def test_openssh_is_looked_for_where_the_puller_looks_for_it(
    site: SignedSite, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = tmp_path / "old"
    old.mkdir()
    (old / "ssh").write_text("#!/bin/sh\necho OpenSSH_8.0p1 >&2\n")
    (old / "ssh").chmod(0o755)
    monkeypatch.setenv("PATH", f"{old}:{os.environ['PATH']}")
    assert list(PolicyExamination(site.settings).findings())[-1].level is Level.OK
    settings = replace(site.settings, path=f"{old}:/bin:/usr/bin")
    assert list(PolicyExamination(settings).findings())[-1].level is Level.FAIL


def test_a_broken_policy_fails(site: SignedSite) -> None:
    (site.home / "policy.toml").write_text("x = 1\n")
    assert [finding.level for finding in _findings(site)] == [Level.FAIL]
    site.policy()
    site.signers.unlink()
    assert any(f.level is Level.FAIL and "signers" in f.message for f in _findings(site))


def test_who_could_change_a_file(tmp_path: Path) -> None:
    assert changeable(Path("/etc/passwd")) is None
    file = tmp_path / "policy"
    file.touch()
    file.chmod(0o620)
    assert "write" in str(changeable(file)) or "belong" in str(changeable(file))
