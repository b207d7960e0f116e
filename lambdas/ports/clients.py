"""boto3 clients with the time limits that suit a Lambda; made when they are first needed."""

from __future__ import annotations

import threading
from functools import cache
from typing import Any

import boto3
from botocore.config import Config

_CONFIG = Config(
    connect_timeout=3,
    read_timeout=10,
    retries={"mode": "standard", "total_max_attempts": 4},
    max_pool_connections=40,
)
_MAKING = threading.Lock()


class _Later:
    """A client that is made when something is first asked of it: that takes up to 40 ms of CPU."""

    def __init__(self, service: str) -> None:
        self._service = service
        self._client: Any = None

    def __getattr__(self, name: str) -> Any:
        if self._client is None:
            with _MAKING:  # boto3's session may not be used by several threads at once
                self._client = self._client or _make(self._service)
        return getattr(self._client, name)


def _make(service: str) -> Any:
    make: Any = boto3.client
    # S3's older signature, boto3's default for URLs in some regions, does not sign headers.
    signature = Config(signature_version="s3v4") if service == "s3" else Config()
    return make(service, config=_CONFIG.merge(signature))


@cache
def client(service: str) -> Any:
    """The client of one AWS service, shared by all calls of this process."""
    return _Later(service)
