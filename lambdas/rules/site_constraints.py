"""Whether a site fulfils a Nomad job's constraints, as far as the site has told of itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from job_protocol.object_keys import Problem
from nomad_jobs.run_script.constraints import constraint_problems, has_constraints


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a site's attributes say of a job's constraints.

    Attributes:
        problems: the constraints that are not fulfilled.
        warnings: why they were not judged, if they were not.
    """

    problems: tuple[Problem, ...] = ()
    warnings: tuple[str, ...] = ()


def judge(job: Mapping[str, Any], site: str, attributes: Mapping[str, str] | None) -> Judgement:
    """Judge the constraints of a job that may be registered.

    Args:
        job: the `Job` object.
        site: the site's name.
        attributes: what it tells of itself; None if it has told nothing.
    """
    if not has_constraints(job):
        return Judgement()
    if attributes is None:
        why = "its puller has told nothing of the site yet"
        return Judgement(warnings=(f"the constraints were not judged for site {site}: {why}",))
    found = constraint_problems(job, attributes)
    return Judgement(
        tuple(Problem(f"site {site}: {one.key}", one.problem, one.remedy) for one in found)
    )
