"""API tokens in the job table: under the hash of their secret, which is kept nowhere."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.items import SCHEMA_VERSION, decoded_by, from_attributes, to_attributes

_PAGE = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiToken:
    """An API token.

    Attributes:
        accessor: its public id.
        name: what it is for; jobs that are submitted with it show it.
        scopes: what it may do.
        sites: the sites that it may use; empty means all.
        created: when it was made, in seconds since the epoch.
        creator: who made it.
        expires: when it ends, in seconds since the epoch; None means never.
    """

    accessor: str
    name: str
    scopes: tuple[str, ...] = decoded_by(tuple)
    sites: tuple[str, ...] = decoded_by(tuple, default=())
    created: int
    creator: str
    expires: int | None = None
    v: int = SCHEMA_VERSION


def hash_of(secret: str) -> str:
    """The hash under which a token lies; a secret has 256 random bits, so it needs no salt."""
    return hashlib.sha256(secret.encode()).hexdigest()


class ApiTokens:
    """The API tokens of one deployment."""

    def __init__(self, client: Any, table: str) -> None:
        """Use the table.

        Args:
            client: a boto3 DynamoDB client.
            table: the job table's name.
        """
        self._client = client
        self._table = table

    def put(self, token: ApiToken, secret: str) -> None:
        """Write a new token."""
        key = table_keys.api_token(hash_of(secret))
        attributes = {
            **to_attributes(token),
            "pk": key.pk,
            "sk": key.sk,
            "lpk": table_keys.api_token_list(),
            "lsk": token.accessor,
        }
        if token.expires is not None:
            attributes["ttl"] = token.expires
        self._client.put_item(TableName=self._table, Item=dynamodb_json.encode(attributes))

    def of_secret(self, secret: str) -> ApiToken | None:
        """The token with this secret; None if there is none (any more)."""
        key = table_keys.api_token(hash_of(secret))
        answer = self._client.get_item(
            TableName=self._table,
            Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
            ConsistentRead=True,
        )
        if "Item" not in answer:
            return None
        return from_attributes(ApiToken, dynamodb_json.decode(answer["Item"]))

    def page(self, after: str | None) -> tuple[list[ApiToken], str | None]:
        """Some of the tokens, by accessor id.

        Args:
            after: the last accessor id of the page before.

        Returns:
            The tokens, and the accessor id after which the next page starts, if there is one.
        """
        answer = self._query("lpk = :lpk AND lsk > :after", {":after": {"S": after or " "}})
        keys = [{"pk": row["pk"], "sk": row["sk"]} for row in answer["Items"]]
        tokens: list[ApiToken] = []
        while keys:
            got = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys}})
            rows = got["Responses"].get(self._table, [])
            tokens += [from_attributes(ApiToken, dynamodb_json.decode(row)) for row in rows]
            keys = got.get("UnprocessedKeys", {}).get(self._table, {}).get("Keys", [])
        last = answer.get("LastEvaluatedKey")
        return sorted(tokens, key=lambda one: one.accessor), last["lsk"]["S"] if last else None

    def revoke(self, accessor: str) -> bool:
        """Delete a token; whether there was one."""
        answer = self._query("lpk = :lpk AND lsk = :own", {":own": {"S": accessor}})
        for row in answer["Items"]:
            self._client.delete_item(TableName=self._table, Key={"pk": row["pk"], "sk": row["sk"]})
        return bool(answer["Items"])

    def _query(self, condition: str, values: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = self._client.query(
            TableName=self._table,
            IndexName=table_keys.LIST_INDEX,
            KeyConditionExpression=condition,
            ExpressionAttributeValues={":lpk": {"S": table_keys.api_token_list()}, **values},
            Limit=_PAGE,
        )
        return answer
