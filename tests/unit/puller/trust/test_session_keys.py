"""Session keys: what they may, for how long, and the commands that allow them."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from job_protocol.job_settings import JobSettings
from jobferry.signing import Signing
from jobferry.trust_commands import make_key as make_session_key
from puller.command import main
from puller.errors import NotNow, PullerError, Refused
from puller.trust.session_keys import (
    SessionKey,
    SessionKeyBounds,
    SessionKeys,
    allowed,
    narrowed,
    public_key,
)
from tests.unit.jobferry.signers import make_key, public_part
from tests.unit.puller.trust.signed_site import SignedSite


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_key(tmp_path_factory.mktemp("session") / "session")


def _key(session: Path, site: SignedSite, **changes: Any) -> SessionKey:
    facts = {"now": int(site.now), "hours": 1, "jobs": 2, "nodes": None}
    return allowed("today", public_part(session), bounds=SessionKeyBounds(), **(facts | changes))


def _try(site: SignedSite, session: Path, job: str, **settings: Any) -> JobSettings:
    gate, record = site.gate(), site.record(job)
    site.stage(gate, record, site.signed(job, signing=Signing(key=session), **settings))
    return gate.admit(record).allocation.settings


def test_a_session_key_signs_for_its_time_and_its_jobs(site: SignedSite, session: Path) -> None:
    with pytest.raises(Refused, match="not a good one"):
        _try(site, session, "before")
    keys = SessionKeys(site.settings.state, SessionKeyBounds())
    keys.add(_key(session, site))
    _try(site, session, "one")
    _try(site, session, "two")
    with pytest.raises(Refused, match="the 2 jobs of session key 'today'"):
        _try(site, session, "three")
    site.now += 3600
    with pytest.raises(Refused, match="session key 'today' counted until"):
        _try(site, session, "late")
    keys.remove("today")
    with pytest.raises(Refused, match="not a good one"):
        _try(site, session, "gone")


def test_a_session_key_bounds_nodes(site: SignedSite, session: Path) -> None:
    keys = SessionKeys(site.settings.state, SessionKeyBounds())
    keys.add(_key(session, site, nodes=2))
    gate, record = site.gate(), site.record()
    files = {"aws-job.json": '{"resources": {"nodes": 3}}'}
    site.stage(gate, record, site.signed(files=files, signing=Signing(key=session)))
    with pytest.raises(Refused, match="nodes is 3, and at most 2"):
        gate.admit(record)
    files = {"aws-job-run.sh": "#!/bin/sh\n#SBATCH -N 9\n"}
    record = site.record()
    site.stage(gate, record, site.signed(files=files, signing=Signing(key=session)))
    with pytest.raises(Refused, match="-N 9"):
        gate.admit(record)


def test_a_policy_forbids_or_bounds_session_keys(site: SignedSite, session: Path) -> None:
    keys = SessionKeys(site.settings.state, SessionKeyBounds())
    keys.add(_key(session, site, hours=10))
    site.policy("session_keys = false\n")
    with pytest.raises(Refused, match="not a good one"):
        _try(site, session, "forbidden")
    site.policy("session_keys = { max_hours = 2, max_jobs = 1 }\n")
    _try(site, session, "one")
    with pytest.raises(Refused, match="the 1 jobs"):
        _try(site, session, "two")
    site.now += 2 * 3600
    with pytest.raises(Refused, match="counted until"):
        _try(site, session, "late")


def test_a_revoked_session_key_does_not_count(site: SignedSite, session: Path) -> None:
    SessionKeys(site.settings.state, SessionKeyBounds()).add(_key(session, site))
    (site.home / "revoked").write_text(public_part(session) + "\n")
    site.policy(f'revoked_keys = "{site.home / "revoked"}"\n')
    with pytest.raises(Refused, match="is revoked"):
        _try(site, session, "revoked")


def test_a_key_file_that_cannot_be_read_decides_nothing(site: SignedSite, session: Path) -> None:
    path = SessionKeys(site.settings.state, SessionKeyBounds()).path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("[{}]")
    with pytest.raises(NotNow, match="session keys cannot be read"):
        _try(site, session, "job")


@pytest.mark.parametrize(
    "changes", [{"hours": 25}, {"hours": 0}, {"jobs": 501}, {"jobs": 0}, {"nodes": -1}]
)
def test_more_than_the_policy_allows_is_not_added(
    site: SignedSite, session: Path, changes: dict[str, int]
) -> None:
    with pytest.raises(PullerError, match=r"at most|at least"):
        _key(session, site, **changes)


def test_a_policy_that_became_stricter_narrows_a_key(site: SignedSite, session: Path) -> None:
    key = _key(session, site, hours=10, jobs=100, nodes=8)
    strict = narrowed(key, SessionKeyBounds(max_hours=1, max_jobs=5, max_nodes=2))
    assert (strict.until - strict.added, strict.max_jobs, strict.max_nodes) == (3600, 5, 2)
    assert narrowed(key, SessionKeyBounds()) == key


@pytest.mark.parametrize(
    "text", ["", "ssh-ed25519", "ssh-ed25519 !!", "ssh-rsa AAAAC3NzaC1lZDI1NTE5AAAAIA==", "a b c"]
)
def test_what_is_no_public_key(text: str) -> None:
    with pytest.raises(PullerError, match="no public key"):
        public_key(text)


def test_a_key_cannot_bring_a_line_of_its_own(session: Path) -> None:
    with pytest.raises(PullerError):
        public_key(f'x\n* namespaces="jobferry" {public_part(session)}')
    assert public_key(f"{public_part(session)} a b\nc")[0] == public_part(session)


def test_the_client_makes_a_key_of_its_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "config/session_key"
    first = make_session_key(path, "me")
    second = make_session_key(path, "me")
    assert first != second
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.with_name("session_key.pub").read_text().strip() == second
    assert public_key(second)[1] == "me"


def test_the_commands_on_the_site(
    site: SignedSite, session: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [f'site = "dc1"\npolicy_file = "{site.home}/policy.toml"\nscheduler = "local"']
    lines += [f'{name} = "x"' for name in ("bucket", "table", "region")]
    lines += [f'state_dir = "{site.settings.state}"', f'jobs_dir = "{site.settings.jobs_dir}"']
    settings = tmp_path / "puller.toml"
    settings.write_text("\n".join(lines) + "\n")

    def trust(*words: str) -> tuple[int, str]:
        code = main(["--settings", str(settings), "trust", *words])
        return code, capsys.readouterr().out

    public = session.with_name("session.pub")
    assert trust("add", *public.read_text().split(), "--for", "2h", "--max-jobs", "7")[0] == 0
    code, out = trust("list", "--json")
    (row,) = json.loads(out)
    assert (code, row["name"], row["max_jobs"], row["counts"]) == (0, "session", 7, True)
    assert trust("add", str(public), "--name", "again")[0] == 0
    assert len(json.loads(trust("list", "--json")[1])) == 1
    assert "again" in trust("list")[1]
    assert trust("remove", row["fingerprint"])[0] == 0
    assert trust("remove", "again")[0] == 1
    assert trust("add", str(tmp_path / "none.pub"))[0] == 1
    assert trust("add", str(public), "--for", "48h")[0] == 1
    site.policy("session_keys = false\n")
    assert trust("add", str(public))[0] == 1
