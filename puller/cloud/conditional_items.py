"""Conditional updates of single items: what every write to the job table is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from job_protocol import dynamodb_json, table_keys
from puller.cloud.errors import code_of, typed_errors


class ConditionalItems:
    """The items of one table."""

    def __init__(self, client: Any, table: str) -> None:
        """Use the table.

        Args:
            client: a boto3 DynamoDB client.
            table: the table's name.
        """
        self._client = client
        self._table = table

    def update(
        self,
        key: table_keys.Key,
        *,
        sets: Mapping[str, Any],
        condition: str,
        removes: tuple[str, ...] = (),
        values: Mapping[str, Any] | None = None,
        on_new: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any] | None:
        """Update an item if a condition holds.

        In the expressions, `#name` and `:name` stand for each attribute that is set or removed.

        Args:
            key: the item.
            sets: attributes and their new values.
            condition: the condition.
            removes: attributes that go.
            values: further values of the condition, with their colon.
            on_new: called with the whole item as it is after the update, typed.

        Returns:
            None if it was done; the item as it stands, plain, if the condition failed.

        Raises:
            CloudUnreachable, CloudRefused: see `puller.errors`.
        """
        assignments = ", ".join(f"#{name} = :{name}" for name in sets)
        expression = f"SET {assignments}"
        if removes:
            expression += f" REMOVE {', '.join(f'#{name}' for name in removes)}"
        all_values = {f":{name}": value for name, value in sets.items()} | dict(values or {})
        named = {f"#{name}": name for name in (*sets, *removes)}
        if "#token" in condition:
            named["#token"] = "token"
        with typed_errors(f"write to table {self._table}"):
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
                    UpdateExpression=expression,
                    ConditionExpression=condition,
                    ExpressionAttributeNames=named,
                    ExpressionAttributeValues=dynamodb_json.encode(all_values),
                    ReturnValues="ALL_NEW" if on_new else "NONE",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except ClientError as error:
                if code_of(error) != "ConditionalCheckFailedException":
                    raise
                answered: Any = error.response
                return dynamodb_json.decode(answered.get("Item", {}))
        if on_new is not None:
            on_new(answer["Attributes"])
        return None
