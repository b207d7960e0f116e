"""JSON Schemas of what the HTTP API takes."""

from __future__ import annotations

from typing import Any

from lambdas.rules.schema_notation import taken


def _nomads(about: str, required: tuple[str, ...], **fields: tuple[str, str]) -> dict[str, Any]:
    """The schema of what Nomad's clients send: they say more than is read here."""
    return {**taken(about, required, **fields), "additionalProperties": True}


REQUESTS: dict[str, dict[str, Any]] = {
    "ScriptJob": taken(
        "A script to run, with its files.",
        ("Script",),
        ID=("string", "The job id; without one, jobferry makes one."),
        Site=("string", "The site; without one, the default."),
        Datacenters=("[string]", "Several sites: the first that is alive and has room."),
        Script=("string", "The content of `aws-job-run.sh`; begins with `#!`."),
        Files=("[InlineFile]", "Small files; a request may have 6 MB in all."),
        Uploads=("[AnnouncedFile]", "Larger files, which the client puts into the bucket."),
        Settings=("Settings", "The settings, unless `Files` has `aws-job.json` itself."),
        TaskToken=("string", "A task token of Step Functions, answered at the job's end."),
    ),
    "InlineFile": taken(
        "A small file.",
        ("Path",),
        Path=("string", "Its path in the job directory."),
        Content=("string", "Its content."),
        Encoding=("string", "`utf-8`, or `base64` for bytes."),
        Mode=("string", 'Its file mode in octal, as in "0755".'),
    ),
    "AnnouncedFile": taken(
        "A file that the client puts into the bucket itself.",
        ("Path", "Size"),
        Path=("string", "Its path in the job directory."),
        Size=("integer", "Bytes."),
        SHA256=("string", "Of the whole file, in hexadecimal or base64."),
        PartSize=("integer", "Bytes of each part but the last, for files over 5 GiB."),
        PartSHA256=("[string]", "Of each part, in order."),
        Mode=("string", 'Its file mode in octal, as in "0755".'),
    ),
    "Start": taken(
        "Starts a submission whose files have been put.",
        ("Upload",),
        Upload=("string", "The id of the submission."),
        TaskToken=("string", "A task token of Step Functions, answered at the job's end."),
    ),
    "NomadJob": _nomads(
        "A Nomad job to register, validate or plan.",
        ("Job",),
        Job=("{}", "The `Job` object of Nomad's API."),
        EnforceIndex=("boolean", "Whether JobModifyIndex must be the job's."),
        JobModifyIndex=("integer", "That of the plan; 0 for a job that must not exist yet."),
        Diff=("boolean", "Of a plan: whether to show the difference."),
        Signed=("SignedJob", "Of a registration: what somebody signed of the job."),
    ),
    "SignedJob": taken(
        "A signed document; its format is in docs/signing.md.",
        ("Document", "Signature"),
        Document=("string", "The document."),
        Signature=("string", "What `ssh-keygen -Y sign -n jobferry` makes of it."),
    ),
    "JobFile": _nomads(
        "A job file to read.",
        ("JobHCL",),
        JobHCL=("string", "Its text: HCL, or Nomad's JSON."),
        Canonicalize=("boolean", "Whether to fill in Nomad's defaults."),
        Variables=("string", "The text of a variable file."),
        VariableFiles=("[VariableFile]", "Further ones; later ones win."),
        VariableFlags=("{}", "Single values by name, which win over files: texts, or HCL."),
    ),
    "VariableFile": taken(
        "A file of variables.",
        ("Name", "Text"),
        Name=("string", "Its name, for messages."),
        Text=("string", "`name = value` lines, or a JSON object."),
    ),
    "Dispatch": _nomads(
        "A dispatch of a parameterized job.",
        (),
        Payload=("string?", "The payload in base64, at most 16 KiB before that."),
        PayloadUpload=("PayloadUpload", "A larger payload, which the client puts."),
        Meta=("{}?", "Metadata by key."),
        IdPrefixTemplate=("string?", "Words for the child's id."),
        Priority=("integer?", "1 to 100; without it (or 0) the job's."),
        Sweep=(
            "string?",
            "CSV: the child is an array, and each element has a row's values as metadata.",
        ),
        MaxRunning=("integer?", "How many elements of a sweep run at once at most."),
        IdempotencyToken=("string?", "Two dispatches of one job with the same token are one."),
    ),
    "PayloadUpload": taken(
        "A payload that the client puts into the bucket itself.",
        ("Size",),
        Size=("integer", "Bytes, at most 5 GiB."),
        SHA256=("string", "Of the payload, in hexadecimal or base64."),
    ),
    "NewToken": taken(
        "An API token to make.",
        ("Name", "Scopes"),
        Name=("string", "What it is for; a job's Submitter shows it."),
        Scopes=("[string]", "`read`, `submit`."),
        Sites=("[string]", "The sites that it may use; without any, all."),
        ExpirationTTL=("integer", "Seconds until it expires; without it, never."),
    ),
}
