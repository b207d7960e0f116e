from __future__ import annotations

import json
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.settings import (
    MAX_STAGE_AND_SITE_LENGTH,
    SITE_NAME,
    Settings,
    SettingsError,
    SiteSettings,
    settings_from_context,
)

MAX_BUCKET_NAME = 63
LONGEST_REGION = "ap-northeast-1"


def read(context: Mapping[str, object]) -> Settings:
    return settings_from_context(context.get)


def test_without_context_there_is_production_with_the_site_dc1() -> None:
    assert read({}) == Settings()
    assert Settings().keeps_data
    assert [site.name for site in Settings().sites] == ["dc1"]


def test_only_production_has_the_plain_stack_name_and_keeps_data() -> None:
    assert read({"stage": "prod"}).stack_name == "jobferry"
    dev = read({"stage": "dev"})
    assert (dev.stack_name, dev.keeps_data) == ("jobferry-dev", False)
    second = read({"stage": "prod2"})
    assert (second.stack_name, second.keeps_data) == ("jobferry-prod2", True)
    assert not read({"stage": "product"}).keeps_data


def test_a_sites_settings_replace_the_defaults() -> None:
    principal = "arn:aws:iam::123456789012:user/puller"
    settings = read(
        {"sites": {"osaka": {"max_upload_files": 5.0, "puller_principals": [principal]}, "dc1": {}}}
    )
    assert settings.sites == (
        SiteSettings(name="dc1"),
        SiteSettings(name="osaka", max_upload_files=5, puller_principals=(principal,)),
    )


def test_the_limits_of_a_site_are_read_by_name() -> None:
    given = {
        "limits": {"jobs_a_day": 7.0, "active_jobs": 5},
        "submitter_limits": {"bytes_a_day": 9},
    }
    (site,) = read({"sites": {"dc1": given}}).sites
    assert site.limits == (("active_jobs", 5), ("jobs_a_day", 7))
    assert site.submitter_limits == (("bytes_a_day", 9),)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"limits": {"jobs": 1}}, "limits of site 'dc1' has the unknown setting 'jobs'"),
        ({"limits": {"active_jobs": 0}}, "active_jobs of limits of site 'dc1' is 0"),
        ({"submitter_limits": []}, "submitter_limits of site 'dc1' is"),
    ],
)
def test_a_wrong_limit_is_named(given: object, message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        read({"sites": {"dc1": given}})


def test_values_from_the_command_line_are_strings() -> None:
    given_text = {"sites": json.dumps({"dc1": {"keep_days": 7}}), "log_retention_days": "7"}
    settings = read(given_text)
    assert settings.sites[0].keep_days == 7
    assert settings.log_retention_days == 7


def test_an_empty_mail_address_is_none() -> None:
    assert read({"alarm_email": ""}).alarm_email is None


@pytest.mark.parametrize(
    ("context", "message"),
    [
        ({"stage": "Prod"}, "stage is 'Prod'"),
        ({"stage": 1}, "stage is 1"),
        ({"sites": {}}, "at least one site"),
        ({"sites": "{"}, "not valid JSON"),
        ({"sites": ["dc1"]}, "at least one site"),
        ({"sites": {"dc1": []}}, r"site 'dc1' is \[\]; it must be an object"),
        ({"sites": {"DC1": {}}}, "the name of a site is 'DC1'"),
        ({"sites": {"-dc": {}}}, "the name of a site is '-dc'"),
        ({"sites": {"dc#1": {}}}, "the name of a site is 'dc#1'"),
        ({"sites": {"dc1\n": {}}}, "the name of a site"),
        ({"sites": {"a" * 21: {}}}, "the name of a site"),
        ({"stage": "staging", "sites": {"a" * 20: {}}}, "bucket's name too long"),
        (
            {"sites": {"dc1": {"max_files": 1}}},
            "site 'dc1' has the unknown setting 'max_files'; known are: max_upload_files",
        ),
        ({"sites": {"dc1": {"keep_days": 0}}}, "keep_days of site 'dc1' is 0; .*at least 1"),
        ({"sites": {"dc1": {"keep_days": True}}}, "keep_days of site 'dc1' is True"),
        ({"sites": {"dc1": {"keep_days": 1.5}}}, "keep_days of site 'dc1' is 1.5"),
        ({"sites": {"dc1": {"max_upload_bytes": "100 GiB"}}}, "is '100 GiB'; .*whole number"),
        ({"sites": {"dc1": {"silent_after_minutes": 5}}}, "from 10 to 1440"),
        ({"sites": {"dc1": {"silent_after_minutes": 2000}}}, "from 10 to 1440"),
        ({"sites": {"dc1": {"puller_principals": "*"}}}, "must be a list"),
        ({"sites": {"dc1": {"puller_principals": ["*"]}}}, r"is '\*', which does not match"),
        ({"event_transitions": "some"}, "must be one of: end, all"),
        ({"lambda_platform": "x86"}, "must be one of: aws, host"),
        ({"api": []}, r"api is \[\]; it must be an object"),
        ({"api": {"token": True}}, "api has the unknown setting 'token'; known are: tokens, jwt"),
        ({"api": {"tokens": "yes"}}, "tokens of api is 'yes'"),
        ({"api": {"jwt": {"issuer": "http://x", "audience": "a"}}}, "issuer of jwt of api"),
        ({"api": {"jwt": {"issuer": "https://x"}}}, "audience of jwt of api must name"),
        ({"alarm_email": "nobody"}, "alarm_email is 'nobody'"),
        ({"log_retention_days": 31}, "log_retention_days is 31; CloudWatch Logs accepts: 1, 3, 5"),
    ],
)
def test_a_wrong_value_is_named_with_what_is_allowed(
    context: Mapping[str, object], message: str
) -> None:
    with pytest.raises(SettingsError, match=message):
        read(context)


def test_the_longest_allowed_names_make_a_valid_bucket_name() -> None:
    names = "s" * MAX_STAGE_AND_SITE_LENGTH
    bucket = f"jobferry-{names[:5]}-{names[5:]}-{'1' * 12}-{LONGEST_REGION}"
    assert len(bucket) == MAX_BUCKET_NAME


@given(st.sets(st.from_regex(SITE_NAME, fullmatch=True), min_size=2, max_size=2))
def test_two_sites_never_share_a_logical_id(names: set[str]) -> None:
    first, second = (SiteSettings(name=name).logical_name for name in names)
    assert first != second
    assert first.isalnum()
