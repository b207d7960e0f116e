"""The OpenAPI document of the HTTP API, made of its routes.

`docs/openapi.json` is generated: `python -m lambdas.openapi > docs/openapi.json`.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any

from lambdas.answering import MAX_KEY
from lambdas.routes.declared.parameters import NEXT_OFFSET, NEXT_PAGE
from lambdas.routes.route import Parameter, Route
from lambdas.routes.table import ROUTES
from lambdas.rules.api_answers import ANSWERS
from lambdas.rules.api_requests import REQUESTS
from lambdas.rules.settings_form import json_schema

_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_REFUSALS = {
    400: "Something is wrong with the request.",
    403: "The caller may not do this.",
    404: "It is not there.",
}
_OF_WRITES = {
    409: "The job's state forbids it, or somebody else was faster.",
    422: "The Idempotency-Key came with another request before.",
}
_WORD = "^[A-Za-z0-9_-]+$"
_IN_PATH = {
    # API Gateway cuts a path at a `?`, even an escaped one.
    "job_id": "^[^?#\\x00-\\x1f/]+(/[^?#\\x00-\\x1f/]+)*$"
}
_ABOUT_PATH = {
    "job_id": "The job id; its slashes may stand as they are, or as %2F.",
    "alloc_id": "The allocation's id, or the begin of it.",
    "eval_id": "The evaluation's id: that of its allocation.",
    "name": "The site's name.",
    "node_id": "The id by which Nomad's clients know a site.",
    "accessor": "The token's public id.",
}


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    settings = json_schema()
    definitions = settings.pop("$defs", {})
    schemas = {**REQUESTS, **ANSWERS, **definitions, "Settings": settings}
    text = json.dumps(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "jobferry",
                "version": "1",
                "description": "Batch jobs on on-premises computers; shaped like Nomad's HTTP API. "
                "Requests are signed with SigV4 for `execute-api`, or bear an API token or a JWT "
                "where the deployment takes them.",
            },
            "paths": _paths(),
            "components": {
                "schemas": schemas,
                "securitySchemes": {
                    "iam": {
                        "type": "apiKey",
                        "in": "header",
                        "name": "Authorization",
                        "description": "AWS Signature Version 4 for the service execute-api.",
                    },
                    "token": {"type": "apiKey", "in": "header", "name": "X-Nomad-Token"},
                    "bearer": {"type": "http", "scheme": "bearer"},
                },
            },
            "security": [{"iam": []}, {"token": []}, {"bearer": []}],
        }
    ).replace("#/$defs/", "#/components/schemas/")
    return dict(json.loads(text))


def _paths() -> dict[str, Any]:
    paths: dict[str, Any] = {}
    for route in ROUTES:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route)
    return paths


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": route.name,
        "summary": route.summary,
        "x-access": route.access.value,
        "parameters": [
            *(_path_parameter(name) for name in re.findall(r"\{(\w+)\}", route.path)),
            *(_query_parameter(parameter) for parameter in route.parameters),
        ],
        "responses": _responses(route),
    }
    if route.method != "GET" and route.repeatable:
        operation["parameters"].append(
            {
                "name": "Idempotency-Key",
                "in": "header",
                "description": "Makes the request repeatable for a day.",
                "schema": {"type": "string", "minLength": 1, "maxLength": MAX_KEY},
            }
        )
    if route.body is not None:
        operation["requestBody"] = {"required": True, "content": _json(route.body)}
    return operation


def _path_parameter(name: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": _ABOUT_PATH[name],
        "schema": {"type": "string", "minLength": 1, "pattern": _IN_PATH.get(name, _WORD)},
    }


def _query_parameter(parameter: Parameter) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": parameter.kind}
    if parameter.choices:
        schema["enum"] = list(parameter.choices)
    if parameter.kind == "integer":
        schema |= {"minimum": parameter.least, "maximum": parameter.most}
    return {
        "name": parameter.name,
        "in": "query",
        "required": parameter.required,
        "description": parameter.description,
        "schema": schema,
    }


def _responses(route: Route) -> dict[str, Any]:
    responses: dict[str, Any] = {}
    for status, schema in route.answers.items():
        responses[str(status)] = {
            "description": "A redirection to the file." if status == 307 else route.summary,
            "content": _BYTES if schema is None else _json(schema),
        }
        headers = _headers(route, status)
        if headers:
            responses[str(status)]["headers"] = headers
    refusals = _REFUSALS | (_OF_WRITES if route.method != "GET" else {})
    for status, text in refusals.items():
        responses[str(status)] = {"description": text, "content": _json("Error")}
    return responses


def _headers(route: Route, status: int) -> dict[str, Any]:
    names = {}
    if any(parameter.name == "next_token" for parameter in route.parameters):
        names[NEXT_PAGE] = "The next page's next_token, if there may be one."
    if route.name in ("readFileAt", "streamFile", "readLogs"):
        names[NEXT_OFFSET] = "The offset behind what was answered."
    if status == 307:
        names["Location"] = "Where the whole file is, for an hour at most."
    return {
        name: {"description": text, "schema": {"type": "string"}} for name, text in names.items()
    }


def _json(schema: str) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{schema}"}}}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(document(), indent=2, ensure_ascii=False) + "\n")
