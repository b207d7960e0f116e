"""The partition keys that a request names, as a policy sees them."""

from __future__ import annotations

from typing import Any

import pytest

from local_cloud.emulator_process import leading_keys

TABLES = {
    "t": {
        "KeySchema": [
            {"AttributeName": "sk", "KeyType": "RANGE"},
            {"AttributeName": "pk", "KeyType": "HASH"},
        ],
        "GlobalSecondaryIndexes": [
            {"IndexName": "queue", "KeySchema": [{"AttributeName": "qpk", "KeyType": "HASH"}]}
        ],
    }
}
KEY = {"pk": {"S": "A"}, "sk": {"S": "1"}}
ARN = "arn:aws:dynamodb:eu-west-1:000000000000:table/t"


@pytest.mark.parametrize(
    ("request_body", "expected"),
    [
        ({"TableName": "t", "Key": KEY}, ["A"]),
        ({"TableName": ARN, "Key": KEY}, ["A"]),
        ({"TableName": "t", "Item": {**KEY, "qpk": {"S": "Q"}}}, ["A"]),
        ({"TableName": "t"}, []),
        ({"TableName": "other", "Key": KEY}, []),
        (
            {
                "TableName": "t",
                "KeyConditionExpression": "#p = :p AND begins_with(sk, :s)",
                "ExpressionAttributeNames": {"#p": "pk"},
                "ExpressionAttributeValues": {":p": {"S": "A"}, ":s": {"S": "x"}},
            },
            ["A"],
        ),
        (
            {
                "TableName": "t",
                "IndexName": "queue",
                "KeyConditionExpression": "qpk=:q",
                "ExpressionAttributeValues": {":q": {"S": "Q"}},
            },
            ["Q"],
        ),
        (
            {
                "TableName": "t",
                "IndexName": "queue",
                "KeyConditionExpression": "pk = :q",
                "ExpressionAttributeValues": {":q": {"S": "Q"}},
            },
            [],
        ),
        (
            {"TransactItems": [{"Put": {"TableName": "t", "Item": KEY}}]},
            ["A"],
        ),
        ({"RequestItems": {"t": {"Keys": [KEY, {**KEY, "pk": {"S": "B"}}]}}}, ["A", "B"]),
        (
            {
                "RequestItems": {
                    "t": [{"PutRequest": {"Item": KEY}}, {"DeleteRequest": {"Key": KEY}}]
                }
            },
            ["A", "A"],
        ),
    ],
)
def test_the_partition_keys_of_a_request(request_body: dict[str, Any], expected: list[str]) -> None:
    assert leading_keys(request_body, TABLES) == expected
