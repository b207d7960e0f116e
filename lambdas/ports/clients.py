"""boto3 clients with the time limits that suit a Lambda; made when they are first needed."""

from __future__ import annotations

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


@cache
def client(service: str) -> Any:
    """The client of one AWS service, shared by all calls of this process."""
    make: Any = boto3.client
    # S3's older signature, boto3's default for URLs in some regions, does not sign headers.
    signature = Config(signature_version="s3v4") if service == "s3" else Config()
    return make(service, config=_CONFIG.merge(signature))
