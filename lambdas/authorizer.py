"""Lambda: API Gateway asks it who the bearer of an API token is."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.ports.api_tokens import ApiToken, ApiTokens
from lambdas.ports.clients import client

logger = Logger()

_MAX_SECRET = 512
_REFUSED = {"isAuthorized": False}


def secret_of(headers: Mapping[str, str]) -> str | None:
    """The secret that a request shows, as Nomad's clients do or as a bearer token.

    Args:
        headers: the request's headers by lower-case name.
    """
    if secret := headers.get("x-nomad-token"):
        return secret
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    return secret.strip() or None if scheme.lower() == "bearer" else None


def decision(token: ApiToken | None, now: int) -> dict[str, Any]:
    """What API Gateway is told (payload format 2.0, simple response).

    Args:
        token: the token with the secret that was shown, if there is one.
        now: seconds since the epoch.
    """
    if token is None or (token.expires is not None and token.expires <= now):
        return _REFUSED
    return {
        "isAuthorized": True,
        "context": {
            "accessor": token.accessor,
            "name": token.name,
            "scopes": " ".join(token.scopes),
            "sites": " ".join(token.sites),
        },
    }


def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
    """Tell API Gateway whether the request's token is good, and what it may do."""
    headers = {name.lower(): str(value) for name, value in (event.get("headers") or {}).items()}
    secret = secret_of(headers)
    if secret is None or len(secret) > _MAX_SECRET:
        return _REFUSED
    tokens = ApiTokens(client("dynamodb"), os.environ["TABLE_NAME"])
    told = decision(tokens.of_secret(secret), int(time.time()))
    if not told["isAuthorized"]:
        logger.info("a request with an unknown or expired API token was refused")
    return told
