"""JSON Schemas of what the HTTP API gives about the registration of Nomad jobs."""

from __future__ import annotations

from typing import Any

from lambdas.rules.schema_notation import given, opened

_TIME = "UTC, ISO 8601."
_ID = ("string", "The job id: the prefix in the site's bucket.")
_INDEX = ("integer", "As in Nomad.")

REGISTRATION_ANSWERS: dict[str, dict[str, Any]] = {
    "Registered": given(
        "A job that was registered.",
        EvalID=("string", "Of a batch job its allocation, of a template empty."),
        EvalCreateIndex=_INDEX,
        JobModifyIndex=("integer", "To be stated to change just this."),
        Warnings=("string", "What it states in vain, each in a line."),
        Index=_INDEX,
        LastContact=_INDEX,
        KnownLeader=("boolean", "As in Nomad."),
        ID=_ID,
        Site=("string", "The site."),
        Ran=("boolean", "Whether a run was created: not of a template, nor of an unchanged job."),
    ),
    "Specification": opened("The `Job` object of Nomad's API.", ID=_ID),
    "Validation": given(
        "Whether a job may be registered.",
        DriverConfigValidated=("boolean", "As in Nomad."),
        ValidationErrors=("[string]?", "Every reason why not."),
        Error=("string", "All reasons in one text; empty if it may."),
        Warnings=("string", "What it states in vain, each in a line."),
    ),
    "Plan": given(
        "What registering a job would change.",
        Annotations=("{}", "By task group: how many allocations would come and go."),
        CreatedEvals=("[{}]?", "As in Nomad."),
        Diff=("{}?", "The difference, if it was asked for."),
        FailedTGAllocs=("{}?", "As in Nomad."),
        JobModifyIndex=("integer", "To be stated to change just this; 0 if it is not there."),
        NextPeriodicLaunch=("string?", _TIME),
        Warnings=("string", "What it states in vain, each in a line."),
    ),
    "Versions": given(
        "The registered versions of a job.",
        Versions=("[{}]", "Each a `Job` object; the newest first, six at most."),
        Diffs=("[{}]?", "As in Nomad."),
    ),
    "Dispatched": given(
        "A child that was made by a dispatch.",
        DispatchedJobID=_ID,
        EvalID=("string", "Its allocation."),
        EvalCreateIndex=_INDEX,
        JobCreateIndex=_INDEX,
        Index=_INDEX,
        Site=("string", "The site."),
        Waiting=("[string]", "Why it may not start yet (`max_active`); empty if it may."),
    ),
    "Forced": given(
        "A child that was launched by force.",
        EvalID=("string", "Its allocation."),
        EvalCreateIndex=_INDEX,
        Index=_INDEX,
        DispatchedJobID=_ID,
    ),
}
