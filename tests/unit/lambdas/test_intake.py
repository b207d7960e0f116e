"""From S3's event notification to a mark, and from a bucket to its site."""

from __future__ import annotations

import json
from typing import Any

import pytest

from lambdas.errors import UnknownBucket
from lambdas.intake import mark_of
from lambdas.ports.site_directory import Site, SiteDirectory
from lambdas.rules.mark import Mark
from lambdas.rules.upload import Limits


def _record(**s3_object: Any) -> dict[str, Any]:
    return {
        "eventName": "ObjectCreated:Put",
        "eventTime": "2023-11-14T22:13:20.123Z",
        "s3": {
            "bucket": {"name": "bucket"},
            "object": {
                "key": "a+b/%E8%A7%A3%E6%9E%90/aws-job-stat.txt",
                "size": 12,
                "eTag": "abc",
                "versionId": "v7",
                "sequencer": "0055AED6DCD90281E5",
                **s3_object,
            },
        },
    }


def test_a_record_names_one_version_of_a_key_in_its_plain_form() -> None:
    assert mark_of(_record()) == Mark(
        bucket="bucket",
        key="a b/解析/aws-job-stat.txt",
        version="v7",
        etag="abc",
        sequencer="0055AED6DCD90281E5",
        time=1_700_000_000,
        size=12,
    )


def test_quotes_around_an_etag_go() -> None:
    assert mark_of(_record(eTag='"abc"')).etag == "abc"


class Parameters:
    """Powertools' SSM provider, with one parameter."""

    def get(self, name: str, *, max_age: int) -> str:
        if name != "/jobferry/dev/buckets/known":
            raise LookupError("GetParameterError: ParameterNotFound")
        return json.dumps(
            {
                "site": "dc1",
                "bucket": "known",
                "max_upload_files": 9,
                "max_upload_bytes": 99,
                "keep_days": 7,
                "silent_after_minutes": 60,
            }
        )


def test_a_bucket_leads_to_its_site() -> None:
    directory = SiteDirectory(Parameters(), "/jobferry/dev/buckets")
    assert directory.of_bucket("known") == Site("dc1", "known", Limits(9, 99), 7, 60)


def test_a_bucket_of_no_site_is_an_error_that_says_what_to_do() -> None:
    with pytest.raises(UnknownBucket, match=r"bucket foreign belongs to no site.*deploy again"):
        SiteDirectory(Parameters(), "/jobferry/dev/buckets").of_bucket("foreign")
