"""Which bucket a client uses."""

from __future__ import annotations

import pytest

from jobferry.errors import ConfigurationError, UsageError
from jobferry.place import bucket_of

PARAMETERS = {
    "/jobferry/jobferry/sites/dc1": '{"site": "dc1", "bucket": "default"}',
    "/jobferry/jobferry/sites/osaka": '{"bucket": "osaka"}',
    "/jobferry/test/sites/dc1": '{"bucket": "test"}',
    "/jobferry/broken/sites/dc1": "[]",
}


def _bucket(
    environment: dict[str, str] | None = None,
    *,
    bucket: str | None = None,
    site: str | None = None,
    stack: str | None = None,
) -> str:
    return bucket_of(
        bucket=bucket,
        site=site,
        stack=stack,
        environment=environment or {},
        parameter=PARAMETERS.get,
    )


def test_without_a_word_it_is_the_default_site_of_the_default_stack() -> None:
    assert _bucket() == "default"


def test_the_environment_names_bucket_site_or_stack() -> None:
    assert _bucket({"JOBFERRY_BUCKET": "mine", "JOBFERRY_SITE": "osaka"}) == "mine"
    assert _bucket({"JOBFERRY_SITE": "osaka"}) == "osaka"
    assert _bucket({"JOBFERRY_STACK": "test"}) == "test"


def test_what_is_stated_goes_before_the_environment() -> None:
    assert _bucket({"JOBFERRY_BUCKET": "mine"}, site="osaka") == "osaka"
    assert _bucket({"JOBFERRY_SITE": "osaka"}, bucket="mine") == "mine"
    assert _bucket({"JOBFERRY_STACK": "test"}, stack="jobferry") == "default"


def test_bucket_and_site_at_once_are_a_contradiction() -> None:
    with pytest.raises(UsageError, match="not both"):
        _bucket(bucket="mine", site="dc1")


def test_an_unknown_site_is_named_with_its_parameter() -> None:
    with pytest.raises(ConfigurationError, match=r"'kyoto'.*/jobferry/jobferry/sites/kyoto"):
        _bucket(site="kyoto")


def test_a_parameter_that_says_something_else_is_an_error() -> None:
    with pytest.raises(ConfigurationError, match="names no bucket"):
        _bucket(stack="broken")
