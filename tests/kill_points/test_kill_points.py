"""Whatever instruction a pass is killed at, its job runs once and its results arrive.

`JOBFERRY_KILL_POINTS` is the number of points of each scenario, or `all` for every boundary there
is; without it, a small sample. Those around the submission are always among them.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import pytest

from tests.e2e.site import CHECKOUT, Site
from tests.kill_points.job_life import JobLife, Lost
from tests.kill_points.launcher import Launcher
from tests.kill_points.scenarios import SCENARIOS, SIGNED_ONCE, Scenario

pytestmark = [pytest.mark.emulator, pytest.mark.slurm]

_POINTS = os.environ.get("JOBFERRY_KILL_POINTS", "4")
_CHOICE = random.Random(20240229)  # noqa: S311 - a sample that can be repeated, no secret
_SUBMISSIONS = tuple(f"before command {name}" for name in ("setsid", "sbatch", "qsub"))
_SITES = ("dc1", "osaka")


def chosen_points(crossed: list[str]) -> list[int]:
    """The numbers of the boundaries to be killed at, in order."""
    every = range(1, len(crossed) + 1)
    if _POINTS == "all":
        return list(every)
    submission = next(n for n in every if crossed[n - 1] in _SUBMISSIONS)
    around = {submission, submission + 1, submission + 2}
    rest = [n for n in every if n not in around]
    return sorted(around.union(_CHOICE.sample(rest, min(len(rest), int(_POINTS) - len(around)))))


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.name)
def test_a_pass_that_is_killed_at_any_boundary_loses_and_repeats_nothing(
    scenario: Scenario,
    make_site: Callable[[str], Site],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    _kill(scenario, make_site, tmp_path, record_property)


@pytest.mark.parametrize("make_site", ["local"], indirect=True)
def test_what_is_signed_for_one_run_runs_once_at_whatever_boundary_a_pass_is_killed(
    make_site: Callable[[str], Site],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    _kill(SIGNED_ONCE, make_site, tmp_path, record_property)


def _kill(
    scenario: Scenario,
    make_site: Callable[[str], Site],
    tmp_path: Path,
    record_property: Callable[[str, object], None],
) -> None:
    """Live through a scenario, once for each of its points, killed there."""
    idle: SimpleQueue[tuple[Site, Launcher]] = SimpleQueue()
    stem = scenario.name.replace(" ", "-")

    def live(number: int | None) -> JobLife:
        site, launcher = idle.get()
        try:
            life = JobLife(site, launcher, scenario, f"{stem}-{site.scheduler}-{number}", number)
            life.live()
        finally:
            idle.put((site, launcher))
        return life

    def wrong_at(number: int) -> tuple[bool, str | None]:
        try:
            return live(number).killed, None
        except Lost as lost:
            return True, f"killed at boundary {number}: {lost}"

    with (
        Launcher(tmp_path / "one", CHECKOUT) as one,
        Launcher(tmp_path / "two", CHECKOUT) as two,
        ThreadPoolExecutor(len(_SITES)) as pool,
    ):
        for name, launcher in zip(_SITES, (one, two), strict=True):
            site = make_site(name)
            if scenario.schedulers and site.scheduler not in scenario.schedulers:
                pytest.skip(f"{scenario.name} is not played on {site.scheduler}")
            idle.put((site, launcher))
        crossed = live(None).crossed
        points = chosen_points(crossed)
        outcomes = list(pool.map(wrong_at, points))
    faults = [fault for _, fault in outcomes if fault is not None]
    record_property(
        "kill points",
        {
            "scheduler": idle.get()[0].scheduler,
            "scenario": scenario.name,
            "boundaries": len(crossed),
            "killed": sum(killed for killed, _ in outcomes),
            "wrong": len(faults),
        },
    )
    assert not faults, "\n\n".join(faults)
    assert sum(killed for killed, _ in outcomes) >= len(points) * 2 // 3
