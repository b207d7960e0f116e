"""Which way to the jobs: the HTTP API or the bucket, and where the API is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, cast, get_args

from jobferry.errors import ConfigurationError, UsageError
from jobferry.place import DEFAULT_STACK

Via = Literal["auto", "api", "s3"]
"""How jobs are reached; `auto` is the API where there is one for the caller, else S3."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where the API is.

    Attributes:
        url: without a slash at its end.
        token: the API token that is shown there; None means that requests are signed.
        stated: whether the user named it; else it was found, and may be for others.
    """

    url: str
    token: str | None
    stated: bool


def via_of(stated: str | None, environment: Mapping[str, str]) -> Via:
    """The way that is asked for.

    Raises:
        UsageError: there is no such way.
    """
    wanted = stated or environment.get("JOBFERRY_VIA") or "auto"
    if wanted not in get_args(Via):
        raise UsageError(f"there is no way {wanted!r} to the jobs; choose auto, api or s3")
    return cast("Via", wanted)


def address_of(
    via: Via,
    *,
    address: str | None,
    bucket: str | None,
    site: str | None,
    stack: str | None,
    environment: Mapping[str, str],
    parameter: Callable[[str], str | None],
) -> Address | None:
    """Where the API is; None means S3.

    Args:
        via: the way that is asked for.
        address: the API's URL, if stated.
        bucket: the bucket, if stated: with it, `auto` is S3.
        site: the site, if stated.
        stack: the deployment, if stated.
        environment: as `user_settings.current` gives it.
        parameter: reads a parameter of the parameter store; None if there is none.

    Raises:
        UsageError: what is stated contradicts itself.
        ConfigurationError: the API is wanted, and not found.
    """
    if via == "s3":
        if address:
            raise UsageError("--address names an API; leave it out, or --via s3")
        return None
    if bucket:
        if via == "api" or address:
            raise UsageError("a bucket is reached over S3; name the site for the API")
        return None
    token = environment.get("JOBFERRY_TOKEN")
    stated = address or (None if stack else environment.get("JOBFERRY_ADDRESS"))
    if stated:
        if not stated.startswith(("https://", "http://")):
            raise UsageError(f"the address {stated!r} is no URL; it begins with https://")
        return Address(stated.rstrip("/"), token, stated=True)
    if via == "auto" and not (site or stack) and environment.get("JOBFERRY_BUCKET"):
        return None
    name = f"/jobferry/{stack or environment.get('JOBFERRY_STACK') or DEFAULT_STACK}/api/url"
    url = parameter(f"{name}-tokens" if token else name)
    if url is not None:
        return Address(url.rstrip("/"), token, stated=False)
    if via == "auto":
        return None
    raise ConfigurationError(
        f"there is no API of that deployment ({name}); name it (--address, JOBFERRY_ADDRESS), or "
        "check stack and region"
    )
