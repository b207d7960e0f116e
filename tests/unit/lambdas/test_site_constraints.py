"""Whether a site takes a job with constraints."""

from __future__ import annotations

from typing import Any

import pytest

from lambdas.rules.site_constraints import judge
from tests.unit.nomad_jobs.run_script.rendered import job, shell

LINUX = {"attr.kernel.name": "linux"}
WANTS_WINDOWS = [{"LTarget": "${attr.kernel.name}", "Operand": "=", "RTarget": "windows"}]


@pytest.mark.parametrize(
    "specification",
    [
        job(shell("true"), Constraints=WANTS_WINDOWS),
        job(shell("true", Constraints=WANTS_WINDOWS)),
    ],
)
def test_a_constraint_that_the_site_does_not_fulfil_is_told(specification: dict[str, Any]) -> None:
    found = {one.key: one.problem for one in judge(specification, "dc1", LINUX).problems}
    assert found
    for key, problem in found.items():
        assert key.startswith("site dc1: ")
        assert problem.endswith("is not fulfilled: the site has 'linux'")


def test_a_site_that_has_told_nothing_is_not_judged_but_warned_of() -> None:
    judgement = judge(job(shell("true"), Constraints=WANTS_WINDOWS), "dc1", None)
    assert judgement.problems == ()
    assert "not judged for site dc1" in judgement.warnings[0]


def test_without_constraints_nothing_is_said() -> None:
    judgement = judge(job(shell("true")), "dc1", None)
    assert (judgement.problems, judgement.warnings) == ((), ())
