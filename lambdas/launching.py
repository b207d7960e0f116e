"""Launches periodic jobs: what is due, each time once, whoever dies on the way."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from job_protocol.job import Job
from lambdas.children import Children, Wanted
from lambdas.errors import Conflict, LimitReached
from lambdas.ports.specifications import Version
from lambdas.rules.periodic import Periodic, Step, child_id, next_step
from lambdas.rules.status_document import iso
from nomad_jobs.run_script.render import JobRefused

_TRIES = 8
_MOST_STEPS = 16
"""Launches of one job by one trigger: three minutes hold four, and a force may come between."""
_CAUSE = "periodic"
"""Why a child was made: a launch forced in the second of a due time is that due time's."""


@dataclass(frozen=True, slots=True)
class Launching:
    """The launches of one site's periodic jobs.

    Attributes:
        children: the children of the site's templates.
        clock: the time in seconds since the epoch.
        tell: takes a sentence about a launch that was skipped, with the job's id.
    """

    children: Children
    clock: Callable[[], int]
    tell: Callable[[str, str], None]

    def launch(self, job_id: str) -> list[str]:
        """Launch what is due of a job.

        Args:
            job_id: the job.

        Returns:
            The children, in order of their times.

        Raises:
            Conflict: the job kept changing; the next trigger goes on.
            LimitReached: a limit of the site leaves no room; the launch stays due.
        """
        now = self.clock()
        launched: list[str] = []
        conflicts = 0
        for _ in range(_MOST_STEPS + _TRIES):
            template = self.children.runs.table.job(self.children.runs.site.name, job_id)
            if template is None or not template.launches or template.registration is None:
                break
            if template.next_due is None or template.next_due > now:
                break
            try:
                launched += self._step(template, now)
            except Conflict:
                conflicts += 1
                if conflicts == _TRIES:
                    raise
        return launched

    def _step(self, template: Job, now: int) -> list[str]:
        version = self.children.specification(template)
        periodic = Periodic.of_job(version.job["Periodic"])
        active = self._active(template)
        step = next_step(periodic, template.id, template.next_due, now, overlapping=bool(active))
        if step is None:
            # It was registered as disabled by a program that left next_due behind.
            self._advance(template, replace(template, rev=template.rev + 1, next_due=None))
            return []
        advanced = self._advanced(template, periodic, active, step)
        if step.child is None:
            self._advance(template, advanced)
            return []
        try:
            self._create(template, version, step.child, advanced, submitter=None)
        except JobRefused as error:
            # It would be tried for ever: this due time is passed over.
            self.tell(template.id, str(error))
            skipped = f"the launch of {iso(step.due)} was skipped: {error}"
            self._advance(template, replace(advanced, launched=active, note=skipped))
            return []
        except LimitReached as limit:
            waits = f"the launch of {iso(step.due)} waits: {limit}"
            if template.note != waits:
                told = replace(template, rev=template.rev + 1, note=waits)
                self._advance(template, told)
            raise
        return [step.child]

    def _advanced(
        self, template: Job, periodic: Periodic, active: tuple[str, ...], step: Step
    ) -> Job:
        born = (step.child,) if step.child is not None and periodic.prohibit_overlap else ()
        return replace(
            template,
            rev=template.rev + 1,
            next_due=step.next_due,
            note=template.note if step.child is None else None,
            launched=tuple(dict.fromkeys((*active, *born))),
        )

    def _active(self, template: Job) -> tuple[str, ...]:
        """Those of the children that the template has on its list that are not dead."""
        there = self.children.runs.table.jobs(template.site, list(template.launched))
        return tuple(one for one in template.launched if one in there and there[one].active)

    def _create(
        self, template: Job, version: Version, child: str, advanced: Job, submitter: str | None
    ) -> Job:
        wanted = Wanted(id=child, cause=_CAUSE, submitter=submitter, advanced=(template, advanced))
        made = self.children.create(template, version, wanted)
        now = self.children.runs.table.job(template.site, template.id)
        if now is not None and now.rev == template.rev:
            # The child was there already, so nothing has moved on: forced in this very second.
            self._advance(template, advanced)
        return made

    def _advance(self, template: Job, advanced: Job) -> None:
        self.children.runs.table.replace_job(template, advanced)

    def force(self, template: Job, version: Version, *, submitter: str) -> Job:
        """Launch a job now, whatever else of it runs; its due times stay as they are.

        Raises:
            JobRefused: it cannot be rendered.
            Conflict: the job changed meanwhile.
        """
        child = child_id(template.id, self.clock())
        if not Periodic.of_job(version.job["Periodic"]).prohibit_overlap:
            wanted = Wanted(id=child, cause=_CAUSE, submitter=submitter)
            return self.children.create(template, version, wanted)
        listed = tuple(dict.fromkeys((*self._active(template), child)))
        advanced = replace(template, rev=template.rev + 1, launched=listed)
        return self._create(template, version, child, advanced, submitter)
