"""Routes of the API on which the command depends: transfers that go on, retries, drains."""

from __future__ import annotations

import hashlib
import uuid
from typing import Any

import pytest
import requests

from tests.conftest import DeployedStack
from tests.e2e.site import Site
from tests.emulator.api_client import ApiClient

pytestmark = pytest.mark.emulator

PART = 5 * 1024**2
PARTS = [b"a" * PART, b"b" * PART, b"tail"]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture
def job_id() -> str:
    return f"transfers/{uuid.uuid4().hex[:12]}"


def put(request: dict[str, Any], content: bytes) -> None:
    assert requests.put(request["URL"], content, headers=request["Headers"], timeout=30).ok


def test_only_what_has_not_arrived_is_asked_for_again(api: ApiClient, job_id: str) -> None:
    announced = api.post(
        "/v1/jobs/script",
        {
            "ID": job_id,
            "Script": "#!/bin/sh\n",
            "Uploads": [
                {"Path": "one", "Size": 1, "SHA256": digest(b"1")},
                {
                    "Path": "big",
                    "Size": 2 * PART + 4,
                    "PartSize": PART,
                    "PartSHA256": [digest(part) for part in PARTS],
                },
            ],
        },
    )
    one, big = announced["Uploads"]

    def missing() -> dict[str, Any]:
        answer = api.get(f"/v1/job/{job_id}/start", upload=announced["Upload"])
        return {
            row["Path"]: [part["Number"] for part in row.get("Parts", [])]
            for row in answer["Uploads"]
        }

    assert missing() == {"one": [], "big": [1, 2, 3]}
    put(one, b"1")
    put(big["Parts"][1], PARTS[1])
    assert missing() == {"big": [1, 3]}
    put(big["Parts"][0], PARTS[0])
    put(big["Parts"][2], PARTS[2])
    alloc = api.post(f"/v1/job/{job_id}/start", {"Upload": announced["Upload"]})["AllocID"]
    assert missing() == {}

    rows = api.get(f"/v1/client/fs/tree/{alloc}")
    assert {"aws-job-run.sh", "big", "one"} <= {row["Path"] for row in rows}
    found = api.get(f"/v1/client/fs/url/{alloc}", path="big")
    assert found["Size"] == 2 * PART + 4
    assert found["Checksum"]["Algorithm"] == "SHA256"
    assert found["Checksum"]["Value"].endswith("-3")
    wanted = {"Range": f"bytes={2 * PART}-", "If-Match": found["ETag"]}
    piece = requests.get(found["URL"], headers=wanted, timeout=30)
    assert piece.content == b"tail"
    api.call("DELETE", f"/v1/job/{job_id}")
    other = {"upload": str(uuid.uuid4())}
    assert api.refused("GET", f"/v1/job/{job_id}/start", 404, params=other) == "upload not found"


def test_a_retry_runs_what_ran(api: ApiClient, site: Site, job_id: str) -> None:
    document: dict[str, Any] = {"ID": job_id, "Script": "#!/bin/sh\ncat in\nexit 3\n"}
    document["Files"] = [{"Path": "in", "Content": "first\n"}]
    api.post("/v1/jobs/script", document)
    assert "still active" in api.refused("POST", f"/v1/job/{job_id}/retry", 409)
    site.put(f"{job_id}/in", "changed since\n")
    assert site.finish(api, job_id)["Outcome"] == "failed"
    key = {"Idempotency-Key": uuid.uuid4().hex}
    again = api.post(f"/v1/job/{job_id}/retry", None, **key)
    assert again["Run"] == 2
    assert api.post(f"/v1/job/{job_id}/retry", None, **key) == again
    job = site.finish(api, job_id)
    assert (job["Run"], job["Outcome"]) == (2, "failed")
    assert site.get(f"{job_id}/aws-job-stdout.txt") == b"first\n"


def test_a_drained_site_says_so_until_it_resumes(
    api: ApiClient, deployed: DeployedStack, job_id: str
) -> None:
    drained = api.call("PUT", "/v1/site/osaka/drain").json()
    assert (drained["Name"], drained["Drain"]) == ("osaka", True)
    assert api.call("PUT", "/v1/site/osaka/resume").json()["Drain"] is False
    assert api.get("/v1/site/osaka")["Drain"] is False
    api.refused("PUT", "/v1/site/mars/drain", 404)
    secret = api.post("/v1/acl/token", {"Name": "t", "Scopes": ["submit"]})["SecretID"]
    token = ApiClient(deployed.deployment.api_urls["Tokens"], headers={"X-Nomad-Token": secret})
    assert token.refused("PUT", "/v1/site/osaka/drain", 403) == "Permission denied"
