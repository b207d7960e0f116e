"""Over the API: the files of one element of an array, by its own id and by its number."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from job_protocol import identifiers
from tests.conftest import DeployedStack
from tests.emulator.api_client import ApiClient

pytestmark = pytest.mark.emulator

_TASK = {"Name": "t", "Driver": "raw_exec", "Config": {"command": "true"}}
_FS = "/v1/client/fs"


@dataclass
class Array:
    """An array that waits on a site whose puller never comes; the test puts its results."""

    api: ApiClient
    s3: Any
    bucket: str
    id: str
    allocation: str

    def put(self, **files: bytes) -> None:
        for path, content in files.items():
            self.s3.put_object(Bucket=self.bucket, Key=f"{self.id}/{path}", Body=content)

    def of(self, index: int) -> str:
        return identifiers.element_allocation(self.allocation, index)

    def cat(self, alloc: str, path: str, **query: Any) -> bytes:
        """The same by every route that reads a file."""
        asked = {"path": path, **query}
        whole = self.api.call("GET", f"{_FS}/cat/{alloc}", params=asked)
        assert whole.status_code == 200, whole.text
        piece = {**asked, "offset": 0, "limit": 100}
        at = self.api.call("GET", f"{_FS}/readat/{alloc}", params=piece)
        assert at.content == whole.content
        stat = self.api.get(f"{_FS}/stat/{alloc}", **asked)
        assert (stat["Size"], stat["IsDir"]) == (len(whole.content), False)
        return bytes(whole.content)

    def names(self, alloc: str, path: str = "/", **query: Any) -> set[str]:
        rows = self.api.get(f"{_FS}/ls/{alloc}", path=path, **query)
        return {row["Name"] for row in rows}

    def tree(self, alloc: str, **query: Any) -> set[str]:
        return {row["Path"] for row in self.api.get(f"{_FS}/tree/{alloc}", **query)}

    def url(self, alloc: str, path: str, **query: Any) -> str:
        located = self.api.get(f"{_FS}/url/{alloc}", path=path, **query)
        assert located["Path"] == path
        return str(located["URL"]).partition("?")[0].partition(f"{self.id}/")[2]


@pytest.fixture
def api(deployed: DeployedStack) -> ApiClient:
    return ApiClient(deployed.deployment.api_urls[""], deployed.emulator.region)


def made(deployed: DeployedStack, api: ApiClient, job_id: str, **document: Any) -> Iterator[Array]:
    path = "/v1/jobs/script" if "Script" in document else "/v1/jobs"
    api.post(f"{path}?site=osaka", document)
    current = api.get(f"/v1/job/{job_id}", site="osaka")["AllocID"]
    bucket = deployed.buckets["osaka"]
    yield Array(api, deployed.client("s3"), bucket, job_id, current)
    api.call("DELETE", f"/v1/job/{job_id}", params={"site": "osaka"})


@pytest.fixture
def script(deployed: DeployedStack, api: ApiClient) -> Iterator[Array]:
    job_id = f"elements-{uuid.uuid4().hex[:12]}"
    yield from made(
        deployed, api, job_id, ID=job_id, Script="#!/bin/sh\ntrue\n", Settings={"count": 3}
    )


@pytest.fixture
def groups(deployed: DeployedStack, api: ApiClient) -> Iterator[Array]:
    job_id = f"elements-{uuid.uuid4().hex[:12]}"
    group = {"Name": "g", "Count": 2, "Tasks": [_TASK]}
    job = {"ID": job_id, "Type": "batch", "Datacenters": ["osaka"], "TaskGroups": [group]}
    yield from made(deployed, api, job_id, Job=job)


def test_an_element_of_a_script_finds_its_own_folder_and_its_logs(script: Array) -> None:
    script.put(
        **{
            "shared.txt": b"shared",
            "elements/1/out.txt": b"one",
            "elements/2/out.txt": b"two!",
            "aws-job-stdout.1.txt": b"log of one",
        }
    )
    for alloc, query in ((script.of(1), {}), (script.allocation, {"element": 1})):
        assert script.cat(alloc, "out.txt", **query) == b"one"
        assert script.url(alloc, "out.txt", **query) == "elements/1/out.txt"
        assert script.cat(alloc, "alloc/logs/script.stdout.0", **query) == b"log of one"
        log = {"task": "script", "type": "stdout", "plain": "true", **query}
        answer = script.api.call("GET", f"{_FS}/logs/{alloc}", params=log)
        assert answer.content == b"log of one"
        assert script.names(alloc, "alloc/logs", **query) == {"script.stdout.0"}
    # Its directory is that of the job; with `element` it is its folder alone.
    assert script.cat(script.of(1), "shared.txt") == b"shared"
    assert script.cat(script.of(1), "elements/2/out.txt") == b"two!"
    assert {"shared.txt", "elements", "alloc"} <= script.names(script.of(1))
    assert script.names(script.allocation, element=2) == {"out.txt", "alloc"}
    assert script.tree(script.allocation, element=2) == {"out.txt"}
    assert {"shared.txt", "elements/1/out.txt"} <= script.tree(script.of(2))
    missing = {"path": "shared.txt", "element": 1}
    for route in ("cat", "stat", "url"):
        script.api.refused("GET", f"{_FS}/{route}/{script.allocation}", 404, params=missing)
    said = script.api.refused(
        "GET", f"{_FS}/ls/{script.allocation}", 404, params={"path": "/", "element": 3}
    )
    assert said == "element 3 not found"


def test_an_element_of_a_nomad_job_works_in_its_own_folder(groups: Array) -> None:
    groups.put(
        **{"top.txt": b"top", "g.0/out.txt": b"zero", "g.1/out.txt": b"one", "out.txt": b"t"}
    )
    assert groups.cat(groups.allocation, "out.txt") == b"zero"
    for alloc, query in ((groups.of(1), {}), (groups.allocation, {"element": 1})):
        assert groups.cat(alloc, "out.txt", **query) == b"one"
        assert groups.names(alloc, **query) == {"out.txt", "alloc"}
    assert groups.url(groups.allocation, "out.txt", element=1) == "g.1/out.txt"
    assert groups.tree(groups.allocation, element=1) == {"out.txt"}
    # Whoever fetches all of the job names what the tree lists, by whichever element's id.
    assert {"top.txt", "g.0/out.txt", "g.1/out.txt"} <= groups.tree(groups.of(1))
    for path in ("g.0/out.txt", "top.txt", "out.txt"):
        assert groups.url(groups.of(1), path) == path
    assert groups.cat(groups.of(1), "g.0/out.txt") == b"zero"


def test_what_is_no_array_has_one_element(deployed: DeployedStack, api: ApiClient) -> None:
    job_id = f"elements-{uuid.uuid4().hex[:12]}"
    single = next(arrays := made(deployed, api, job_id, ID=job_id, Script="#!/bin/sh\ntrue\n"))
    single.put(**{"out.txt": b"x"})
    assert single.cat(single.allocation, "out.txt", element=0) == b"x"
    query = {"path": "out.txt", "element": 1}
    assert "element 1" in api.refused("GET", f"{_FS}/cat/{single.allocation}", 404, params=query)
    assert next(arrays, None) is None
