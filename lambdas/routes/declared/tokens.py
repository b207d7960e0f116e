"""The routes about API tokens."""

from __future__ import annotations

from lambdas.routes.declared.parameters import NEXT_PAGE
from lambdas.routes.route import Parameter, Route
from lambdas.rules.identity import Access

ROUTES = (
    Route(
        method="GET",
        path="/v1/acl/tokens",
        name="listTokens",
        summary="The API tokens, without their secrets.",
        access=Access.MANAGE,
        run="lambdas.routes.tokens:list_tokens",
        parameters=(
            Parameter(name="next_token", description=f"The header {NEXT_PAGE} of the last page."),
        ),
        answers={200: "TokenList"},
    ),
    Route(
        method="POST",
        path="/v1/acl/token",
        name="createToken",
        summary="Make an API token; its secret is told once and kept nowhere.",
        access=Access.MANAGE,
        run="lambdas.routes.tokens:create",
        body="NewToken",
        answers={200: "TokenWithSecret"},
        repeatable=False,
    ),
    Route(
        method="GET",
        path="/v1/acl/token/self",
        name="readOwnToken",
        summary="Who the caller is, and what that caller may do.",
        access=Access.ANY,
        run="lambdas.routes.tokens:own",
        answers={200: "Caller"},
    ),
    Route(
        method="DELETE",
        path="/v1/acl/token/{accessor}",
        name="revokeToken",
        summary="Revoke an API token: from then on it is refused.",
        access=Access.MANAGE,
        run="lambdas.routes.tokens:revoke",
        answers={200: "Revoked"},
    ),
)
