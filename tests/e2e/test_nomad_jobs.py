"""The reference document's batch jobs: registered by the API, run by the real puller."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import nomad
import pytest
import requests

from tests.artifact_server import ArtifactServer, artifact_server
from tests.conftest import DeployedStack
from tests.e2e.job_files import (
    ELEMENTS,
    ENCRYPTER,
    JAVA,
    JAVA_ON_THE_SITE,
    PERIODIC,
    SLEEPER,
)
from tests.e2e.site import Site
from tests.emulator.api_client import ApiClient
from tests.patience import PATIENCE

pytestmark = pytest.mark.emulator

OPENSSL = shutil.which("openssl") or "/usr/bin/openssl"
ENCRYPTION = ("aes-256-cbc", "-d", "-in")
UPPER = """
public class Upper {
    public static void main(String[] args) { System.out.println("JILL DOE"); }
}
"""


@pytest.fixture
def client(api: ApiClient) -> nomad.Nomad:
    """python-nomad, unmodified, with a session that signs."""
    session = requests.Session()
    session.auth = api.session.auth
    return nomad.Nomad(address=api.url, session=session, timeout=60)


@pytest.fixture
def server() -> Iterator[ArtifactServer]:
    with artifact_server() as made:
        made.files["/pass.txt"] = b"password\n"
        made.files["/periodic-task.sh"] = b'#!/bin/bash\necho "Hi Nomad Periodic Scheduler"\n'
        yield made


@pytest.fixture
def artifacts(server: ArtifactServer) -> str:
    """Where the artifacts are."""
    return server.url("").rstrip("/")


@pytest.fixture
def site(site: Site, server: ArtifactServer) -> Site:
    """The site `dc1`, which takes artifacts from that server."""
    return replace(site, extra_settings={"artifact_hosts": [f"127.0.0.1:{server.port}"]})


@pytest.fixture
def name() -> str:
    return f"j{uuid.uuid4().hex[:10]}"


def run(api: ApiClient, text: str) -> dict[str, Any]:
    """`nomad job run`: parse, then register."""
    job = api.post("/v1/jobs/parse", {"JobHCL": text, "Canonicalize": True})
    registered: dict[str, Any] = api.post("/v1/jobs", {"Job": job})
    return registered


def the_allocation(api: ApiClient, job_id: str) -> dict[str, Any]:
    (allocation,) = api.get(f"/v1/job/{job_id}/allocations")
    return dict(allocation)


def log(api: ApiClient, allocation: dict[str, Any], task: str) -> str:
    """`nomad fs ALLOC alloc/logs/TASK.stdout.0`."""
    path = f"alloc/logs/{task}.stdout.0"
    answer = api.call("GET", f"/v1/client/fs/cat/{allocation['ID'][:8]}", params={"path": path})
    assert answer.status_code == 200, answer.text
    return answer.text


def until(holds: Callable[[], bool], seconds: float = PATIENCE) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


# ---- a one-off job, by Java ----


def a_jar(folder: Path) -> Path:
    """A jar that prints what the document's prints last."""
    if not shutil.which("javac"):
        pytest.skip("there is no Java here: on Debian, apt install openjdk-17-jdk-headless")
    folder.mkdir(exist_ok=True)
    (folder / "Upper.java").write_text(UPPER)
    subprocess.run(["javac", "-d", str(folder), str(folder / "Upper.java")], check=True)
    jar = folder / "upper.jar"
    with zipfile.ZipFile(jar, "w") as archive:
        archive.writestr("META-INF/MANIFEST.MF", "Manifest-Version: 1.0\nMain-Class: Upper\n")
        archive.write(folder / "Upper.class", "Upper.class")
    return jar


def test_the_java_job_of_the_document(
    api: ApiClient, site: Site, server: ArtifactServer, artifacts: str, name: str, tmp_path: Path
) -> None:
    jar = a_jar(tmp_path / "java")
    server.files["/batch-processing-0.0.1-SNAPSHOT.jar"] = jar.read_bytes()
    registered = run(api, JAVA.format(id=name, artifacts=artifacts))
    assert registered["Ran"]
    assert registered["EvalID"]
    job = site.finish(api, name)
    assert (job["Outcome"], job["Version"], job["Stop"]) == ("complete", 0, False), site.log
    assert job["TaskGroups"][0]["Tasks"][0]["Driver"] == "java"
    assert job["TaskGroups"][0]["Tasks"][0]["Resources"]["MemoryMB"] == 300
    assert (job["Periodic"], job["ParameterizedJob"]) == (None, None)
    allocation = the_allocation(api, name)
    assert (allocation["TaskGroup"], allocation["ClientStatus"]) == ("java-batch", "complete")
    assert allocation["Name"] == f"{name}.java-batch[0]"
    assert "JILL DOE" in log(api, allocation, "to-upper")
    state = allocation["TaskStates"]["to-upper"]
    assert (state["State"], state["Failed"]) == ("dead", False)
    assert "Started" in [event["Type"] for event in state["Events"]]
    summary = api.get(f"/v1/job/{name}/summary")
    assert summary["Summary"]["java-batch"]["Complete"] == 1
    # Unchanged and finished: nothing runs. Changed: it runs again, as a further version.
    again = run(api, JAVA.format(id=name, artifacts=artifacts))
    assert (again["Ran"], again["JobModifyIndex"]) == (False, registered["JobModifyIndex"])
    changed = JAVA_ON_THE_SITE.format(id=name, jar=jar)
    assert run(api, changed)["Ran"]
    job = site.finish(api, name)
    assert (job["Outcome"], job["Run"], job["Version"]) == ("complete", 2, 1), site.log
    versions = api.get(f"/v1/job/{name}/versions")["Versions"]
    assert [row["Version"] for row in versions] == [1, 0]


