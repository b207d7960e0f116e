"""Makes a write repeatable by its `Idempotency-Key`, with Powertools and the job table."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.utilities.idempotency import (
    DynamoDBPersistenceLayer,
    IdempotencyConfig,
    idempotent_function,
)
from aws_lambda_powertools.utilities.idempotency.exceptions import (
    IdempotencyAlreadyInProgressError,
    IdempotencyValidationError,
)

from job_protocol import table_keys
from lambdas.errors import Refused

KEPT_SECONDS = 24 * 3600
"""How long a key is known."""


def repeatable(
    client: Any,
    table: str,
    *,
    caller: str,
    key: str,
    body: str,
    context: Any,
    work: Callable[[], dict[str, Any]],
) -> dict[str, Any]:
    """Do a piece of work once for each key; a repetition gets the first answer.

    What is refused is not kept, so that a corrected request may use the key again.

    Args:
        client: a boto3 DynamoDB client.
        table: the job table's name.
        caller: who asks: the keys of different callers do not meet.
        key: the `Idempotency-Key`.
        body: everything else that the request says.
        context: the Lambda context, which says when an unfinished first try has surely ended.
        work: does it; its result can be written as JSON.

    Raises:
        Refused: the key came with another body before, or its first use is still at work.
    """
    hashed = hashlib.sha256(json.dumps([caller, key]).encode()).hexdigest()
    store = DynamoDBPersistenceLayer(
        table_name=table,
        key_attr="pk",
        sort_key_attr="sk",
        static_pk_value=table_keys.idempotency_partition(hashed),
        expiry_attr="ttl",
        boto3_client=client,
    )
    config = IdempotencyConfig(
        event_key_jmespath="key",
        payload_validation_jmespath="body",
        expires_after_seconds=KEPT_SECONDS,
        hash_function="sha256",
        lambda_context=context,
    )

    def do(*, request: dict[str, str]) -> dict[str, Any]:
        del request  # Powertools' key; what is to be done, `work` knows
        return work()

    once: Any = idempotent_function(
        do, data_keyword_argument="request", persistence_store=store, config=config
    )
    try:
        answer: dict[str, Any] = once(request={"key": hashed, "body": body})
    except IdempotencyValidationError as error:
        raise Refused(
            422,
            "this Idempotency-Key came with another request before",
            "use a new key for a new request",
        ) from error
    except IdempotencyAlreadyInProgressError as error:
        raise Refused(
            409,
            "the first request with this Idempotency-Key is still at work",
            "repeat it in some seconds",
        ) from error
    return answer
