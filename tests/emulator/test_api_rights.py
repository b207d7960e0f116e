"""The rights of the API's role are enough: a job's whole way through the API, IAM enforced."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from local_cloud.deployment import deploy
from local_cloud.emulator import Emulator
from local_cloud.synthesis import Assembly
from tests.emulator.api_client import ApiClient

pytestmark = pytest.mark.emulator

PART = 5 * 1024**2
PARTS = [b"a" * PART, b"b"]


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, assembly: Assembly
) -> Iterator[tuple[ApiClient, str]]:
    state: Path = tmp_path_factory.mktemp("guarded-api")
    with Emulator(state, authenticate=True) as emulator:
        api = ApiClient(deploy(emulator, assembly).api_urls[""], emulator.region)
        api.session.trust_env = False
        api.session.verify = str(emulator.ca_bundle)
        yield api, str(emulator.ca_bundle)


def test_every_right_that_a_jobs_way_needs_is_there(guarded: tuple[ApiClient, str]) -> None:
    api, ca_bundle = guarded
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
