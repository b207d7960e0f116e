"""The HTTP API on the real stack, with the real puller at the other end."""

from __future__ import annotations

import base64
import hashlib
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import nomad
import nomad.api.exceptions
import pytest
import requests

from job_protocol import table_keys
from tests.conftest import DeployedStack
from tests.e2e.site import Site
from tests.emulator.api_client import ApiClient

pytestmark = pytest.mark.emulator

HELLO = "#!/bin/sh\ncat in.txt 2>/dev/null\nmkdir -p out\necho 42 > out/answer\n"


@pytest.fixture(scope="module")
def api(deployed: DeployedStack) -> ApiClient:
    return ApiClient(deployed.deployment.api_urls[""], deployed.emulator.region)


@pytest.fixture
def job_id() -> str:
    return f"api/{uuid.uuid4().hex[:12]}"


def finish(api: ApiClient, site: Site, job_id: str) -> dict[str, Any]:
    """Let the site work until the job is dead."""
    for _ in range(40):
        site.pull()
        job: dict[str, Any] = api.get(f"/v1/job/{job_id}/wait", seconds=1)
        if job["Status"] == "dead":
            return job
    raise AssertionError(f"{job}\n{site.log}")


def forget_heartbeats(deployed: DeployedStack, site: str) -> None:
    """Make a site one that has never been seen."""
    dynamodb, pk = deployed.client("dynamodb"), {"S": table_keys.heartbeat_partition(site)}
    found = dynamodb.query(
        TableName=deployed.table,
        KeyConditionExpression="pk = :pk",
        ExpressionAttributeValues={":pk": pk},
    )
    for item in found["Items"]:
        dynamodb.delete_item(TableName=deployed.table, Key={"pk": pk, "sk": item["sk"]})


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)


# ---- a script, from the submission to its logs ----


def test_a_script_with_files_runs_and_its_results_are_read_through_the_api(
    api: ApiClient, site: Site, job_id: str
) -> None:
    submitted = api.post(
        "/v1/jobs/script",
        {
            "ID": job_id,
            "Script": HELLO,
            "Files": [
                {"Path": "in.txt", "Content": "入力\n"},
                {
                    "Path": "bin/tool",
                    "Content": base64.b64encode(b"\x00\x01").decode(),
                    "Encoding": "base64",
                    "Mode": "0755",
                },
            ],
            "Settings": {"name": "hello", "priority": 70},
        },
    )
    assert (submitted["ID"], submitted["Site"], submitted["Run"]) == (job_id, "dc1", 1)
    job = api.get(f"/v1/job/{job_id}")
    assert (job["Status"], job["Priority"], job["Settings"]["name"]) == ("pending", 70, "hello")
    assert job["Submitter"].startswith("arn:aws:iam::")
    assert job["Waiting"]

    job = finish(api, site, job_id)
    assert (job["Outcome"], job["ExitCode"], job["Waiting"]) == ("complete", 0, [])
    assert (site.jobs_dir / job_id / "bin/tool").stat().st_mode & 0o111
    assert site.details(job_id)["submitter"] == job["Submitter"]

    alloc = submitted["AllocID"]
    out = api.call("GET", f"/v1/client/fs/cat/{alloc}", params={"path": "out/answer"})
    assert (out.content, out.status_code) == (b"42\n", 200)
    log = api.call(
        "GET",
        f"/v1/client/fs/logs/{alloc[:8]}",
        params={"task": "script", "type": "stdout", "plain": "true"},
    )
    assert log.content.decode() == "入力\n"
    assert log.headers["X-Jobferry-Next-Offset"] == str(len(log.content))
    names = {row["Name"] for row in api.get(f"/v1/client/fs/ls/{alloc}", path="/")}
    assert {"aws-job-run.sh", "in.txt", "bin", "out", "alloc"} <= names

    kinds = [event["Type"] for event in api.get(f"/v1/job/{job_id}/events")]
    assert kinds[0] == "Submitted"
    assert {"Created", "Claimed", "Ended", "Finished"} <= set(kinds)


