"""Who calls the API, and what that caller may do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from lambdas.errors import Refused


class Access(StrEnum):
    """What a route needs."""

    ANY = "any"
    """Nothing but to be let in: who asks who one is."""

    READ = "read"
    SUBMIT = "submit"
    MANAGE = "manage"
    """API tokens, and the drain of sites: for callers that IAM knows, never for a token."""


SCOPES = frozenset({Access.READ, Access.SUBMIT})
"""What an API token may be given."""

_EVERYTHING = SCOPES | {Access.MANAGE}


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A caller.

    Attributes:
        name: how the caller is told in a job's `Submitter`.
        access: what the caller may do; IAM's own callers are limited by their IAM policies.
        sites: the sites that the caller may use; None means all.
        token: the accessor id of the API token, if one was used.
    """

    name: str
    access: frozenset[Access]
    sites: frozenset[str] | None = None
    token: str | None = None

    def must(self, access: Access) -> None:
        """Make sure of what a route needs.

        Raises:
            Refused: the caller may not do this.
        """
        if access is not Access.ANY and access not in self.access:
            remedy = f"this needs the scope {access.value!r}; ask who manages the API tokens"
            if access is Access.MANAGE:
                remedy = "no token may do this; sign the request with AWS credentials"
            raise Refused(403, "Permission denied", remedy)

    def may_use(self, site: str) -> bool:
        """Whether the caller may use the site."""
        return self.sites is None or site in self.sites


def caller_of(authorizer: Mapping[str, Any]) -> Identity:
    """The caller of a request that API Gateway's authorizer let through.

    Args:
        authorizer: `requestContext.authorizer` of an HTTP API event, payload format 2.0.
    """
    if token := authorizer.get("lambda"):
        return Identity(
            name=f"token:{token['name']}",
            access=frozenset(Access(scope) for scope in str(token["scopes"]).split()) & SCOPES,
            sites=frozenset(str(token["sites"]).split()) or None,
            token=str(token["accessor"]),
        )
    if jwt := authorizer.get("jwt"):
        return Identity(name=f"jwt:{jwt.get('claims', {}).get('sub', 'unknown')}", access=SCOPES)
    arn = (authorizer.get("iam") or {}).get("userArn")
    return Identity(name=str(arn or "unknown"), access=_EVERYTHING)


def direct_caller(submitter: str | None) -> Identity:
    """Who invokes the function itself; `lambda:InvokeFunction` lets them do everything."""
    return Identity(name=submitter or "lambda:InvokeFunction", access=_EVERYTHING)
