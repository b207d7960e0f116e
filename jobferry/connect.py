"""The way to the jobs of a site: the HTTP API where the caller may use one, else the bucket."""

from __future__ import annotations

import os
from collections.abc import Mapping

import boto3

from jobferry.api_address import Address, Via, address_of, via_of
from jobferry.api_client import ApiClient, signer
from jobferry.aws_errors import typed_errors
from jobferry.errors import CloudRefused, ConfigurationError, UsageError
from jobferry.interface import JobAccess
from jobferry.over_api import ApiAccess
from jobferry.over_s3 import S3Access, parameter_of, s3_client
from jobferry.place import bucket_of
from jobferry.upload_record import folder_of
from jobferry.user_settings import current


def connect(
    *,
    bucket: str | None = None,
    site: str | None = None,
    stack: str | None = None,
    address: str | None = None,
    via: str | None = None,
    session: boto3.Session | None = None,
) -> JobAccess:
    """The way to the jobs of a site.

    Args:
        bucket: the bucket, if stated: it is reached over S3.
        site: the site, if stated.
        stack: the deployment, if stated.
        address: the API's URL, if stated.
        via: `auto`, `api` or `s3`; see `api_address.Via`.
        session: whose profile, region and credentials count; by default AWS's own conventions.

    Raises:
        UsageError, ConfigurationError, CloudRefused, CloudUnreachable: it is not found.
    """
    if bucket and (site or stack):
        raise UsageError("state either the bucket or the site (and its stack), not both")
    environment = current()
    wanted = via_of(via, environment)
    with typed_errors("begin an AWS session"):
        chosen = session or boto3.Session()
    api = _api(wanted, bucket, site, stack, address, environment, chosen)
    if api is not None:
        return ApiAccess(api, folder_of(os.environ))
    name = bucket_of(
        bucket=bucket,
        site=site,
        stack=stack,
        environment=environment,
        parameter=parameter_of(chosen),
    )
    with typed_errors(f"use the bucket {name}"):
        return S3Access(s3_client(chosen), name, folder_of(os.environ))


def connect_api(
    *,
    site: str | None = None,
    stack: str | None = None,
    address: str | None = None,
    session: boto3.Session | None = None,
) -> ApiAccess:
    """The way over the API, for what there is only there; arguments as for `connect`."""
    access = connect(site=site, stack=stack, address=address, via="api", session=session)
    if not isinstance(access, ApiAccess):
        raise UsageError("this needs the API; leave out --bucket and --via s3")
    return access


def _api(
    via: Via,
    bucket: str | None,
    site: str | None,
    stack: str | None,
    address: str | None,
    environment: Mapping[str, str],
    session: boto3.Session,
) -> ApiClient | None:
    """The API's client; None if the jobs are reached over S3."""
    parameter = parameter_of(session)

    def found(name: str) -> str | None:
        try:
            return parameter(name)
        except (CloudRefused, ConfigurationError):
            if via == "auto" and not environment.get("JOBFERRY_TOKEN"):
                return None  # the bucket will tell what is wrong, if anything is
            raise

    where: Address | None = address_of(
        via,
        address=address,
        bucket=bucket,
        site=site,
        stack=stack,
        environment=environment,
        parameter=found,
    )
    if where is None:
        return None
    client = ApiClient(where, signer(session), site=site or environment.get("JOBFERRY_SITE"))
    if via == "auto" and not where.stated and where.token is None:
        try:
            client.get("/v1/acl/token/self", "ask the API who may use it")
        except (CloudRefused, ConfigurationError):
            return None
    return client
