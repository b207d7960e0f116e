"""What is wrong with the job script of an upload, by the rules of the control plane."""

from __future__ import annotations

from pathlib import Path

from job_protocol.object_keys import SCRIPT, Problem
from job_protocol.script_rules import script_problems, size_problem


def problems_here(source: Path, script: Path | None) -> list[Problem]:
    """Why the job could not be admitted for its script; the messages name the file here.

    Args:
        source: what is submitted.
        script: the file that becomes the job script, if there is one.
    """
    if script is None:
        return [
            Problem(
                str(source / SCRIPT),
                "the job script is missing",
                f"name the script {SCRIPT}, or submit it alone: jobferry submit SCRIPT",
            )
        ]
    try:
        wrong = size_problem(str(script), script.stat().st_size)
        return [wrong] if wrong else script_problems(str(script), script.read_bytes())
    except OSError as error:
        return [Problem(str(script), f"it cannot be read ({error})", "check its permissions")]
