"""Routes that make children of templates: dispatch, and the launch of a periodic job by force."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from job_protocol import identifiers
from job_protocol.dispatch_file import PAYLOAD_PATH
from job_protocol.job import Job
from job_protocol.states import JobKind
from lambdas.announcing import Announced
from lambdas.children import Wanted, token_hash
from lambdas.errors import Conflict, Refused, refused_fields
from lambdas.ports.specifications import Version
from lambdas.routes import templating, writing
from lambdas.routes.registration import refused, refused_run
from lambdas.routes.route import Answer, Call
from lambdas.rules import dispatch as rules
from lambdas.rules.dispatch import Dispatch
from lambdas.rules.dispatch_sweep import sweep_problems
from lambdas.rules.submission import AnnouncedFile
from lambdas.rules.submission_form import read_announced
from nomad_jobs.run_script.render import JobRefused

_TRIES = 8
_MAX_TOKEN = 255


def dispatch(call: Call) -> Answer:
    """Dispatch a parameterized job; a large payload is announced, and put by the client."""
    body = call.body if isinstance(call.body, Mapping) else {}
    template = call.services.job(call.job_id, call.query, call.identity)
    children = templating.children(call.services, template.site)
    if template.kind is not JobKind.PARAMETERIZED or template.registration is None:
        raise _nomads(f'Specified job "{template.id}" is not a parameterized job')
    version = children.specification(template)
    payload, announced = _payload(body.get("Payload")), _announced(body)
    token = _token(call, body)
    asked = Dispatch(
        meta=_meta(body.get("Meta")),
        payload_size=announced.size if announced is not None else len(payload),
        in_bucket=announced is not None,
        id_prefix=_text(body, "IdPrefixTemplate"),
        idempotency_token=token,
        priority=_number(body, "Priority"),
    )
    table, rows = _text(body, "Sweep"), tuple[dict[str, str], ...]()
    if table and template.launches:
        rows = _rows(call, template, version, asked, table)
    elif message := rules.refusal(version.job, asked, stopped=not template.launches):
        raise _nomads(message)
    wanted = replace(
        _wanted(call, template, asked, payload),
        rows=rows,
        max_running=_number(body, "MaxRunning") or None,
    )
    try:
        if announced is not None:
            kept = children.announce(template, version, wanted, announced)
            return Answer(
                body={"ID": kept.job_id, "Site": template.site, "Upload": kept.upload}, status=202
            )
        return Answer(body=_dispatched(call, children.create(template, version, wanted)))
    except JobRefused as error:
        raise refused_run(error) from error


def with_payload_request(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The answer with a fresh URL for the payload that is still to come."""
    if "Upload" not in body:
        return body
    announced = Announced(job_id=body["ID"], upload=body["Upload"])
    return {
        **body,
        "Uploads": writing.submitting(call.services, body["Site"]).announcing.requests(announced),
    }


def _wanted(call: Call, template: Job, asked: Dispatch, payload: bytes) -> Wanted:
    token = asked.idempotency_token
    cause = token or call.key
    random_hex = identifiers.child(template.site, template.id, cause).replace("-", "")
    try:
        child = rules.child_id(template.id, asked, now=call.services.clock(), random_hex=random_hex)
    except ValueError as error:
        raise Refused(400, str(error), "correct IdPrefixTemplate") from error
    return Wanted(
        id=child,
        cause=cause,
        meta=asked.meta,
        payload=payload,
        submitter=call.identity.name,
        priority=asked.priority or None,
        token=token_hash(template.site, template.id, token) if token else None,
    )


def _token(call: Call, body: Mapping[str, Any]) -> str:
    """The idempotency token: of the query, the body (either spelling), or the header."""
    for stated in (
        call.query.get("idempotency_token"),
        body.get("IdempotencyToken"),
        body.get("idempotency_token"),
    ):
        if stated:
            if not isinstance(stated, str) or len(stated) > _MAX_TOKEN:
                raise Refused(
                    400, f"the idempotency token is no text of at most {_MAX_TOKEN}", "use a UUID"
                )
            return stated
    return call.key if call.repeatable else ""


