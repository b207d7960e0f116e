"""What boto3 raises, as the puller's own exceptions, with a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from botocore import exceptions as boto

from puller.errors import CloudRefused, CloudUnreachable, PullerError

_LATER = "what is on disk waits, the next pass tries again"
_BUSY_CODES = frozenset(
    {
        "BandwidthLimitExceeded",
        "InternalError",
        "InternalFailure",
        "InternalServerError",
        "LimitExceededException",
        "OperationAborted",
        "PriorRequestNotComplete",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "RequestThrottled",
        "RequestThrottledException",
        "RequestTimeout",
        "RequestTimeoutException",
        "ServiceUnavailable",
        "SlowDown",
        "ThrottledException",
        "Throttling",
        "ThrottlingException",
        "TooManyRequestsException",
        "TransactionInProgressException",
    }
)
_REMEDIES = (
    (
        {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"},
        "the clock of this computer is wrong; set it (NTP)",
    ),
    (
        {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"},
        "the credentials have expired; renew them",
    ),
    (
        {
            "AuthFailure",
            "IncompleteSignature",
            "InvalidAccessKeyId",
            "InvalidClientTokenId",
            "InvalidSignatureException",
            "InvalidToken",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "SignatureDoesNotMatch",
            "UnrecognizedClientException",
        },
        "AWS does not accept the credentials; check the profile or the keys of this site's puller "
        "and the clock of this computer",
    ),
    (
        {"NoSuchBucket", "ResourceNotFoundException"},
        "it does not exist (any more); check site, region and names in the settings",
    ),
    (
        {
            "301",
            "AuthorizationHeaderMalformed",
            "IllegalLocationConstraintException",
            "PermanentRedirect",
        },
        "it lies in another region; check the region in the settings",
    ),
)
_DENIED = "the credentials do not have the right; attach this site's puller policy to them"
_NO_CREDENTIALS = "there are no usable credentials; set up the profile that the settings name"

_CREDENTIAL_ERRORS = (
    boto.NoCredentialsError,
    boto.PartialCredentialsError,
    boto.CredentialRetrievalError,
    boto.ProfileNotFound,
    boto.ConfigParseError,
    boto.ConfigNotFound,
    boto.InvalidConfigError,
    boto.SSOError,
    boto.NoAuthTokenError,
    boto.TokenRetrievalError,
    boto.NoRegionError,
)


def code_of(error: boto.ClientError) -> str:
    """The error code of an AWS answer; for an answer without a body, the HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: boto.ClientError) -> int:
    """The HTTP status of an AWS answer; 0 if unknown."""
    metadata: dict[str, Any] = dict(error.response.get("ResponseMetadata", {}))
    return int(metadata.get("HTTPStatusCode") or 0)


def typed(error: Exception, doing: str) -> PullerError:
    """The puller's exception for one of botocore's.

    Args:
        error: a `BotoCoreError` or `ClientError`.
        doing: what was tried, on what, as in "read s3://bucket/key".
    """
    if isinstance(error, boto.ClientError):
        return _typed_answer(error, doing)
    if isinstance(error, _CREDENTIAL_ERRORS):
        return CloudRefused(f"cannot {doing}: {_NO_CREDENTIALS} ({error})")
    if isinstance(error, boto.ParamValidationError | boto.InvalidRegionError):
        return CloudRefused(f"cannot {doing}: check the names in the settings ({error})")
    remedy = _LATER
    if isinstance(error, boto.ProxyConnectionError):
        remedy = f"check the proxy in the settings; {_LATER}"
    elif isinstance(error, boto.SSLError):
        remedy = f"check the CA certificates of this computer (AWS_CA_BUNDLE); {_LATER}"
    return CloudUnreachable(f"cannot {doing}: {error}; {remedy}")


def _typed_answer(error: boto.ClientError, doing: str) -> PullerError:
    code, status = code_of(error), status_of(error)
    said = error.response.get("Error", {}).get("Message") or f"HTTP {status}"
    if status >= 500 or status == 429 or code in _BUSY_CODES:
        return CloudUnreachable(f"cannot {doing}: AWS says {code}: {said}; {_LATER}")
    for codes, remedy in _REMEDIES:
        if code in codes:
            return CloudRefused(f"cannot {doing}: {remedy} (AWS says {code}: {said})")
    if status in (401, 403) or code in ("AccessDenied", "AccessDeniedException"):
        return CloudRefused(f"cannot {doing}: {_DENIED} (AWS says {code}: {said})")
    return CloudRefused(f"cannot {doing}: AWS says {code}: {said}")


@contextmanager
def typed_errors(doing: str) -> Iterator[None]:
    """Raise botocore's exceptions as the puller's own.

    Raises:
        CloudUnreachable: AWS cannot be reached, is busy or has a fault: try again later.
        CloudRefused: somebody has to set something right first.
    """
    try:
        yield
    except (boto.BotoCoreError, boto.ClientError) as error:
        raise typed(error, doing) from error
