"""What a route is: its method and path, what it takes and gives, and the function that answers."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Literal

from lambdas.errors import Refused
from lambdas.routes.services import Services
from lambdas.rules.identity import Access, Identity

_PLACEHOLDER = re.compile(r"\{(\w+)\}")
_TRUE, _FALSE = ("true", "1", "t"), ("false", "0", "f", "")
JOB_ID = "job_id"
"""The placeholder that takes slashes, because a job id has them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A query parameter.

    Attributes:
        name: its name.
        description: what it does, a sentence.
        kind: its type.
        choices: the allowed values of a text, if they are limited.
        least, most: the bounds of a number.
        required: whether it must be there.
    """

    name: str
    description: str
    kind: Literal["string", "integer", "boolean"] = "string"
    choices: tuple[str, ...] = ()
    least: int = 0
    most: int = 2**53
    required: bool = False

    def read(self, text: str) -> str | int | bool:
        """The value of a text.

        Raises:
            Refused: it is none that this parameter takes.
        """
        match self.kind:
            case "integer":
                if re.fullmatch(r"[0-9]{1,16}", text) and self.least <= int(text) <= self.most:
                    return int(text)
                raise self._refused(text, f"a whole number from {self.least} to {self.most}")
            case "boolean":
                if text.lower() in _TRUE + _FALSE:
                    return text.lower() in _TRUE
                raise self._refused(text, "true or false")
        if self.choices and text not in self.choices:
            raise self._refused(text, f"one of: {', '.join(self.choices)}")
        return text

    def _refused(self, text: str, allowed: str) -> Refused:
        shown = text if len(text) <= 100 else f"{text[:100]}..."
        return Refused(400, f"{self.name} is {shown!r}", f"it must be {allowed}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a route answers.

    Attributes:
        body: a JSON value, or bytes as they are.
        status: the HTTP status code.
        headers: further headers.
        content_type: of bytes.
    """

    body: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to a route.

    Attributes:
        path: the values of the path's placeholders.
        query: the query parameters that the route knows, read.
        body: the JSON value of the body; None if there was none.
        identity: who calls.
        key: what tells this request from others: its `Idempotency-Key`, or the request's own id.
        repeatable: whether it has an `Idempotency-Key`.
        services: what the routes work with.
    """

    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    identity: Identity
    key: str
    repeatable: bool
    services: Services

    @property
    def job_id(self) -> str:
        """The job id in the path."""
        return self.path[JOB_ID]


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One route.

    Attributes:
        method, path: what it answers to; `{job_id}` takes slashes too.
        name: its operation id.
        summary: what it does, a sentence.
        access: what the caller must be allowed.
        run: where the function is that answers a call, as `module:name`. It is imported for the
            first request, so that a cold start loads nothing that few requests need.
        parameters: its query parameters.
        body: the schema of the request's body, by name.
        answers: the schema of the answer's body by status code; None for bytes.
        repeatable: whether a repeated `Idempotency-Key` gets the first answer again.
        finish: where the function is that makes the body that is sent of the one that is kept for
            a repetition, if they differ.
    """

    method: Literal["GET", "POST", "DELETE"]
    path: str
    name: str
    summary: str
    access: Access
    run: str
    parameters: tuple[Parameter, ...] = ()
    body: str | None = None
    answers: Mapping[int, str | None]
    repeatable: bool = True
    finish: str | None = None

    def runner(self) -> Callable[[Call], Answer]:
        """The function that answers a call."""
        found: Callable[[Call], Answer] = _imported(self.run)
        return found

    def finisher(self) -> Callable[[Call, dict[str, Any]], dict[str, Any]] | None:
        """The function that makes the body that is sent of the one that is kept."""
        return None if self.finish is None else _imported(self.finish)

    def match(self, path: str) -> dict[str, str] | None:
        """The values of the placeholders if the path is this route's, else None."""
        found = _pattern(self.path).fullmatch(path)
        return found.groupdict() if found else None

    def read_query(self, given: Mapping[str, str]) -> dict[str, Any]:
        """The parameters of a request, read; others (Nomad's clients send some) do not matter.

        Raises:
            Refused: one is wrong or missing.
        """
        found: dict[str, Any] = {}
        for parameter in self.parameters:
            if (text := given.get(parameter.name)) is not None:
                found[parameter.name] = parameter.read(text)
            elif parameter.required:
                raise Refused(400, f"{parameter.name} is missing", parameter.description)
        return found


def _imported(place: str) -> Any:
    module, _, name = place.partition(":")
    return getattr(import_module(module), name)


def _pattern(path: str) -> re.Pattern[str]:
    pieces = _PLACEHOLDER.split(path)
    regex = "".join(
        re.escape(piece)
        if index % 2 == 0
        else f"(?P<{piece}>{'.+' if piece == JOB_ID else '[^/]+'})"
        for index, piece in enumerate(pieces)
    )
    return re.compile(regex, re.DOTALL)


def json_text(value: Any) -> str:
    """The text of an answer."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