def test_announced_files_run_only_as_announced(api: ApiClient, site: Site, job_id: str) -> None:
    big = b"large " * 1000
    announced = api.post(
        "/v1/jobs/script",
        {
            "ID": job_id,
            "Script": "#!/bin/sh\nwc -c < data/big\n",
            "Uploads": [
                {"Path": "data/big", "Size": len(big), "SHA256": hashlib.sha256(big).hexdigest()}
            ],
        },
    )
    assert api.refused("GET", f"/v1/job/{job_id}", 404) == "job not found"
    start = {"Upload": announced["Upload"]}
    assert "missing" in api.refused("POST", f"/v1/job/{job_id}/start", 409, json=start)

    (request,) = announced["Uploads"]
    wrong = requests.put(request["URL"], b"other", headers=request["Headers"], timeout=30)
    assert wrong.status_code == 400
    assert requests.put(request["URL"], big, headers=request["Headers"], timeout=30).ok
    site.put(f"{job_id}/data/big", b"not what was announced")
    assert "missing" in api.refused("POST", f"/v1/job/{job_id}/start", 409, json=start)
    assert requests.put(request["URL"], big, headers=request["Headers"], timeout=30).ok

    first = api.post(f"/v1/job/{job_id}/start", start)
    site.put(f"{job_id}/data/big", b"too late")
    assert api.post(f"/v1/job/{job_id}/start", start) == first
    assert finish(api, site, job_id)["Outcome"] == "complete"
    assert site.get(f"{job_id}/aws-job-stdout.txt").strip() == str(len(big)).encode()


def test_a_file_in_parts_is_put_together_and_verified(
    api: ApiClient, site: Site, job_id: str
) -> None:
    size = 5 * 1024**2
    parts = [b"a" * size, b"tail"]
    announced = api.post(
        "/v1/jobs/script",
        {
            "ID": job_id,
            "Script": "#!/bin/sh\nwc -c < big\n",
            "Uploads": [
                {
                    "Path": "big",
                    "Size": size + 4,
                    "PartSize": size,
                    "PartSHA256": [hashlib.sha256(part).hexdigest() for part in parts],
                }
            ],
        },
    )
    start = {"Upload": announced["Upload"]}
    requested = announced["Uploads"][0]["Parts"]
    for part, row in zip(parts, requested, strict=True):
        api.refused("POST", f"/v1/job/{job_id}/start", 409, json=start)
        assert requests.put(row["URL"], part, headers=row["Headers"], timeout=30).ok
    api.post(f"/v1/job/{job_id}/start", start)
    finish(api, site, job_id)
    assert site.get(f"{job_id}/aws-job-stdout.txt").strip() == str(size + 4).encode()


def test_a_mark_in_the_bucket_runs_a_job_of_the_api_again(
    api: ApiClient, site: Site, job_id: str
) -> None:
    settings = {"priority": 77}
    api.post("/v1/jobs/script", {"ID": job_id, "Script": HELLO, "Settings": settings})
    finish(api, site, job_id)
    site.mark(job_id, "FILE_UPLOAD")
    until(lambda: api.get(f"/v1/job/{job_id}")["Run"] == 2)
    job = finish(api, site, job_id)
    assert (job["Outcome"], job["Priority"], job["Submitter"]) == ("complete", 77, None)
    api.post("/v1/jobs/script", {"ID": job_id, "Script": HELLO})
    assert finish(api, site, job_id)["Run"] == 3


# ---- writes that are repeated, and what is refused ----


def test_a_repeated_request_is_one_run(api: ApiClient) -> None:
    key = {"Idempotency-Key": uuid.uuid4().hex}
    document = {"Script": HELLO}
    first = api.post("/v1/jobs/script", document, **key)
    assert api.post("/v1/jobs/script", document, **key) == first
    other = {"Script": HELLO + "echo more\n"}
    error = api.refused("POST", "/v1/jobs/script", 422, json=other, headers=key)
    assert "another request" in error
    api.call("DELETE", f"/v1/job/{first['ID']}")


