"""Parses JSON texts of users: job files and variable files in JSON."""

from __future__ import annotations

import json
from typing import Any

from nomad_jobs.job_file.bodies import MAX_TEXT
from nomad_jobs.job_file.problems import HclError


def parsed_json(text: str) -> dict[str, Any]:
    """The JSON object that is the whole text.

    Raises:
        HclError: it is none, or too large.
    """
    if len(text) > MAX_TEXT:
        raise HclError(f"the file has more than {MAX_TEXT} characters", line=1)
    try:
        document = json.loads(text.lstrip("\ufeff"), parse_constant=_no_number)
    except ValueError as error:
        raise HclError(f"this is no JSON: {error}", line=getattr(error, "lineno", 1)) from None
    if not isinstance(document, dict):
        raise HclError("this is no JSON object", line=1)
    return document


def _no_number(word: str) -> None:
    raise ValueError(f"{word} is no number")