def _payload(stated: object) -> bytes:
    if stated is None or stated == "":
        return b""
    if not isinstance(stated, str):
        raise Refused(400, "Payload must be a text", "state the payload in base64")
    try:
        return base64.b64decode(stated, validate=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(
            400, f"Payload is no base64: {error}", "encode the payload in base64, as Nomad wants it"
        ) from error


def _announced(body: Mapping[str, Any]) -> AnnouncedFile | None:
    """The payload that the client puts itself, if it does.

    Raises:
        Refused: it is not described well.
    """
    stated = body.get("PayloadUpload")
    if stated is None:
        return None
    if body.get("Payload"):
        raise Refused(400, "both Payload and PayloadUpload", "state one of them")
    if not isinstance(stated, Mapping):
        raise Refused(400, "PayloadUpload must be an object", "state Size and SHA256")
    file, problems = read_announced({**stated, "Path": PAYLOAD_PATH})
    if file is None:
        raise refused_fields(problems)
    return file


def _meta(stated: object) -> dict[str, str]:
    if stated is None:
        return {}
    if isinstance(stated, Mapping) and all(
        isinstance(part, str) for pair in stated.items() for part in pair
    ):
        return dict(stated)
    raise Refused(400, "Meta must be an object of texts", 'as in {"Meta": {"key": "value"}}')


def _rows(
    call: Call, template: Job, version: Version, asked: Dispatch, table: str
) -> tuple[dict[str, str], ...]:
    if template.registration is not None and template.registration.signed is not None:
        raise Refused(
            400,
            f"{template.id!r} is signed, and a sweep runs another script than the signed one",
            "dispatch each row by itself, or sign an array: jobferry submit --sweep --sign",
        )
    limits = call.services.sites[template.site].limits
    rows, problems = sweep_problems(version.job, asked, table, most_elements=limits.array)
    if problems:
        raise refused(problems)
    return rows


def _number(body: Mapping[str, Any], name: str) -> int:
    stated = body.get(name)
    if stated is None:
        return 0
    if isinstance(stated, bool) or not isinstance(stated, int) or stated < 0:
        raise Refused(400, f"{name} must be a whole number", "correct it")
    return stated


def _text(body: Mapping[str, Any], name: str) -> str:
    stated = body.get(name)
    if stated is not None and not isinstance(stated, str):
        raise Refused(400, f"{name} must be a text", "correct it")
    return stated or ""


def _nomads(message: str) -> Refused:
    if message.endswith("is stopped"):
        return Refused(400, message, "register it again")
    return Refused(400, message, "see the job's parameterized block: GET /v1/job/ID")


def _dispatched(call: Call, child: Job) -> dict[str, Any]:
    waiting = call.services.turns.sentence(child)
    return {
        "DispatchedJobID": child.id,
        "EvalID": child.current or "",
        "EvalCreateIndex": 1,
        "JobCreateIndex": 1,
        "Index": child.rev,
        "Site": child.site,
        "Waiting": [waiting] if waiting is not None else [],
    }


def force(call: Call) -> Answer:
    """Launch a periodic job now, whatever else of it runs."""
    for _ in range(_TRIES):
        template = call.services.job(call.job_id, call.query, call.identity)
        if template.kind is not JobKind.PERIODIC or template.registration is None:
            raise Refused(
                400, "can't force launch non-periodic job", "dispatch it, or register it again"
            )
        if not template.launches:
            message = f'can\'t force run non-tracked job "{template.id}" (default)'
            raise Refused(400, message, "register it again: it was stopped")
        launching = templating.launching(call.services, template.site)
        try:
            version: Version = launching.children.specification(template)
            child = launching.force(template, version, submitter=call.identity.name)
        except Conflict:
            continue
        except JobRefused as error:
            raise refused_run(error) from error
        return Answer(
            body={
                "EvalID": child.current or "",
                "EvalCreateIndex": 1,
                "Index": child.rev,
                "DispatchedJobID": child.id,
            }
        )
    raise Conflict(f"job {call.job_id!r} kept changing")