def test_a_stopped_job_never_runs(api: ApiClient, site: Site, job_id: str) -> None:
    api.post("/v1/jobs/script", {"ID": job_id, "Script": HELLO})
    assert api.refused("POST", "/v1/jobs/script", 409, json={"ID": job_id, "Script": HELLO})
    assert api.call("DELETE", f"/v1/job/{job_id}").status_code == 200
    job = api.get(f"/v1/job/{job_id}/wait", seconds=20)
    assert (job["Status"], job["Outcome"]) == ("dead", "stopped")
    assert api.call("DELETE", f"/v1/job/{job_id}").status_code == 200


@pytest.mark.parametrize(
    ("document", "error"),
    [
        ({"Script": "echo no shebang\n"}, "no shebang"),
        ({"Script": HELLO, "ID": "a/dispatch"}, "word of the API"),
        ({"Script": HELLO, "Settings": {"priority": 101}}, "priority"),
        ({"Script": HELLO, "Colour": "red"}, "unknown field 'Colour'"),
        ({"Script": HELLO, "Files": [{"Path": "../x", "Content": ""}]}, "path segment '..'"),
        ({"Script": HELLO, "Site": "mars"}, "site 'mars' not found"),
        ([], "JSON object"),
    ],
)
def test_what_is_wrong_is_said(api: ApiClient, document: Any, error: str) -> None:
    answer = api.call("POST", "/v1/jobs/script", json=document)
    assert 400 <= answer.status_code < 500
    assert error in json.dumps(answer.json(), ensure_ascii=False)


def test_a_large_file_is_read_in_pieces_or_from_the_bucket(
    api: ApiClient, site: Site, job_id: str
) -> None:
    alloc = api.post("/v1/jobs/script", {"ID": job_id, "Script": HELLO})["AllocID"]
    content = bytes(range(256)) * 16 * 1024
    site.put(f"{job_id}/big", content)
    found = api.call("GET", f"/v1/client/fs/cat/{alloc}", params={"path": "big"})
    assert found.status_code == 307
    assert requests.get(found.headers["Location"], timeout=30).content == content
    read, offset = b"", 0
    while offset < len(content):
        query: dict[str, str | int] = {"path": "big", "offset": offset, "limit": 10**9}
        piece = api.call("GET", f"/v1/client/fs/readat/{alloc}", params=query)
        read, offset = read + piece.content, int(piece.headers["X-Jobferry-Next-Offset"])
    assert read == content
    api.call("DELETE", f"/v1/job/{job_id}")


def test_of_several_sites_one_that_is_alive_takes_the_job(
    deployed: DeployedStack, api: ApiClient, site: Site, job_id: str
) -> None:
    forget_heartbeats(deployed, "osaka")  # another file may have let that site work
    site.pull()
    document = {"ID": job_id, "Script": HELLO, "Datacenters": ["osaka", "dc1"]}
    assert api.post("/v1/jobs/script", document)["Site"] == "dc1"
    assert api.get(f"/v1/job/{job_id}", region="global")["Site"] == "dc1"
    nowhere = {"Script": HELLO, "Datacenters": ["osaka", "osaka"]}
    assert "takes work" in api.refused("POST", "/v1/jobs/script", 409, json=nowhere)
    assert api.refused("GET", f"/v1/job/{job_id}", 404, params={"site": "osaka"})
    api.call("DELETE", f"/v1/job/{job_id}")


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("POST", "/v1/jobs/script", 400, "the body is no valid JSON"),
        ("POST", "/v1/sites", 405, "POST is not allowed here"),
        ("GET", "/v1/nothing", 404, "there is no such path"),
        ("GET", "/v1/jobs?filter=x", 400, "filter expressions are not supported"),
        ("GET", "/v1/jobs?next_token=x", 400, "next_token is not one"),
        ("GET", "/v1/job/a/wait?seconds=21", 400, "seconds is '21'"),
        ("GET", "/v1/allocation/zz", 404, "alloc not found"),
        ("GET", "/v1/evaluation/0123abcd", 404, "eval not found"),
        ("GET", "/v1/node/0123abcd", 404, "node not found"),
        ("GET", "/v1/client/fs/cat/00", 400, "path is missing"),
        ("DELETE", "/v1/job/no/such", 404, "job not found"),
        ("DELETE", "/v1/acl/token/none", 404, "token not found"),
    ],
)
def test_every_error_has_one_shape(
    api: ApiClient, method: str, path: str, status: int, error: str
) -> None:
    body = "{" if method == "POST" else None
    assert error in api.refused(method, path, status, data=body)


