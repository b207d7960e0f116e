"""Which version of an object is the newest."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from unittest.mock import Mock

from lambdas.ports.site_bucket import SiteBucket


def _row(version: str, second: int, *, latest: bool = False) -> dict[str, Any]:
    modified = datetime(2026, 1, 2, 3, 4, second, tzinfo=UTC)
    return {"Key": "shared/a", "VersionId": version, "LastModified": modified, "IsLatest": latest}


def _order(versions: list[dict[str, Any]], markers: list[dict[str, Any]]) -> list[str]:
    client = Mock()
    page = {"Versions": [{**row, "Size": 1} for row in versions], "DeleteMarkers": markers}
    client.get_paginator.return_value.paginate.return_value = [page]
    return [v.version for v in SiteBucket(client, "bucket").versions_under("shared/", 100)]


def test_a_large_upload_that_was_begun_before_another_one_and_came_after_it_is_the_newest() -> None:
    assert _order([_row("multipart", 1, latest=True), _row("put", 5)], []) == ["multipart", "put"]


def test_a_deletion_within_the_second_of_the_upload_is_the_newest() -> None:
    assert _order([_row("put", 5), _row("old", 1)], [_row("marker", 5, latest=True)]) == [
        "marker",
        "put",
        "old",
    ]
