"""Where programs and people find a deployment."""

from __future__ import annotations

import json
import tomllib

import pytest

from tests.infra.synthesized import Synthesized, rendered, synthesized

BUCKET = "jobferry-dev-site-2-<AWS::AccountId>-<AWS::Region>"


@pytest.fixture(scope="module")
def template() -> Synthesized:
    return synthesized(stage="dev", sites={"dc1": {}, "site-2": {"keep_days": 5}})


def test_the_parameters_name_table_region_and_every_site_and_bucket(template: Synthesized) -> None:
    parameters = {
        (properties := rendered(row["Properties"]))["Name"]: properties["Value"]
        for row in template.of_type("AWS::SSM::Parameter").values()
    }
    root = "/jobferry/jobferry-dev"
    assert set(parameters) == {
        f"{root}/table",
        f"{root}/region",
        f"{root}/api/function",
        f"{root}/api/url",
        f"{root}/sites/dc1",
        f"{root}/sites/site-2",
        f"{root}/buckets/{BUCKET}",
        f"{root}/buckets/{BUCKET.replace('site-2', 'dc1')}",
    }
    assert parameters[f"{root}/table"] == "<JobTable>"
    assert parameters[f"{root}/region"] == "<AWS::Region>"
    assert parameters[f"{root}/sites/site-2"] == parameters[f"{root}/buckets/{BUCKET}"]
    assert json.loads(parameters[f"{root}/sites/site-2"]) == {
        "site": "site-2",
        "bucket": BUCKET,
        "max_upload_files": 20_000,
        "max_array_size": 10_000,
        "max_upload_bytes": 100 * 1024**3,
        "keep_days": 5,
        "silent_after_minutes": 180,
    }


def test_the_outputs_name_the_table_and_what_each_site_needs(template: Synthesized) -> None:
    outputs = template.outputs()
    of_site = ("Bucket", "PullerPolicyArn", "PullerRoleArn", "PullerSettings")
    assert set(outputs) == {
        "TableName",
        "PullerFileKey",
        "PullerFileSha256",
        "DistributorFunction",
        "ApiFunctionName",
        "ApiUrl",
        *(f"{name}{site}" for name in of_site for site in ("Dc1", "SiteX2")),
    }
    assert outputs["TableName"] == "<JobTable>"
    assert outputs["BucketSiteX2"] == BUCKET


def test_an_output_is_ready_for_the_pullers_settings_file(template: Synthesized) -> None:
    assert tomllib.loads(template.outputs()["PullerSettingsSiteX2"]) == {
        "site": "site-2",
        "bucket": BUCKET,
        "table": "<JobTable>",
        "region": "<AWS::Region>",
    }
