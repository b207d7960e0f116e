"""One job from upload to quiet, with a puller that is killed once; and what must hold then."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.e2e.site import ADMITTED, DEAD, Site
from tests.kill_points.launcher import Launcher, Pass
from tests.kill_points.scenarios import Scenario

_BETWEEN_PASSES = 0.5
_PATIENCE = 120.0


class Lost(AssertionError):
    """What must hold does not."""


@dataclass
class JobLife:
    """A job of a scenario on a site.

    Attributes:
        kill_at: the number of the boundary, counted over all passes of the last run, at which a
            pass is killed; None for never.
        crossed: the boundaries up to there, or all of them.
        killed: whether a pass was killed.
    """

    site: Site
    launcher: Launcher
    scenario: Scenario
    job_id: str
    kill_at: int | None = None
    crossed: list[str] = field(default_factory=list)
    killed: bool = False
    _counting: bool = False
    _stop_asked: bool = False

    @property
    def ledger(self) -> Path:
        return self.site.home / f"{self.job_id}.ledger"

    def live(self) -> None:
        """Upload, pass until dead and quiet, and check what must hold."""
        for run in range(1, self.scenario.runs + 1):
            if run == 1:
                self.scenario.upload(self.site, self.job_id, str(self.ledger))
            else:
                self.site.mark(self.job_id, "FILE_UPLOAD")
            self.site.wait_for(self.job_id, *ADMITTED)
            self._counting = run == self.scenario.runs
            self._until_dead(run)
        self._until_quiet()
        self._counting = False
        self._check()

    def _until_dead(self, run: int) -> None:
        deadline = time.monotonic() + _PATIENCE
        while (word := self.site.word(self.job_id)) not in DEAD or self._run() != run:
            if time.monotonic() > deadline:
                raise Lost(f"it is still {word}\n{self._story()}")
            self._pass()
            self._stop_once_it_runs()
            self._wait_for_news()

    def _run(self) -> int:
        return int(self.site.details(self.job_id)["run"])

    def _until_quiet(self) -> None:
        deadline = time.monotonic() + _PATIENCE
        while leftovers := list(self._held()):
            if time.monotonic() > deadline:
                raise Lost(f"the puller still holds {leftovers}\n{self._story()}")
            self._pass()

    def _pass(self) -> Pass:
        kill_at = None
        if self._counting and self.kill_at is not None and not self.killed:
            kill_at = self.kill_at - len(self.crossed)
        done = self.launcher.run(
            ["--settings", str(self.site.settings_file), "pass"],
            self.site.cron_environment(),
            self.site.home,
            kill_at,
        )
        if self._counting and not self.killed:
            self.crossed += done.crossed
        self.killed = self.killed or done.killed
        if not done.killed and done.code != 0:
            raise Lost(f"a pass ended with {done.code}\n{self._story()}")
        return done

    def _stop_once_it_runs(self) -> None:
        if self.scenario.stop and not self._stop_asked and self._executions():
            self.site.mark(self.job_id, "JOB_STOP")
            time.sleep(0.5)
            self._stop_asked = True

    def _wait_for_news(self) -> None:
        """Until the job's records have changed, or a moment: idle passes would be all alike."""
        before = self._records()
        until = time.monotonic() + _BETWEEN_PASSES
        while time.monotonic() < until and self._records() == before:
            time.sleep(0.02)

    def _records(self) -> set[str]:
        names: set[str] = set()
        for _, _, files in os.walk(self._control_root):
            names |= {name for name in files if name in ("start", "exit", "local-end")}
        return names

    @property
    def _control_root(self) -> Path:
        return self.site.jobs_dir / ".jobferry/alloc"

    def _executions(self) -> int:
        return len(self.ledger.read_text().splitlines()) if self.ledger.exists() else 0

    # ---- what must hold ----

    def _check(self) -> None:
        scenario = self.scenario
        problems: list[str] = []
        if (ran := self._executions()) != scenario.executions:
            problems.append(f"it ran {ran} times, not {scenario.executions}")
        if scenario.lines and sorted(self.ledger.read_text().split()) != list(scenario.lines):
            problems.append(f"its executions were {self.ledger.read_text().split()}")
        if (word := self.site.word(self.job_id)) != scenario.word:
            problems.append(f"its word is {word}, not {scenario.word}")
        allocation = self.site.details(self.job_id)["allocation"]
        if scenario.exit_code is not None and allocation.get("exit_code") != scenario.exit_code:
            problems.append(f"its exit code is {allocation.get('exit_code')}")
        keys = self.site.keys(self.job_id)
        for path, content in scenario.results.items():
            if path not in keys:
                problems.append(f"{path} is not in the bucket")
            elif (found := self.site.get(f"{self.job_id}/{path}")) != content:
                problems.append(f"{path} is {found!r} in the bucket")
        problems += self._held()
        earlier = self.site.jobs_dir / ".jobferry/earlier" / self.job_id
        aside = len(list(earlier.iterdir())) if earlier.exists() else 0
        expected = scenario.executions - 1 if scenario.aside is None else scenario.aside
        if aside != expected:
            problems.append(f"{aside} earlier directories were put aside")
        if problems:
            raise Lost("; ".join(problems) + f"\n{self._story()}")

    def _held(self) -> Iterator[str]:
        """What a puller that is done with all jobs must not hold any more."""
        state, locks = self.site.home / "state", self.site.home / "locks"
        for folder in (state / "journal", self._control_root):
            if folder.exists():
                yield from (f"{folder.name}/{entry.name}" for entry in folder.iterdir())
        for lock in locks.iterdir() if locks.exists() else ():
            if lock.suffix == ".submit":
                yield f"locks/{lock.name}"
            with lock.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield f"the lock {lock.name}"

    def _story(self) -> str:
        """What the puller wrote of this job, for a message."""
        log = [line for line in self.site.log.splitlines() if repr(self.job_id) in line]
        details = self.site.details(self.job_id)
        return "\n".join([*self.crossed[-6:], *log[-12:], str(details)])
