"""The HTTP API: who gets in, how much, and what is logged of it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from infra.api import BURST, REQUESTS_PER_SECOND, TIMEOUT_SECONDS
from tests.infra.synthesized import Synthesized, rendered, synthesized

JWT = {"issuer": "https://idp.example.com/pool", "audience": ["jobferry"]}


@pytest.fixture(scope="module")
def production() -> Synthesized:
    return synthesized()


@pytest.fixture(scope="module")
def every_door() -> Synthesized:
    return synthesized(api={"tokens": True, "jwt": JWT})


def routes(template: Synthesized) -> list[dict[str, Any]]:
    return [
        rendered(row["Properties"]) for row in template.of_type("AWS::ApiGatewayV2::Route").values()
    ]


def test_without_settings_only_iam_lets_anybody_in(production: Synthesized) -> None:
    assert len(production.of_type("AWS::ApiGatewayV2::Api")) == 1
    assert {row["AuthorizationType"] for row in routes(production)} == {"AWS_IAM"}
    assert {row["RouteKey"] for row in routes(production)} == {
        "GET /v1/{path+}",
        "POST /v1/{path+}",
        "PUT /v1/{path+}",
        "DELETE /v1/{path+}",
    }


def test_tokens_and_jwt_have_doors_of_their_own_to_the_same_function(
    every_door: Synthesized,
) -> None:
    found = {(row["ApiId"], row["AuthorizationType"]) for row in routes(every_door)}
    assert sorted(kind for _, kind in found) == ["AWS_IAM", "CUSTOM", "JWT"]
    targets = {
        rendered(row["Properties"]["IntegrationUri"])
        for row in every_door.of_type("AWS::ApiGatewayV2::Integration").values()
    }
    assert len(targets) == 1


def test_a_revoked_token_ends_at_once(every_door: Synthesized) -> None:
    authorizer = every_door.only("AWS::ApiGatewayV2::Authorizer", AuthorizerType="REQUEST")
    assert authorizer["AuthorizerResultTtlInSeconds"] == 0
    assert authorizer.get("IdentitySource", []) == []
    assert authorizer["EnableSimpleResponses"] is True


def test_jwt_are_those_of_the_issuer_for_the_audience(every_door: Synthesized) -> None:
    authorizer = every_door.only("AWS::ApiGatewayV2::Authorizer", AuthorizerType="JWT")
    assert authorizer["JwtConfiguration"] == {
        "Audience": JWT["audience"],
        "Issuer": JWT["issuer"],
    }


def test_every_door_is_throttled_and_logged_without_headers(every_door: Synthesized) -> None:
    stages = every_door.of_type("AWS::ApiGatewayV2::Stage").values()
    assert len(stages) == 3
    for stage in stages:
        properties = rendered(stage["Properties"])
        assert properties["DefaultRouteSettings"] == {
            "ThrottlingRateLimit": REQUESTS_PER_SECOND,
            "ThrottlingBurstLimit": BURST,
        }
        logged = json.loads(properties["AccessLogSettings"]["Format"])
        assert not any("header" in value for value in logged.values())


def test_the_function_answers_before_the_gateway_gives_up(production: Synthesized) -> None:
    function = production.only("AWS::Lambda::Function", Handler="lambdas.api.handler")
    assert function["Timeout"] == TIMEOUT_SECONDS < 30
    assert function["Environment"]["Variables"] == {
        "TABLE_NAME": "<JobTable>",
        "SITES_PARAMETER": "/jobferry/jobferry/sites",
        "SITES": "dc1",
        "LOG_LEVEL": "INFO",
        "POWERTOOLS_METRICS_NAMESPACE": "jobferry",
        "POWERTOOLS_SERVICE_NAME": "api",
    }


def test_clients_find_every_door(every_door: Synthesized) -> None:
    names = {
        rendered(row["Properties"])["Name"]
        for row in every_door.of_type("AWS::SSM::Parameter").values()
    }
    root = "/jobferry/jobferry/api"
    assert {f"{root}/url", f"{root}/url-tokens", f"{root}/url-jwt", f"{root}/function"} <= names
    assert {"ApiUrl", "ApiTokensUrl", "ApiJwtUrl"} <= set(every_door.outputs())
