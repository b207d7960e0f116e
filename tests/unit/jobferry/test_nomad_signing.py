"""What the client signs of a Nomad job, and what the control plane takes as signed."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from job_protocol.signed_manifest import SignedManifest
from job_protocol.signed_runs import DEFAULT_PATTERN, MetaBound, PayloadBound, read_settings_text
from jobferry.command import cli
from jobferry.errors import SigningFailed, UploadRefused, UsageError
from jobferry.nomad_signing import Bounds, meta_bound, nomad_document, site_to_sign
from jobferry.signing import Signing
from lambdas.rules.signed_registration import NotSigned, Signed, check_signed, read_signed
from tests.unit.jobferry.signers import make_key

NOW = datetime(2026, 11, 25, tzinfo=UTC)
JOB: dict[str, Any] = {
    "ID": "encrypter",
    "Type": "batch",
    "Datacenters": ["dc1"],
    "ParameterizedJob": {
        "Payload": "required",
        "MetaRequired": ["profile"],
        "MetaOptional": ["note"],
    },
    "TaskGroups": [
        {
            "Name": "g",
            "Tasks": [{"Name": "t", "Driver": "raw_exec", "Config": {"command": "/bin/true"}}],
        }
    ],
}
BATCH = {name: value for name, value in JOB.items() if name != "ParameterizedJob"}


def _document(job: dict[str, Any], bounds: Bounds | None = None, **signing: Any) -> SignedManifest:
    document = nomad_document(job, "dc1", Signing(**signing), bounds or Bounds(), NOW)
    check_signed(Signed(document, b"-"), {**job, "Name": job.get("Name") or job["ID"]}, "dc1")
    return SignedManifest.parse(document)


def _with_artifact(source: str) -> dict[str, Any]:
    group = JOB["TaskGroups"][0]
    task = {**group["Tasks"][0], "Artifacts": [{"GetterSource": source}]}
    return {**JOB, "TaskGroups": [{**group, "Tasks": [task]}]}


def test_a_template_is_signed_with_bounds_for_all_that_a_dispatch_may_give() -> None:
    bounds = Bounds.stated(["profile:20=[a-z]+"], 2**20)
    (jobs,) = _document(JOB, bounds, runs=5).jobs
    assert (jobs.parameterized, jobs.runs) == (("encrypter",), 5)
    assert jobs.nomad is not None
    assert jobs.nomad.meta == (
        MetaBound("note", required=False, length=128, pattern=DEFAULT_PATTERN),
        MetaBound("profile", required=True, length=20, pattern="[a-z]+"),
    )
    assert jobs.nomad.payload == PayloadBound(required=True, size=2**20)


def test_a_job_that_is_no_template_runs_once_and_once_more_for_each_retry() -> None:
    (jobs,) = _document(BATCH).jobs
    assert jobs.nomad is not None
    retries = read_settings_text(jobs.nomad.settings).retries
    assert retries is not None
    assert (jobs.ids, jobs.runs) == (("encrypter",), 1 + retries.attempts)
    assert dict(jobs.nomad.facts)["job_name"] == "encrypter"
    assert _document(BATCH, runs=3).jobs[0].runs == 3


@pytest.mark.parametrize(
    ("job", "bounds", "error", "named"),
    [
        (JOB, Bounds(), UsageError, "--sign-runs"),
        (JOB, Bounds.stated(["x=y"], None), UsageError, "it takes: note, profile"),
        (JOB, Bounds(payload=0), UsageError, "requires a payload"),
        ({**JOB, "Type": "service"}, Bounds(), SigningFailed, "service"),
    ],
)
def test_what_cannot_be_signed(
    job: dict[str, Any], bounds: Bounds, error: type[Exception], named: str
) -> None:
    runs = None if named == "--sign-runs" else 1
    with pytest.raises(error, match=named):
        _document(job, bounds, runs=runs)


def test_an_artifact_that_depends_on_the_dispatch_cannot_be_signed() -> None:
    for source in ("https://h/${NOMAD_META_PROFILE}.tar", "https://h/${NOMAD_JOB_ID}.tar"):
        with pytest.raises(UploadRefused, match="differs between runs"):
            _document(_with_artifact(source), runs=1)
    (jobs,) = _document(_with_artifact("https://h/${NOMAD_JOB_PARENT_ID}.tar"), runs=1).jobs
    assert jobs.nomad is not None
    (artifact,) = read_settings_text(jobs.nomad.settings).artifacts
    assert artifact.source == "https://h/encrypter.tar"


def test_the_control_plane_refuses_what_is_not_of_this_job() -> None:
    document = nomad_document(JOB, "dc1", Signing(runs=2), Bounds(), NOW)
    signed, job = Signed(document, b"-"), {**JOB, "Name": "encrypter"}
    check_signed(signed, job, "dc1")
    for other, site, named in (
        (job, "osaka", "for site 'dc1'"),
        ({**job, "ID": "x", "Name": "x"}, "dc1", "signed for other jobs"),
        ({**job, "Priority": 60}, "dc1", "what was signed is not what job"),
        ({**job, "Meta": {"a": "b"}}, "dc1", "what was signed is not what job"),
    ):
        with pytest.raises(NotSigned, match=named):
            check_signed(signed, other, site)
    with pytest.raises(NotSigned, match="cannot be read"):
        check_signed(replace(signed, document=document[:-1]), job, "dc1")


@pytest.mark.parametrize("stated", [7, {}, {"Document": "x"}, {"Document": "", "Signature": "x"}])
def test_what_is_no_signed_document(stated: object) -> None:
    with pytest.raises(NotSigned):
        read_signed(stated)


def test_which_site() -> None:
    assert site_to_sign("osaka", JOB) == "osaka"
    assert site_to_sign(None, JOB) == "dc1"
    for names in (["dc1", "dc2"], ["*"], [], ["dc*"]):
        with pytest.raises(UsageError, match="--site"):
            site_to_sign(None, {**JOB, "Datacenters": names})


@pytest.mark.parametrize("stated", ["x", "=y", "x:=y", "x:70000=y"])
def test_what_is_no_bound(stated: str) -> None:
    with pytest.raises(UsageError):
        meta_bound(stated)


def test_the_command_prints_what_would_be_signed_without_any_cloud(tmp_path: Path) -> None:
    file = tmp_path / "b.nomad"
    file.write_text(
        'job "b" {\n datacenters = ["dc1"]\n type = "batch"\n group "g" {\n task "t" {\n'
        'driver = "raw_exec"\n config { command = "/bin/true" }\n }\n }\n}\n'
    )
    key = make_key(tmp_path / "key")
    arguments = ["job", "run", str(file), "--sign", str(key), "--sign-print"]
    done = CliRunner().invoke(cli, arguments)
    assert done.exit_code == 0, done.output
    assert "\njob b\n" in done.stdout
    unsigned = CliRunner().invoke(cli, ["job", "run", str(file), "--sign-print"])
    assert unsigned.exit_code != 0
