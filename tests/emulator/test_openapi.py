"""The published description of the API holds: schemathesis calls every route on the real stack."""

from __future__ import annotations

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from lambdas.openapi import document
from tests.conftest import DeployedStack
from tests.emulator.api_client import ApiClient

pytestmark = pytest.mark.emulator

EXAMPLES = 5
HELD = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
SCHEMA = schemathesis.openapi.from_dict(document())
ROUTES = {
    route.ok().label: route.ok()
    for route in SCHEMA.exclude(operation_id="waitForJob").get_all_operations()
}


@pytest.fixture(scope="module")
def api(deployed: DeployedStack) -> ApiClient:
    return ApiClient(deployed.deployment.api_urls[""], deployed.emulator.region)


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_answers_as_it_is_described(route: str, api: ApiClient) -> None:
    # Not schemathesis' own parametrization: pytest gives its tests one id, so xdist runs one only.
    @given(case=st.one_of(map(ROUTES[route].as_strategy, GenerationMode)))
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def holds(case: Any) -> None:
        case.call_and_validate(base_url=api.url, session=api.session, checks=HELD, timeout=60)

    holds()
