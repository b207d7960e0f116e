"""Callers with a JSON Web Token, from where API Gateway has verified it: what they may do.

The event is the one that an HTTP API hands on (payload format 2.0). That API Gateway refuses other
tokens is its own part; `tests/infra/test_api.py` sees that it is told the issuer and audience.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

import pytest

from tests.conftest import DeployedStack

pytestmark = pytest.mark.emulator


def call(deployed: DeployedStack, method: str, path: str, body: Any = None, **query: str) -> Any:
    """Status and JSON value of what the deployed function answers to the bearer of a token."""
    claims = {"sub": "auth0|5f7c", "iss": "https://idp.example.com/pool", "aud": "jobferry"}
    event = {
        "version": "2.0",
        "routeKey": f"{method} /v1/{{path+}}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"authorization": "Bearer of.no.interest", "content-type": "application/json"},
        "queryStringParameters": query,
        "requestContext": {
            "http": {"method": method, "path": path, "sourceIp": "192.0.2.1"},
            "authorizer": {"jwt": {"claims": claims, "scopes": None}},
            "stage": "$default",
        },
        "body": None if body is None else json.dumps(body),
        "isBase64Encoded": False,
    }
    answer = deployed.client("lambda").invoke(
        FunctionName=deployed.deployment.outputs["ApiFunctionName"], Payload=json.dumps(event)
    )
    assert "FunctionError" not in answer
    found = json.loads(answer["Payload"].read())
    return found["statusCode"], json.loads(found["body"])


def test_the_subject_of_a_token_submits_and_reads_and_is_told_as_submitter(
    deployed: DeployedStack,
) -> None:
    job_id = f"jwt-{uuid.uuid4().hex[:12]}"
    document = {"ID": job_id, "Script": "#!/bin/sh\ntrue\n", "Site": "osaka"}
    assert call(deployed, "POST", "/v1/jobs/script", document)[0] == 200
    status, job = call(deployed, "GET", f"/v1/job/{job_id}", site="osaka")
    assert (status, job["Submitter"]) == (200, "jwt:auth0|5f7c")
    status, own = call(deployed, "GET", "/v1/acl/token/self")
    assert (status, own["Name"], own["Scopes"]) == (200, "jwt:auth0|5f7c", ["read", "submit"])
    assert call(deployed, "DELETE", f"/v1/job/{job_id}", site="osaka")[0] == 200


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/acl/tokens", None),
        ("POST", "/v1/acl/token", {"Name": "more", "Scopes": ["read"]}),
        ("POST", "/v1/site/osaka/drain", None),
    ],
)
def test_a_token_manages_nothing(
    deployed: DeployedStack, method: str, path: str, body: Any
) -> None:
    status, refused = call(deployed, method, path, body)
    assert (status, refused["Error"]) == (403, "Permission denied")
