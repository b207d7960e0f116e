"""Environments and clients that lead to the emulator, and never to a real AWS account."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import boto3
import botocore.session

LOOPBACK = "127.0.0.1"
ROOT_CREDENTIAL = "test"
"""Key and secret that the emulator knows as its root, which may do everything."""

_FOREIGN_PREFIXES = ("AWS_", "JOBFERRY_")


def without_aws(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment without any variable that would lead to a real account or site."""
    return {
        name: value for name, value in environment.items() if not name.startswith(_FOREIGN_PREFIXES)
    }


def aws_environment(
    endpoint_url: str, region: str, ca_bundle: Path | None = None
) -> dict[str, str]:
    """The variables with which a child process talks to the emulator and to nothing else.

    Args:
        endpoint_url: where the emulator listens.
        region: the region that clients name.
        ca_bundle: the certificate to trust, where the emulator speaks TLS.
    """
    variables = {
        "AWS_ENDPOINT_URL": endpoint_url,
        "AWS_ACCESS_KEY_ID": ROOT_CREDENTIAL,
        "AWS_SECRET_ACCESS_KEY": ROOT_CREDENTIAL,
        "AWS_DEFAULT_REGION": region,
        "AWS_REGION": region,
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_PAGER": "",
        "NO_PROXY": LOOPBACK,
        "no_proxy": LOOPBACK,
    }
    if ca_bundle is not None:
        variables["AWS_CA_BUNDLE"] = str(ca_bundle)
    return variables


def isolated_client(
    service: str,
    *,
    endpoint_url: str,
    region: str,
    credentials: tuple[str, str],
    session_token: str | None = None,
    ca_bundle: Path | None = None,
) -> Any:
    """A boto3 client that ignores profiles and settings of this process and its user.

    Args:
        service: boto3's name of the service.
        endpoint_url: where the emulator listens.
        region: the region that the client names.
        credentials: access key and secret.
        session_token: what belongs to them where they are a role's.
        ca_bundle: the certificate to trust, where the emulator speaks TLS.
    """
    nothing = (None, None, os.devnull, None)
    underlying = botocore.session.Session(
        session_vars={
            "profile": (None, None, None, None),
            "config_file": nothing,
            "credentials_file": nothing,
        }
    )
    session: Any = boto3.Session(
        aws_access_key_id=credentials[0],
        aws_secret_access_key=credentials[1],
        aws_session_token=session_token,
        region_name=region,
        botocore_session=underlying,
    )
    verify = str(ca_bundle) if ca_bundle is not None else None
    return session.client(service, endpoint_url=endpoint_url, verify=verify)
