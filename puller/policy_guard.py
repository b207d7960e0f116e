"""Asks the site's policy where there is one; a site without one imports nothing for it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from job_protocol.artifact_plan import read_artifact
from job_protocol.artifact_source import S3Source
from job_protocol.job_settings import Artifact
from puller.errors import NotNow, Refused, UnsafePath
from puller.job_directory import JobDirectory
from puller.journal import Phase, Record, told
from puller.workplace import Workplace

if TYPE_CHECKING:
    from puller.trust.gate import Gate

_LOG = logging.getLogger(__name__)


class PolicyGuard:
    """The policy of one installation, if its settings name one."""

    def __init__(self, place: Workplace) -> None:
        """Guard the submissions of a workplace."""
        self._place = place

    @property
    def in_force(self) -> bool:
        """Whether this site has a policy."""
        return self._place.settings.policy is not None

    @cached_property
    def _gate(self) -> Gate:
        from puller.trust.gate import Gate

        return Gate(self._place)

    @property
    def audit_objects(self) -> bool:
        """Whether each object that leaves the site is an entry of the audit log."""
        try:
            return self.in_force and self._gate.policy().audit_objects
        except NotNow:
            return True  # nobody knows: rather too much than too little

    def staging_directory(self, record: Record) -> JobDirectory:
        """Where the inputs of an allocation are staged.

        Raises:
            OSError, UnsafePath: it cannot be made ready.
        """
        if self.in_force:
            return self._gate.staging_directory(record)
        return JobDirectory(self._place.settings.jobs_dir, record.allocation.job)

    def admit(self, record: Record) -> Record:
        """A staged allocation as the policy admits it.

        Raises:
            Refused: it may never be submitted.
            NotNow: not in this pass.
        """
        return self._gate.admit(record) if self.in_force else record

    def check_artifacts(self, artifacts: Iterable[Artifact]) -> None:
        """Whether a job may fetch what it names.

        Raises:
            Refused: it may not; the sentence names the rule.
            NotNow: the policy cannot be used.
        """
        if not self.in_force:
            return
        for artifact in artifacts:
            origin = read_artifact(artifact).origin
            if isinstance(origin, S3Source):
                host = f"s3://{origin.bucket}"
            else:
                host = urlsplit(origin.url).hostname or ""
            if (problem := self._gate.artifact_problem(host, artifact.checksum)) is not None:
                raise Refused(problem)

    def take_back(self, record: Record) -> None:
        """Let a run be tried again whose submission the scheduler had no room for."""
        if not self.in_force:
            return
        try:
            self._gate.take_back(record)
        except (NotNow, Refused, UnsafePath, OSError) as error:
            _LOG.warning("%s: its run stays counted: %s", told(record), error)

    def handed_on(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """What a job gets of its user's login environment.

        Raises:
            NotNow: the policy cannot be used.
        """
        return self._gate.handed_on(environment) if self.in_force else environment

    def why_results_wait(self) -> str | None:
        """Why no results may leave now; None if they may. A policy that is broken says nothing."""
        if not self.in_force or self.problem() is not None:
            return None
        try:
            self._gate.check_leaving()
        except NotNow as waits:
            return str(waits)
        return None

    def note_left(self, record: Record, size: int) -> None:
        """Count the bytes of an allocation's results, which have left."""
        if not self.in_force:
            return
        try:
            self._gate.note_left(record.id, size)
        except NotNow as error:
            _LOG.error("%s: %s", told(record), error)

    def problem(self) -> str | None:
        """Why nothing may be submitted: the policy cannot be used. None if it can, or is none."""
        if not self.in_force:
            return None
        try:
            self._gate.policy()
        except NotNow as broken:
            return str(broken)
        return None

    def contradicts_end(self, record: Record) -> bool:
        """Whether an end that the table states contradicts a site that has to trust itself.

        Nobody but this installation ends what it has submitted. If it let go of a job that still
        waits in the scheduler's queue, that job's directory could be exchanged.
        """
        return self.in_force and record.phase in (Phase.SUBMITTING, Phase.SUBMITTED)
