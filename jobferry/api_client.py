"""Requests to the HTTP API: signed or with a token, repeated while faults pass."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import quote

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.exceptions import NoCredentialsError, NoRegionError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from jobferry.api_address import Address
from jobferry.api_errors import passing, typed_refusal
from jobferry.aws_errors import typed_errors
from jobferry.errors import CloudUnreachable, UsageError

NEXT_PAGE = "X-Nomad-NextToken"
_TRIES = 4
_TIMEOUT = 60
_PAUSE = 0.5
_CONNECTIONS = 16

Query = Mapping[str, str | int | bool | None]


@dataclass(frozen=True, slots=True)
class ApiAnswer:
    """An answer.

    Attributes:
        status: the HTTP status.
        headers: its headers.
        content: its body.
    """

    status: int
    headers: Mapping[str, str]
    content: bytes

    def json(self) -> Any:
        """The JSON value of the body.

        Raises:
            CloudUnreachable: it is none.
        """
        try:
            return json.loads(self.content)
        except ValueError as error:
            raise CloudUnreachable(
                "the API's answer is no JSON; check the address, or try again later"
            ) from error


def http_session(url: str) -> URLLib3Session:
    """Botocore's way to send requests to a URL, with the proxies and certificates of the user."""
    # A path of certificates is as good as True; botocore's annotation knows only of True.
    verify = cast("bool", os.environ.get("AWS_CA_BUNDLE") or True)
    return URLLib3Session(
        verify=verify,
        proxies=get_environ_proxies(url),
        timeout=_TIMEOUT,
        max_pool_connections=_CONNECTIONS,
    )


def signer(session: boto3.Session) -> Callable[[AWSRequest], None]:
    """Signs requests as IAM's callers do.

    Args:
        session: whose credentials and region count.
    """

    def sign(request: AWSRequest) -> None:
        credentials = session.get_credentials()
        if credentials is None:
            raise NoCredentialsError
        if not session.region_name:
            raise NoRegionError
        SigV4Auth(credentials, "execute-api", session.region_name).add_auth(request)

    return sign


def job_path(job_id: str, action: str = "") -> str:
    """The path of a job, or of one of its actions.

    Raises:
        UsageError: the API cannot name the job.
    """
    if "?" in job_id:
        raise UsageError(
            f"job {job_id!r}: the API cannot reach a job id with a question mark; use --via s3"
        )
    return f"/v1/job/{quote(job_id, safe='/')}" + (f"/{action}" if action else "")


class ApiClient:
    """One door of the API.

    Attributes:
        address: its URL.
    """

    def __init__(
        self,
        address: Address,
        sign: Callable[[AWSRequest], None],
        *,
        site: str | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Call the API at an address.

        Args:
            address: where it is.
            sign: signs a request, where no token is shown.
            site: the site that requests are about; None leaves it to the API.
            sleep: waits for some seconds.
        """
        self.address = address.url
        self.site = site
        self._token = address.token
        self._sign = sign
        self._sleep = sleep
        self._http = http_session(address.url)

    def get(self, path: str, doing: str, query: Query | None = None) -> Any:
        """The JSON value of an answer."""
        return self.answer("GET", path, doing, query=query).json()

    def pages(self, path: str, doing: str, query: Query | None = None) -> Iterator[list[Any]]:
        """The pages of a list."""
        token: str | None = None
        while True:
            answer = self.answer("GET", path, doing, query={**(query or {}), "next_token": token})
            yield answer.json()
            token = answer.headers.get(NEXT_PAGE)
            if not token:
                return

    def write(
        self,
        method: str,
        path: str,
        doing: str,
        body: object = None,
        *,
        query: Query | None = None,
        repeatable: bool = True,
    ) -> Any:
        """The JSON value of the answer to a write, which is done once however often it is sent.

        Args:
            method: what is asked for.
            path: of what.
            doing: the same for people, as in "stop job 'a'".
            body: its JSON value.
            query: its parameters.
            repeatable: whether the API keeps its answer for a repetition.
        """
        key = uuid.uuid4().hex if repeatable else None
        return self.answer(method, path, doing, query=query, body=body, key=key).json()

    def answer(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        query: Query | None = None,
        body: object = None,
        key: str | None = None,
    ) -> ApiAnswer:
        """The answer to a request.

        Raises:
            JobferryError: the API refuses, or cannot be reached; see `api_errors`.
        """
        tries = _TRIES if method == "GET" or key else 1
        for left in reversed(range(tries)):
            try:
                answer = self._once(method, path, doing, query or {}, body, key)
            except CloudUnreachable:
                if not left:
                    raise
            else:
                if answer.status < 300:
                    return answer
                if not (left and passing(answer.status, answer.content)):
                    break
            self._sleep(_PAUSE * 2 ** (tries - 1 - left))
        raise typed_refusal(answer.status, answer.content, doing, token=self._token is not None)

    def _once(
        self,
        method: str,
        path: str,
        doing: str,
        query: Query,
        body: object,
        key: str | None,
    ) -> ApiAnswer:
        parameters = {"site": self.site, **query}
        said = "&".join(
            f"{name}={quote(_text(value), safe='')}"
            for name, value in parameters.items()
            if value is not None
        )
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        if self._token is not None:
            headers["X-Nomad-Token"] = self._token
        request = AWSRequest(
            method,
            f"{self.address}{path}" + (f"?{said}" if said else ""),
            headers=headers,
            data=None if body is None else json.dumps(body).encode(),
        )
        with typed_errors(doing):
            if self._token is None:
                self._sign(request)
            response = self._http.send(request.prepare())
            return ApiAnswer(response.status_code, response.headers, response.content)


def _text(value: str | int | bool | None) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
