"""A client of the HTTP API for tests: signs as IAM's callers do, or shows a token."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import requests
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from requests.auth import AuthBase


@dataclass(frozen=True)
class Signed(AuthBase):
    """Signs a request with SigV4."""

    region: str

    def __call__(self, request: Any) -> Any:
        signed = AWSRequest(request.method, request.url, data=request.body)
        SigV4Auth(Credentials("test", "test"), "execute-api", self.region).add_auth(signed)
        request.headers.update(dict(signed.headers.items()))
        return request


@dataclass
class ApiClient:
    """Calls one door of the API."""

    url: str
    region: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    session: requests.Session = field(default_factory=requests.Session)

    def __post_init__(self) -> None:
        if self.region is not None:
            self.session.auth = Signed(self.region)

    def call(self, method: str, path: str, **arguments: Any) -> requests.Response:
        headers = {**self.headers, **arguments.pop("headers", {})}
        return self.session.request(
            method,
            f"{self.url}{path}",
            headers=headers,
            timeout=60,
            allow_redirects=False,
            **arguments,
        )

    def get(self, path: str, /, **query: Any) -> Any:
        """The JSON value of a successful GET."""
        answer = self.call("GET", path, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def post(self, path: str, document: Any, **headers: str) -> Any:
        """The JSON value of a successful POST."""
        answer = self.call("POST", path, json=document, headers=headers)
        assert answer.status_code in (200, 202), answer.text
        return answer.json()

    def refused(self, method: str, path: str, status: int, **arguments: Any) -> str:
        """What a refused request is told."""
        answer = self.call(method, path, **arguments)
        assert answer.status_code == status, answer.text
        body = answer.json()
        assert set(body) == {"Error", "Remedy", "Problems"}
        assert body["Remedy"]
        return str(body["Error"])