# ---- python-nomad, unmodified ----


def test_python_nomad_lists_reads_stops_and_reads_logs(
    api: ApiClient, site: Site, job_id: str
) -> None:
    cloud = nomad.Nomad(address=api.url, session=api.session, timeout=60)
    api.post("/v1/jobs/script", {"ID": job_id, "Script": "#!/bin/sh\necho for nomad\n"})
    assert job_id in cloud.job
    finish(api, site, job_id)

    assert job_id in [row["ID"] for row in cloud.jobs.get_jobs(prefix="api/")]
    assert cloud.job[job_id]["Status"] == "dead"
    assert cloud.job.get_summary(job_id)["Summary"]["script"]["Complete"] == 1
    (allocation,) = cloud.job.get_allocations(job_id)
    assert cloud.allocation.get_allocation(allocation["ID"])["ClientStatus"] == "complete"
    (evaluation,) = cloud.job.get_evaluations(job_id)
    (same,) = cloud.evaluation.get_allocations(evaluation["ID"])
    assert same["ID"] == allocation["ID"] in [row["ID"] for row in cloud.allocations]
    client = cloud.client
    assert client.cat.read_file(allocation["ID"], path="aws-job-stdout.txt") == "for nomad\n"
    assert client.read_at.read_file_offset(allocation["ID"], 4, 5, "aws-job-stdout.txt") == "nomad"
    frame = client.stream_logs.stream(allocation["ID"], "script", "stdout")
    assert base64.b64decode(json.loads(frame)["Data"]) == b"for nomad\n"
    frame = client.stream_file.stream(allocation["ID"], 6, "end", "aws-job-stdout.txt")
    assert base64.b64decode(json.loads(frame)["Data"]) == b"nomad\n"
    assert client.stat.stat_file(allocation["ID"], "alloc/logs/script.stdout.0")["Size"] == 10
    (log,) = client.ls.list_files(allocation["ID"], "alloc/logs")
    assert log["Name"] == "script.stdout.0"
    assert client.stream_logs.stream(allocation["ID"], "script", "stderr") == ""
    (node,) = [row for row in cloud.nodes if row["Name"] == "dc1"]
    assert cloud.node.get_node(node["ID"])["Status"] == "ready"

    api.post("/v1/jobs/script", {"ID": job_id, "Script": HELLO})
    assert cloud.job.deregister_job(job_id)["EvalID"]
    with pytest.raises(nomad.api.exceptions.URLNotFoundNomadException):
        cloud.job.get_job("no/such/job")


# ---- API tokens ----


