"""The published description of the API."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lambdas.openapi import document
from lambdas.routes.table import ROUTES

PUBLISHED = Path(__file__).resolve().parents[3] / "docs" / "openapi.json"


def test_the_published_description_is_current() -> None:
    assert json.loads(PUBLISHED.read_text(encoding="utf-8")) == document(), (
        "run: python -m lambdas.openapi > docs/openapi.json"
    )


def test_every_route_has_a_name_of_its_own() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)


def test_every_reference_leads_somewhere_and_every_field_is_explained() -> None:
    schemas = document()["components"]["schemas"]

    def references(value: Any) -> set[str]:
        if isinstance(value, list):
            return {name for row in value for name in references(row)}
        if not isinstance(value, dict):
            return set()
        own = {value["$ref"].rpartition("/")[2]} if "$ref" in value else set()
        return own | references(list(value.values()))

    assert references(document()) <= set(schemas)
    for name, schema in schemas.items():
        for field, about in schema.get("properties", {}).items():
            assert about.get("description") or "$ref" in json.dumps(about), f"{name}.{field}"
