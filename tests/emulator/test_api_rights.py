"""The rights of the API's role are enough: a job's whole way through the API, IAM enforced."""

from __future__ import annotations

import base64
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local_cloud.deployment import deploy
from local_cloud.emulator import Emulator
from local_cloud.synthesis import Assembly
from tests.conftest import DeployedStack
from tests.emulator.api_client import ApiClient
from tests.emulator.registry import a_job
from tests.patience import PATIENCE

pytestmark = pytest.mark.emulator

PART = 5 * 1024**2
PARTS = [b"a" * PART, b"b"]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, assembly: Assembly
) -> Iterator[tuple[ApiClient, DeployedStack]]:
    state: Path = tmp_path_factory.mktemp("guarded-api")
    with Emulator(state, authenticate=True) as emulator:
        stack = DeployedStack(emulator, deploy(emulator, assembly))
        api = ApiClient(stack.deployment.api_urls[""], emulator.region)
        api.session.trust_env = False
        api.session.verify = str(emulator.ca_bundle)
        yield api, stack


def test_every_right_that_a_jobs_way_needs_is_there(
    guarded: tuple[ApiClient, DeployedStack],
) -> None:
    api, stack = guarded
    ca_bundle = str(stack.emulator.ca_bundle)
    uploads = [
        {"Path": "one", "Size": 1, "SHA256": digest(b"x")},
        {
            "Path": "two",
            "Size": PART + 1,
            "PartSize": PART,
            "PartSHA256": [digest(part) for part in PARTS],
        },
    ]
    document = {
        "ID": "a/b",
        "Script": "#!/bin/sh\n",
        "Settings": {"reuse": ["old/**"]},
        "Uploads": uploads,
    }
    announced = api.post("/v1/jobs/script", document, **{"Idempotency-Key": "k"})
    one, two = announced["Uploads"]
    puts = [(one, b"x"), *zip(two["Parts"], PARTS, strict=True)]
    for request, content in puts:
        answer = requests.put(
            request["URL"], content, headers=request["Headers"], timeout=30, verify=ca_bundle
        )
        assert answer.ok, answer.text
    alloc = api.post("/v1/job/a/b/start", {"Upload": announced["Upload"]})["AllocID"]
    for path in (
        "/v1/job/a/b",
        "/v1/job/a/b/allocations",
        "/v1/jobs?prefix=a",
        "/v1/allocations",
        f"/v1/allocation/{alloc[:8]}",
        f"/v1/client/fs/ls/{alloc}",
        f"/v1/client/fs/stat/{alloc}?path=two",
        "/v1/sites",
    ):
        assert api.get(path)
    assert api.call("GET", f"/v1/client/fs/cat/{alloc}?path=one").content == b"x"
    location = api.call("GET", f"/v1/client/fs/cat/{alloc}?path=two").headers["Location"]
    assert requests.get(location, timeout=30, verify=ca_bundle).content == b"".join(PARTS)
    assert api.call("DELETE", "/v1/job/a/b").status_code == 200


def test_every_right_that_templates_need_is_there(guarded: tuple[ApiClient, DeployedStack]) -> None:
    api, stack = guarded
    for job in (
        a_job("p/dispatched", ParameterizedJob={"Payload": "required"}),
        a_job("p/launched", Periodic={"Spec": "@yearly", "ProhibitOverlap": True}),
    ):
        api.post("/v1/jobs", {"Job": job})
    payload = base64.b64encode(b"x").decode()
    child = api.post("/v1/job/p/dispatched/dispatch", {"Payload": payload})["DispatchedJobID"]
    assert api.get(f"/v1/job/{child}")["ParentID"] == "p/dispatched"
    assert api.get("/v1/job/p/launched/versions")["Versions"]
    launch(stack, "p/launched")
    assert api.get("/v1/job/p/launched/summary")["Children"]["Pending"] == 1
    (launched,) = api.get("/v1/jobs?prefix=p/launched/")
    stopped = api.call("DELETE", "/v1/job/p/launched?purge=true")
    assert stopped.status_code == 200, stopped.text
    # It waits for the end of the child, which may still run its script.
    assert api.call("DELETE", f"/v1/job/{launched['ID']}").status_code == 200
    deadline = time.monotonic() + PATIENCE
    while api.call("GET", "/v1/job/p/launched").status_code != 404:
        assert time.monotonic() < deadline, "the purger did not forget the template"
        time.sleep(0.2)


def launch(stack: DeployedStack, job_id: str) -> None:
    """Have the launcher called when the job has just become due."""
    stack.client("dynamodb").update_item(
        TableName=stack.table,
        Key={"pk": {"S": "J#dc1"}, "sk": {"S": job_id}},
        UpdateExpression="SET next_due = :due",
        ExpressionAttributeValues={":due": {"N": str(int(time.time()) - 5)}},
    )
    functions = stack.client("lambda")
    (launcher,) = [
        row["FunctionName"]
        for row in functions.list_functions(MaxItems=50)["Functions"]
        if row["Handler"] == "lambdas.launcher.handler"
    ]
    answer = functions.invoke(FunctionName=launcher, Payload=b"{}")
    assert "FunctionError" not in answer, answer["Payload"].read()
