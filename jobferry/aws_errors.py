"""What boto3 raises, as the client's own exceptions, with a sentence that says what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore import exceptions as boto

from jobferry.errors import CloudRefused, CloudUnreachable, ConfigurationError, JobferryError

_CONFIGURATION = (
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
    boto.InvalidRegionError,
    boto.ParamValidationError,
)
_CREDENTIAL_CODES = frozenset(
    {
        "AuthFailure",
        "ExpiredToken",
        "ExpiredTokenException",
        "InvalidAccessKeyId",
        "InvalidClientTokenId",
        "InvalidToken",
        "SignatureDoesNotMatch",
        "TokenRefreshRequired",
        "UnrecognizedClientException",
    }
)
_MISSING = frozenset({"404", "NoSuchKey", "ParameterNotFound"})
_PASSING = frozenset({"RequestTimeout", "SlowDown", "Throttling", "ThrottlingException"})


def code_of(error: boto.ClientError) -> str:
    """The error code of an AWS answer; for an answer without a body, the HTTP status."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_missing(error: boto.ClientError) -> bool:
    """Whether the object or parameter that was asked for does not exist."""
    return code_of(error) in _MISSING


@contextmanager
def typed_errors(doing: str) -> Iterator[None]:
    """Raise botocore's exceptions as the client's own.

    Args:
        doing: what is tried, on what, as in "read s3://bucket/key".

    Raises:
        ConfigurationError: credentials, region or names are missing or wrong.
        CloudRefused: AWS refuses.
        CloudUnreachable: it may work later.
    """
    try:
        yield
    except boto.ClientError as error:
        raise _typed_answer(error, doing) from error
    except _CONFIGURATION as error:
        raise ConfigurationError(
            f"cannot {doing}: {error}; check the profile (AWS_PROFILE), the credentials and "
            "the region (AWS_REGION)"
        ) from error
    except boto.BotoCoreError as error:
        raise CloudUnreachable(f"cannot {doing}: {error}; try again later") from error


def _typed_answer(error: boto.ClientError, doing: str) -> JobferryError:
    code = code_of(error)
    status = int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)
    said = f"AWS says {code}: {error.response.get('Error', {}).get('Message', '')}"
    if code in _CREDENTIAL_CODES:
        return ConfigurationError(
            f"cannot {doing}: AWS does not accept the credentials; renew them ({said})"
        )
    if code == "NoSuchBucket":
        return ConfigurationError(f"cannot {doing}: there is no such bucket; check its name")
    if status >= 500 or status == 429 or code in _PASSING:
        return CloudUnreachable(f"cannot {doing}: {said}; try again later")
    if status in (401, 403):
        return CloudRefused(
            f"cannot {doing}: the credentials do not have the right; ask for it ({said})"
        )
    return CloudRefused(f"cannot {doing}: {said}")