def test_a_token_does_what_its_scopes_and_sites_allow_until_it_is_revoked(
    api: ApiClient, deployed: DeployedStack, job_id: str
) -> None:
    made = api.post("/v1/acl/token", {"Name": "ci", "Scopes": ["read"], "Sites": ["osaka"]})
    secret = made["SecretID"]
    url = deployed.deployment.api_urls["Tokens"]
    assert ApiClient(url).call("GET", "/v1/jobs").status_code == 403
    for headers in ({"X-Nomad-Token": secret}, {"Authorization": f"Bearer {secret}"}):
        token = ApiClient(url, headers=headers)
        assert [row["Name"] for row in token.get("/v1/sites")] == ["osaka"]
        assert token.get("/v1/acl/token/self")["Name"] == "token:ci"
    script = {"ID": job_id, "Script": HELLO}
    for method, path, body in (
        ("POST", "/v1/jobs/script", script),
        ("GET", "/v1/jobs?site=dc1", None),
        ("POST", "/v1/acl/token", {"Name": "x", "Scopes": ["read"]}),
    ):
        assert token.refused(method, path, 403, json=body) == "Permission denied"
    keyed = {"json": {"Name": "x", "Scopes": ["read"]}, "headers": {"Idempotency-Key": "k"}}
    assert "secret" in api.refused("POST", "/v1/acl/token", 400, **keyed)
    listed = api.get("/v1/acl/tokens")
    assert secret not in json.dumps(listed)
    assert api.call("DELETE", f"/v1/acl/token/{made['AccessorID']}").status_code == 200
    assert token.call("GET", "/v1/sites").status_code == 403


# ---- direct invocations and workflows ----


def invoke(deployed: DeployedStack, event: dict[str, Any]) -> tuple[Any, str | None]:
    answer = deployed.client("lambda").invoke(
        FunctionName=deployed.deployment.outputs["ApiFunctionName"], Payload=json.dumps(event)
    )
    return json.loads(answer["Payload"].read()), answer.get("FunctionError")


def test_the_function_itself_can_be_invoked(
    deployed: DeployedStack, api: ApiClient, site: Site, job_id: str
) -> None:
    event = {
        "action": "submit",
        "document": {"ID": job_id, "Script": HELLO},
        "submitter": "workflow 7",
        "idempotency_key": uuid.uuid4().hex,
    }
    submitted, error = invoke(deployed, event)
    assert (submitted["ID"], error) == (job_id, None)
    assert invoke(deployed, event)[0]["AllocID"] == submitted["AllocID"]
    job, _ = invoke(deployed, {"action": "read", "job": job_id})
    assert job["Submitter"] == "workflow 7"
    refused, error = invoke(deployed, {"action": "read", "job": "no/such"})
    assert error
    assert "404 job not found" in refused["errorMessage"]
    invoke(deployed, {"action": "stop", "job": job_id})


def test_step_functions_waits_for_a_job_by_its_task_token(
    deployed: DeployedStack, api: ApiClient, site: Site, job_id: str
) -> None:
    states = deployed.client("stepfunctions")
    task = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke.waitForTaskToken",
        "Parameters": {
            "FunctionName": deployed.deployment.outputs["ApiFunctionName"],
            "Payload": {
                "action": "submit",
                "document": {"ID": job_id, "Script": "#!/bin/sh\nexit 3\n"},
                "task_token.$": "$$.Task.Token",
            },
        },
        "Catch": [{"ErrorEquals": ["Jobferry.JobFailed"], "Next": "Told"}],
        "Next": "NotTold",
    }
    definition = {
        "StartAt": "Job",
        "States": {"Job": task, "Told": {"Type": "Succeed"}, "NotTold": {"Type": "Fail"}},
    }
    machine = states.create_state_machine(
        name=f"waits-{uuid.uuid4().hex[:8]}",
        definition=json.dumps(definition),
        roleArn="arn:aws:iam::000000000000:role/any",
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=machine)["executionArn"]

    def status() -> str:
        return str(states.describe_execution(executionArn=execution)["status"])

    until(lambda: api.call("GET", f"/v1/job/{job_id}").status_code == 200)
    assert finish(api, site, job_id)["Outcome"] == "failed"
    until(lambda: status() != "RUNNING")
    assert status() == "SUCCEEDED"
