"""A template is signed once; a cloud that was taken over dispatches it within the bounds, or not.

Every run writes its id, its meta and its payload into a ledger.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from job_protocol.dispatch_file import DISPATCH_PATH, PAYLOAD_PATH, read_records, write_records
from job_protocol.manifest import Entry, Manifest
from jobferry.job_file import read_job
from jobferry.nomad_signing import Bounds, nomad_document
from jobferry.signing import Signing
from tests.conftest import DeployedStack
from tests.e2e.shell import Shell
from tests.e2e.trust import Trust
from tests.emulator.api_client import ApiClient

pytestmark = pytest.mark.emulator

TEMPLATE = """\
job "%s" {
  datacenters = ["dc1"]
  type        = "batch"
  parameterized {
    payload       = "optional"
    meta_optional = ["color", "other"]
  }
  group "g" {
    reschedule { attempts = 0 }
    task "t" {
      driver = "raw_exec"
      config {
        command = "/bin/sh"
        args    = ["-c", "echo \\"$NOMAD_JOB_ID $NOMAD_META_COLOR $(cat local/in)\\" >>%s/ledger"]
      }
      dispatch_payload { file = "in" }
    }
  }
}
"""


@pytest.fixture
def shell(deployed: DeployedStack, trust: Trust) -> Shell:
    return Shell(deployed, trust.site, trust.home)


@pytest.fixture
def api(deployed: DeployedStack) -> ApiClient:
    return ApiClient(deployed.deployment.api_urls[""], deployed.emulator.region)


def _name() -> str:
    return f"signed-{uuid.uuid4().hex[:8]}"


def _sign(shell: Shell, trust: Trust, name: str, *options: str) -> None:
    (trust.home / "t.nomad").write_text(TEMPLATE % (name, trust.home))
    shell.run("job", "run", "t.nomad", "--sign", str(trust.keys["alice"]), *options)


def _child(api: ApiClient, template: str, payload: str = "", **meta: str) -> str:
    body = {"Meta": meta, "Payload": payload}
    return str(api.post(f"/v1/job/{template}/dispatch", body)["DispatchedJobID"])


def _ended(trust: Trust, job: str) -> dict[str, Any]:
    return trust.until_ended(str(trust.allocation(job)["id"]))


def _with(trust: Trust, item: Mapping[str, Any], path: str, content: bytes) -> bytes:
    """The manifest of an allocation in which one input is exchanged."""
    version = trust.site.put(f"{item['job']}/{path}", content)
    entries = {entry.path: entry for entry in Manifest.unpack(bytes(item["manifest"])).entries}
    entries[path] = Entry(path, version, len(content))
    return Manifest(tuple(entries[name] for name in sorted(entries))).pack()


def test_a_template_is_signed_once_and_its_children_run_within_bounds(
    trust: Trust, shell: Shell, api: ApiClient
) -> None:
    name = _name()
    bounds = ("--sign-runs", "2", "--sign-meta", "color=red|blue", "--sign-payload", "8")
    _sign(shell, trust, name, *bounds)
    child = _child(api, name, "aGVsbG8=", color="red")
    assert _ended(trust, child)["client_status"] == "complete", trust.site.log
    assert trust.ledger == [child, "red", "hello"]
    (submitted,) = trust.audit(child, "submitted")
    assert submitted["signer"] == "alice"

    def refused(job: str, rule: str) -> None:
        reason = _ended(trust, job)["reason"]
        assert reason.startswith("refused by the policy of site dc1: "), reason
        assert rule in reason

    # What the API lets through, as no person of the site bounds it.
    outside = {
        _child(api, name, color="green"): "meta 'color' does not match 'red|blue'",
        _child(api, name, other="x" * 200): "meta 'other' has 200 bytes, and 128 were signed",
        _child(api, name, other="$(id)"): "meta 'other' does not match",
        _child(api, name, "aGVsbG8gYWdhaW4="): "the payload has 11 bytes, and 8 were signed",
    }
    for job, rule in outside.items():
        refused(job, rule)

    # What a cloud that was taken over changes in a child that was to run.
    job = _child(api, name, color="blue")
    item = trust.allocation(job)
    dispatch = read_records(trust.site.get(f"{job}/{DISPATCH_PATH}"))
    forged = {
        "meta 'PATH' was not signed": {"meta.PATH": "/tmp"},
        "the fact 'region' is 'here'": {"region": "here"},
        "the fact 'job_id' is 'other'": {"job_id": "other"},
        "has no allocation_id": {"allocation_id": "$(id)"},
        "the fact 'more' is 'x'": {"more": "x"},
    }
    attacks = {
        rule: _with(trust, item, DISPATCH_PATH, write_records({**dispatch, **records}))
        for rule, records in forged.items()
    }
    script = f"#!/bin/sh\necho forged >>{trust.home}/ledger\n".encode()
    attacks |= {
        "input 'aws-job-run.sh' is not what was signed": _with(
            trust, item, "aws-job-run.sh", script
        ),
        "input 'aws-job.json' is not in what": _with(trust, item, "aws-job.json", b"{}"),
        "does not end with a whole record": _with(trust, item, DISPATCH_PATH, b"job_id=x"),
        "the payload has 9 bytes, and 8 were signed": _with(
            trust, item, PAYLOAD_PATH, b"too large"
        ),
    }
    for rule, manifest in attacks.items():
        trust.offer(item, manifest=manifest)
        assert rule in trust.until_ended(item["id"])["reason"]
    assert trust.ledger == [child, "red", "hello"]

    # Other settings in the table: the signed ones count. After that no run is left.
    trust.offer(item, settings={"queue": "expensive", "name": "x", "results": ["**"]})
    assert trust.until_ended(item["id"])["client_status"] == "complete"
    assert trust.ledger == [child, "red", "hello", job, "blue"]
    refused(_child(api, name, color="red"), f"it was signed for 2 runs (`parameterized {name}`)")

    # Signed anew it runs again, without a change of the job.
    _sign(shell, trust, name, *bounds)
    assert _ended(trust, _child(api, name, color="red"))["client_status"] == "complete"


def test_what_is_not_signed_so_does_not_run(trust: Trust, shell: Shell, api: ApiClient) -> None:
    name = _name()
    _sign(shell, trust, name, "--sign-runs", "9", "--sign-payload", "0")
    assert "a payload was not signed" in _ended(trust, _child(api, name, "eA=="))["reason"]

    # Signed long ago: the API takes it, the site does not.
    expired = _name()
    (trust.home / "e.nomad").write_text(TEMPLATE % (expired, trust.home))
    job = read_job(None, str(trust.home / "e.nomad"), (), ()).job
    signing = Signing(key=trust.keys["alice"], expires=3600, runs=9)
    past = datetime.now(UTC) - timedelta(days=1)
    document = nomad_document(job, "dc1", signing, Bounds(), past)
    signed = {"Document": document.decode(), "Signature": signing.signature(document).decode()}
    api.post("/v1/jobs", {"Job": job, "Signed": signed})
    assert "the signature expired at" in _ended(trust, _child(api, expired))["reason"]

    # A changed job does not take the old signature along; one of another job is refused at once.
    changed = {**job, "Meta": {"changed": "yes"}}
    api.post("/v1/jobs", {"Job": changed})
    assert "it is not signed" in _ended(trust, _child(api, expired))["reason"]
    error = api.refused("POST", "/v1/jobs", 400, json={"Job": changed, "Signed": signed})
    assert "what was signed is not what job" in error
    assert trust.ledger == []


def test_a_batch_job_is_signed_as_well(trust: Trust, shell: Shell) -> None:
    name = _name()
    text = (TEMPLATE % (name, trust.home)).replace("cat local/in", "echo ran")
    start, end = text.index("  parameterized"), text.index("  group")
    text = text[:start] + text[end:].replace('      dispatch_payload { file = "in" }\n', "")
    (trust.home / "b.nomad").write_text(text)
    shell.run("job", "run", "-detach", "b.nomad", "--sign", str(trust.keys["alice"]))
    assert _ended(trust, name)["client_status"] == "complete", trust.site.log
    assert trust.ledger == [name, "ran"]
