"""Lambda: the HTTP API, and the same for who invokes the function itself."""

from __future__ import annotations

import base64
import os
import secrets
import time
import uuid
from collections.abc import Callable
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger
from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.utilities.parameters import SSMProvider
from aws_lambda_powertools.utilities.typing import LambdaContext

from lambdas.answering import Asked, Repeatable, answer, error_body
from lambdas.direct import asked_directly, refused_directly
from lambdas.errors import Refused
from lambdas.ports.api_tokens import ApiTokens
from lambdas.ports.clients import client
from lambdas.ports.job_queue import JobQueue
from lambdas.ports.job_reader import JobReader
from lambdas.ports.job_table import JobTable
from lambdas.ports.site_controls import SiteControls
from lambdas.ports.site_directory import SiteDirectory
from lambdas.ports.templates import Templates
from lambdas.routes.route import Answer, json_text
from lambdas.routes.services import Services
from lambdas.rules.identity import caller_of, direct_caller

logger = Logger()
app = APIGatewayHttpResolver()


@cache
def _directory() -> SiteDirectory:
    return SiteDirectory(SSMProvider(boto3_client=client("ssm")), os.environ["SITES_PARAMETER"])


def services() -> Services:
    """What the routes work with, as this function's environment says."""
    dynamodb, table = client("dynamodb"), os.environ["TABLE_NAME"]
    return Services(
        table=JobTable(dynamodb, table),
        reader=JobReader(dynamodb, table),
        tokens=ApiTokens(dynamodb, table),
        controls=SiteControls(dynamodb, table),
        s3=client("s3"),
        sites=_directory().of_names(os.environ["SITES"].split()),
        clock=lambda: int(time.time()),
        sleep=time.sleep,
        new_secret=lambda: f"jobferry_{secrets.token_urlsafe(32)}",
        new_id=lambda: str(uuid.uuid4()),
        templates=Templates(dynamodb, table),
        purge_queue=JobQueue(client("sqs"), os.environ["PURGE_QUEUE_URL"]),
    )


def _repeatable(context: LambdaContext) -> Repeatable:
    def once(
        caller: str, key: str, body: str, work: Callable[[], dict[str, Any]]
    ) -> dict[str, Any]:
        # Powertools' part of this is imported only by writes that carry a key.
        from lambdas.ports.repeatable import repeatable

        return repeatable(
            client("dynamodb"),
            os.environ["TABLE_NAME"],
            caller=caller,
            key=key,
            body=body,
            context=context,
            work=work,
        )

    return once


@app.route(".+", method=["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"])
def answer_over_http() -> Response[str | bytes]:
    """Answer the request of API Gateway's event; its `rawPath` is decoded already."""
    event = app.current_event
    headers = {name.lower(): value for name, value in (event.headers or {}).items()}
    asked = Asked(
        method=event.http_method,
        path=event.raw_path,
        query=event.query_string_parameters or {},
        body=_body(event.body or "", encoded=bool(event.is_base64_encoded)),
        idempotency_key=headers.get("idempotency-key"),
        request_id=str(uuid.uuid4()),
    )
    authorizer = event.raw_event["requestContext"].get("authorizer") or {}
    identity = caller_of(authorizer)
    found = answer(asked, identity, services(), _repeatable(app.lambda_context))
    if asked.method != "GET":
        logger.info(
            "%s %s", asked.method, asked.path, extra={"by": identity.name, "status": found.status}
        )
    return _response(found)


def _body(text: str, *, encoded: bool) -> str:
    try:
        return base64.b64decode(text).decode() if encoded else text
    except ValueError as error:
        raise Refused(400, "the body is no text in UTF-8", "send JSON in UTF-8") from error


def _response(found: Answer) -> Response[str | bytes]:
    raw = isinstance(found.body, bytes)
    return Response(
        status_code=found.status,
        content_type=found.content_type,
        headers=dict(found.headers),
        body=found.body if raw else json_text(found.body),
    )


def answer_refusal(error: Refused) -> Response[str | bytes]:
    """Tell what is wrong with a request and what to do."""
    return _response(Answer(body=error_body(error), status=error.status))


app.exception_handler(Refused)(answer_refusal)


def handler(event: Any, context: LambdaContext) -> Any:
    """Answer a request of API Gateway, or one of who invokes this function itself."""
    if isinstance(event, dict) and "requestContext" in event:
        return app.resolve(event, context)
    try:
        asked = asked_directly(event, context.aws_request_id)
        identity = direct_caller(event.get("submitter"))
        return answer(asked, identity, services(), _repeatable(context)).body
    except Refused as error:
        raise refused_directly(error) from None
