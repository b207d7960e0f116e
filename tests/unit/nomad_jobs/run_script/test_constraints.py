"""Constraints over a site's attributes, and versions."""

from __future__ import annotations

import pytest

from nomad_jobs.run_script.constraints import constraint_problems
from nomad_jobs.run_script.versions import version_matches
from tests.unit.nomad_jobs.run_script.rendered import job, shell

SITE = {
    "attr.kernel.name": "linux",
    "attr.cpu.numcores": "16",
    "attr.os.version": "8.10",
    "attr.tags": "gpu, large",
    "node.datacenter": "dc1",
}


def fulfilled(left: str, operand: str, right: str) -> bool:
    constraint = {"LTarget": left, "Operand": operand, "RTarget": right}
    return not constraint_problems({**job(shell("true")), "Constraints": [constraint]}, SITE)


@pytest.mark.parametrize(
    ("left", "operand", "right", "expected"),
    [
        ("${attr.kernel.name}", "", "linux", True),
        ("${attr.kernel.name}", "=", "windows", False),
        ("${attr.kernel.name}", "!=", "windows", True),
        ("${attr.none}", "!=", "windows", True),
        ("${attr.none}", "=", "x", False),
        ("${attr.cpu.numcores}", ">", "9", True),
        ("${attr.cpu.numcores}", "<=", "15.5", False),
        ("${attr.kernel.name}", "<", "m", True),
        ("${attr.kernel.name}", "regexp", "^lin", True),
        ("${attr.kernel.name}", "regexp", "(", False),
        ("${attr.os.version}", "version", ">= 8.2, < 9", True),
        ("${attr.os.version}", "semver", "> 8.10", False),
        ("${attr.tags}", "set_contains", "large,gpu", True),
        ("${attr.tags}", "set_contains_all", "large,small", False),
        ("${attr.tags}", "set_contains_any", "small, gpu", True),
        ("${attr.none}", "is_set", "", False),
        ("${attr.none}", "is_not_set", "", True),
        ("", "distinct_hosts", "true", False),
        ("x", "almost", "x", False),
        ("x", "=", "x", True),
    ],
)
def test_each_operand_is_nomads(left: str, operand: str, right: str, expected: bool) -> None:
    assert fulfilled(left, operand, right) is expected


def test_a_problem_says_where_and_what_the_site_has() -> None:
    rule = {"LTarget": "${attr.kernel.name}", "Operand": "=", "RTarget": "windows"}
    specification = job(shell("true", Constraints=[rule]), Constraints=[rule])
    group, task = constraint_problems(specification, SITE)
    assert group.key == 'group "work"'
    assert task.key == 'group "work" task "main"'
    assert task.problem == (
        "the constraint ${attr.kernel.name} = windows is not fulfilled: the site has 'linux'"
    )


@pytest.mark.parametrize(
    ("version", "constraint", "expected"),
    [
        ("1.2", "1.2.0", True),
        ("1.10", "> 1.9", True),
        ("1.2.3", "~> 1.2", True),
        ("2.0", "~> 1.2", False),
        ("1.3", "~> 1.2.4", False),
        ("1.2.9", "~> 1.2.4", True),
        ("1.2-rc1", "< 1.2", False),
        ("1.2-rc.10", "> 1.2-rc.9", True),
        ("4.18.0-553.el8", ">= 4.18", False),
        ("1.2-rc1", "> 1.2-rc0", True),
        ("1.3-rc1", "> 1.2-rc0", False),
        ("1.2", "~> 1.2-rc1", False),
        ("4.18.0_x", ">= 4", None),
        ("1.2", "!= 1.2", False),
        ("x", "> 1", None),
        ("1", ">", None),
    ],
)
def test_versions_compare_as_versions(version: str, constraint: str, expected: bool | None) -> None:
    assert version_matches(version, constraint) is expected


def test_semver_keeps_prereleases_in_the_order() -> None:
    assert version_matches("1.2-rc1", "< 1.2", semver=True) is True
    assert version_matches("4.18.1-553.el8", ">= 4.18", semver=True) is True
