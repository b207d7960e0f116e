"""Routes about a submission whose files are put by the client: what is missing, and its start."""

from __future__ import annotations

import re

from lambdas.errors import Refused
from lambdas.routes import templating, writing
from lambdas.routes.route import Answer, Call
from lambdas.routes.scripts import submitted
from lambdas.submitting import Submitter

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def missing_files(call: Call) -> Answer:
    """What of a submission has not arrived, and how to put it."""
    site = call.services.one_site(call.query, call.identity).name
    upload = _upload_id(call.query["upload"])
    requests = writing.submitting(call.services, site).announcing.missing(call.job_id, upload)
    body = {"ID": call.job_id, "Site": site, "Upload": upload, "Uploads": requests}
    return Answer(body=body)


def _upload_id(value: object) -> str:
    if not isinstance(value, str) or not _UUID.fullmatch(value):
        raise Refused(
            400, "Upload is missing or no id", "state the Upload that the submission answered"
        )
    return value


def start(call: Call) -> Answer:
    """Run a submission whose files have been put; their checksums are verified first."""
    body = call.body if isinstance(call.body, dict) else {}
    upload, task_token = _upload_id(body.get("Upload")), body.get("TaskToken")
    if task_token is not None and not (isinstance(task_token, str) and task_token):
        raise Refused(400, "TaskToken must be a text", "state it as Step Functions gave it")
    site = call.services.one_site(call.query, call.identity).name
    submitting = writing.submitting(call.services, site)
    kept = submitting.files.announced(upload)
    if kept is not None and kept["job"] == call.job_id and kept["dispatch"] is not None:
        children = templating.children(call.services, site)
        return Answer(body=submitted(children.start(kept, submitter=call.identity.name)))
    job = submitting.start(
        call.job_id,
        upload,
        submitter=Submitter(name=call.identity.name, key=call.key),
        task_token=task_token,
    )
    return Answer(body=submitted(job))