# ---- dispatches ----


def decrypted(file: Path) -> str:
    done = subprocess.run(
        [OPENSSL, *ENCRYPTION, str(file), "-pass", "pass:password"],
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout


def test_the_encrypter_of_the_document(
    api: ApiClient, site: Site, artifacts: str, name: str, tmp_path: Path
) -> None:
    text = ENCRYPTER.format(id=name, artifacts=artifacts, openssl=OPENSSL, directory=tmp_path)
    registered = run(api, text)
    assert (registered["Ran"], registered["EvalID"]) == (False, "")
    job = api.get(f"/v1/job/{name}")
    assert (job["Status"], job["ParameterizedJob"]["Payload"]) == ("running", "required")
    refused = api.refused("POST", f"/v1/job/{name}/dispatch", 400, json={})
    assert refused == "Payload is not provided but required by parameterized job"

    payload = base64.b64encode(b'"this is a raw text!!"\n').decode()
    dispatched = api.post(f"/v1/job/{name}/dispatch", {"Payload": payload})
    child = dispatched["DispatchedJobID"]
    assert child.startswith(f"{name}/dispatch-")
    job = site.finish(api, child)
    assert job["Outcome"] == "complete", site.log
    assert (job["ParentID"], job["Dispatched"]) == (name, True)
    assert decrypted(tmp_path / "encrypted.txt") == '"this is a raw text!!"\n'
    allocation = the_allocation(api, child)
    for file, content in (("rawtext.txt", '"this is a raw text!!"\n'), ("pass.txt", "password\n")):
        path = f"encrypter/local/{file}"
        answer = api.call("GET", f"/v1/client/fs/cat/{allocation['ID']}", params={"path": path})
        assert answer.text == content
    assert site.word(child) == "JOB_COMPLETE"
    (row,) = [row for row in api.get("/v1/jobs", prefix=name) if row["ID"] == name]
    assert row["ParameterizedJob"] is True
    assert row["JobSummary"]["Children"] == {"Pending": 0, "Running": 0, "Dead": 1}
    rows = {row["ID"]: row for row in api.get("/v1/jobs", prefix=f"{name}/")}
    assert rows[child]["ParentID"] == name


def test_a_large_payload_is_put_by_the_client(
    api: ApiClient, site: Site, artifacts: str, name: str, tmp_path: Path
) -> None:
    run(api, ENCRYPTER.format(id=name, artifacts=artifacts, openssl=OPENSSL, directory=tmp_path))
    large = b"large " * 20_000
    refused = api.refused(
        "POST", f"/v1/job/{name}/dispatch", 400, json={"Payload": base64.b64encode(large).decode()}
    )
    assert refused == "Payload exceeds maximum size; 120000 > 16384"
    announced = api.post(
        f"/v1/job/{name}/dispatch",
        {"PayloadUpload": {"Size": len(large), "SHA256": hashlib.sha256(large).hexdigest()}},
    )
    (upload,) = announced["Uploads"]
    put = requests.put(upload["URL"], data=large, headers=upload["Headers"], timeout=60)
    assert put.status_code == 200, put.text
    started = api.post(f"/v1/job/{announced['ID']}/start", {"Upload": announced["Upload"]})
    assert started["ID"] == announced["ID"]
    assert site.finish(api, announced["ID"])["Outcome"] == "complete", site.log
    assert decrypted(tmp_path / "encrypted.txt").encode() == large


# ---- periodic jobs ----


def test_the_periodic_job_of_the_document(
    api: ApiClient, site: Site, artifacts: str, name: str, deployed: DeployedStack
) -> None:
    run(api, PERIODIC.format(id=name, artifacts=artifacts))
    job = api.get(f"/v1/job/{name}")
    assert job["Periodic"]["ProhibitOverlap"] is True
    assert job["NextPeriodicLaunch"]
    forced = api.post(f"/v1/job/{name}/periodic/force", None)
    child = forced["DispatchedJobID"]
    assert child.startswith(f"{name}/periodic-")
    job = site.finish(api, child)
    assert (job["Outcome"], job["ParentID"], job["Periodic"]) == ("complete", name, None), site.log
    allocation = the_allocation(api, child)
    assert log(api, allocation, "periodic-echo") == "Hi Nomad Periodic Scheduler\n"
    (evaluation,) = api.get(f"/v1/job/{child}/evaluations")
    assert evaluation["TriggeredBy"] == "periodic-job"

    def children() -> set[str]:
        return {row["ID"] for row in api.get("/v1/jobs", prefix=f"{name}/")}

    until(lambda: len(children()) > 1, seconds=300)
    stopped = api.call("DELETE", f"/v1/job/{name}")
    assert stopped.status_code == 200, stopped.text
    job = api.get(f"/v1/job/{name}")
    assert (job["Status"], job["Stop"], job["NextPeriodicLaunch"]) == ("dead", True, None)
    for launched in children():
        site.finish(api, launched)


# ---- elements, and what runs ----


def test_each_element_is_an_allocation_of_its_own(api: ApiClient, site: Site, name: str) -> None:
    run(api, ELEMENTS.format(id=name))
    job = site.finish(api, name)
    assert job["Outcome"] == "failed"
    # What was complete is not run again by the further attempt that the first group's policy asks.
    shown = {(r["Name"], r["Attempt"]): r for r in api.get(f"/v1/job/{name}/allocations")}
    assert set(shown) == {
        (f"{name}.many[0]", 1),
        (f"{name}.many[1]", 1),
        (f"{name}.one[0]", 1),
        (f"{name}.one[0]", 2),
    }
    second, failed = shown[f"{name}.many[1]", 1], shown[f"{name}.one[0]", 2]
    assert second["ClientStatus"] == "complete"
    assert (failed["ClientStatus"], failed["ExitCode"]) == ("failed", 3)
    found = api.get(f"/v1/allocation/{second['ID']}")
    assert (found["Name"], found["TaskGroup"]) == (f"{name}.many[1]", "many")
    text = log_of(api, second["ID"], "work")
    assert text.startswith("many 1 ")
    assert text.split()[2] == second["ID"]
    summary = api.get(f"/v1/job/{name}/summary")["Summary"]
    assert (summary["many"]["Complete"], summary["one"]["Failed"]) == (2, 2)


def log_of(api: ApiClient, alloc_id: str, task: str) -> str:
    """`nomad alloc logs`."""
    answer = api.call(
        "GET",
        f"/v1/client/fs/logs/{alloc_id}",
        params={"task": task, "type": "stdout", "plain": "true"},
    )
    assert answer.status_code == 200, answer.text
    return answer.text


def test_logs_and_task_states_are_seen_while_a_job_runs_and_it_is_stopped(
    api: ApiClient, site: Site, name: str
) -> None:
    run(api, SLEEPER.format(id=name))

    def running() -> bool:
        site.pull()
        found = the_allocation(api, name)
        state = found["TaskStates"]["sleeper"]
        told = [event["Type"] for event in state["Events"]]
        return found["ClientStatus"] == "running" and told == ["Received", "Started"]

    until(running)
    assert log_of(api, the_allocation(api, name)["ID"], "sleeper") == "begun\n"
    assert api.call("DELETE", f"/v1/job/{name}", params={"purge": "true"}).status_code == 200
    until(lambda: site.pull() is not None and gone(api, name))
    assert not site.keys(name)


# ---- python-nomad ----


def test_python_nomad_registers_dispatches_forces_and_stops(
    api: ApiClient, client: nomad.Nomad, site: Site, artifacts: str, name: str, tmp_path: Path
) -> None:
    text = ENCRYPTER.format(id=name, artifacts=artifacts, openssl=OPENSSL, directory=tmp_path)
    job = client.jobs.parse(text)
    assert client.validate.validate_job({"Job": job}).json()["Error"] == ""
    planned = client.job.plan_job(name, {"Job": job}, diff=True)
    assert (planned["Diff"]["Type"], planned["JobModifyIndex"]) == ("Added", 0)
    client.job.register_job(name, {"Job": job})
    assert client.job.plan_job(name, {"Job": job}, diff=True)["Diff"]["Type"] == "None"
    payload = base64.b64encode(b"text").decode()
    first = client.job.dispatch_job(name, payload=payload, idempotency_token="once")
    again = client.job.dispatch_job(name, payload=payload, idempotency_token="once")
    assert again["DispatchedJobID"] == first["DispatchedJobID"]
    assert client.job[first["DispatchedJobID"]]["ParentID"] == name
    assert client.job.get_summary(name)["Children"]["Pending"] == 1
    with pytest.raises(nomad.api.exceptions.BaseNomadException) as refused:
        client.job.dispatch_job(name, payload="no base64!")
    assert "base64" in refused.value.nomad_resp.text
    client.job.deregister_job(first["DispatchedJobID"])

    periodic = f"{name}-periodic"
    parsed = client.jobs.parse(PERIODIC.format(id=periodic, artifacts=artifacts))
    client.jobs.register_job({"Job": parsed})
    forced = client.job.periodic_job(periodic)
    evaluation = client.evaluation[forced["EvalID"]]
    assert evaluation["TriggeredBy"] == "periodic-job"
    assert site.finish(api, evaluation["JobID"])["Outcome"] == "complete"
    for job_id in (periodic, name):
        client.job.deregister_job(job_id, purge=True)
        until(partial(gone, api, job_id))


def gone(api: ApiClient, job_id: str) -> bool:
    return api.call("GET", f"/v1/job/{job_id}").status_code == 404
