"""What boto3 raises becomes unreachable or refused, with what to do."""

from __future__ import annotations

import pytest
from botocore import exceptions as boto

from puller.cloud.client_config import client_config
from puller.cloud.errors import typed, typed_errors
from puller.errors import CloudRefused, CloudUnreachable


def answer(code: str, status: int = 400) -> boto.ClientError:
    return boto.ClientError(
        {
            "Error": {"Code": code, "Message": "said so"},
            "ResponseMetadata": {"HTTPStatusCode": status},
        },
        "GetItem",
    )


@pytest.mark.parametrize(
    "error",
    [
        boto.EndpointConnectionError(endpoint_url="https://x"),
        boto.ConnectTimeoutError(endpoint_url="https://x"),
        boto.ReadTimeoutError(endpoint_url="https://x"),
        boto.ConnectionClosedError(endpoint_url="https://x"),
        boto.ProxyConnectionError(proxy_url="https://x"),
        boto.SSLError(endpoint_url="https://x", error="certificate"),
        boto.IncompleteReadError(actual_bytes=1, expected_bytes=2),
        answer("SlowDown", 503),
        answer("InternalError", 500),
        answer("ThrottlingException"),
        answer("ProvisionedThroughputExceededException"),
        answer("RequestTimeout"),
        answer("Unknown", 429),
    ],
)
def test_what_may_pass_by_itself_is_unreachable(error: Exception) -> None:
    made = typed(error, "read s3://b/k")
    assert isinstance(made, CloudUnreachable)
    assert "cannot read s3://b/k" in str(made)
    assert "next pass" in str(made)


@pytest.mark.parametrize(
    ("error", "remedy"),
    [
        (answer("RequestTimeTooSkewed", 403), "clock"),
        (answer("ExpiredToken"), "renew"),
        (answer("ExpiredTokenException"), "renew"),
        (answer("InvalidAccessKeyId", 403), "keys"),
        (answer("UnrecognizedClientException"), "keys"),
        (answer("AccessDenied", 403), "policy"),
        (answer("AccessDeniedException"), "policy"),
        (answer("403", 403), "policy"),
        (answer("NoSuchBucket", 404), "settings"),
        (answer("ResourceNotFoundException"), "settings"),
        (answer("PermanentRedirect", 301), "region"),
        (answer("SomethingNew"), "SomethingNew: said so"),
        (boto.NoCredentialsError(), "profile"),
        (boto.ProfileNotFound(profile="x"), "profile"),
        (boto.ParamValidationError(report="bucket"), "settings"),
    ],
)
def test_what_somebody_must_set_right_is_refused_and_says_so(error: Exception, remedy: str) -> None:
    made = typed(error, "write s3://b/k")
    assert isinstance(made, CloudRefused)
    assert remedy in str(made)


def test_other_exceptions_pass_unchanged() -> None:
    with pytest.raises(KeyError), typed_errors("do"):
        raise KeyError("x")


def test_the_client_says_who_it_is_and_uses_the_proxy() -> None:
    config = client_config(proxy="http://proxy:3128", connections=7)
    assert config.user_agent_extra.startswith("jobferry/")
    assert config.proxies == {"http": "http://proxy:3128", "https": "http://proxy:3128"}
    assert config.max_pool_connections == 7
