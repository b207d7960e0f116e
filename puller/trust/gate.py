"""The gate between staging and submission: what the site's policy does not allow stays outside.

Where there is a policy, inputs are staged apart, in the allocation's control directory, and come to
the job's own path only when all of them are known to be what was signed. So nothing unsigned ever
lies where a job that runs could read it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from job_protocol.object_keys import SCRIPT
from puller.errors import NotNow, Refused
from puller.job_directory import JobDirectory, control_directory
from puller.journal import Phase, Record, told
from puller.trust.bounds import (
    Bounds,
    artifact_problem,
    bounded,
    check_directives,
    check_drivers,
    handed_on,
    with_nodes,
)
from puller.trust.disk_use import DiskUse
from puller.trust.policy import Policy, load_policy
from puller.trust.quotas import Days, Quotas
from puller.trust.staged_bytes import sha256_of
from puller.trust.verification import Verification
from puller.workplace import Workplace
from puller.wrapper import MAX_SCRIPT, split_script

_LOG = logging.getLogger(__name__)

_APART = "unverified"
_PLACED = "placed"
_UNSUBMITTED = (Phase.CLAIMING, Phase.STAGING)
_ACTIVE = (Phase.STAGING, Phase.SUBMITTING, Phase.SUBMITTED)
"""Of those that hold a directory: `staging` is about to be submitted by another thread."""


class Gate:
    """The gate of one installation. Its threads share it."""

    def __init__(self, place: Workplace) -> None:
        """Guard the submissions of a workplace whose settings name a policy."""
        self._place = place
        self._verification = Verification(place.settings, place.clock)
        self._days = Days(place.settings.state)
        self._disk = DiskUse(place.settings.jobs_dir, place.settings.state, place.clock)
        self._lock = threading.Lock()
        self._taken: set[str] = set()

    def policy(self) -> Policy:
        """The policy as it stands now.

        Raises:
            PolicyBroken: it cannot be used.
        """
        path = self._place.settings.policy
        return Policy() if path is None else load_policy(path)

    def staging_directory(self, record: Record) -> JobDirectory:
        """Where the inputs of an allocation are staged.

        Raises:
            OSError, UnsafePath: it cannot be made ready.
        """
        self._place.settings.jobs_dir.mkdir(parents=True, exist_ok=True)
        apart = self._apart(record)
        real = self._real(record)
        if self._was_placed(record) and real.owner() == record.id != apart.owner():
            # It was never submitted: a pass died before that, or the scheduler had no room.
            apart.take_place(real, self._now())
        return apart

    def admit(self, record: Record) -> Record:
        """Let a staged allocation pass, with the settings that count; its files go to their place.

        Raises:
            Refused: it may never be submitted.
            NotNow: not in this pass.
            OSError, UnsafePath: the disk does not give or take what is needed.
        """
        policy = self.policy()
        site = self._place.settings.site
        apart = self._apart(record)
        if apart.owner() != record.id:
            raise NotNow(
                "the site's policy came while it was staged; the next pass stages it again"
            )
        try:
            signed = None
            settings, bounds = record.allocation.settings, policy.bounds
            if policy.signatures_required:
                signed = self._verification.verified(record, apart, policy)
                settings, bounds = signed.settings, with_nodes(bounds, signed.max_nodes)
            self._check_script(apart, policy, bounds)
            check_drivers(settings, policy.drivers)
            allocation = replace(record.allocation, settings=bounded(settings, bounds))
            record = replace(record, allocation=allocation)
            self._keep_waiting(policy)
            if signed is not None:
                record = replace(record, signer=signed.signer)
                number, most = self._verification.count(record, apart, signed)
                _LOG.info(
                    "%s: signed by %s, run %d of %d", told(record), signed.signer, number, most
                )
        except Refused as refusal:
            raise Refused(f"refused by the policy of site {site}: {refusal}") from refusal
        self._bring_to_its_place(record, apart, policy.quotas)
        return self._place.journal.write(record)

    def handed_on(self, environment: Mapping[str, str]) -> Mapping[str, str]:
        """What a job gets of its user's login environment."""
        return handed_on(environment, self.policy().environment)

    def artifact_problem(self, host: str, checksum: str | None) -> str | None:
        """Why a job may not fetch an artifact, a sentence; None if it may.

        Args:
            host: the host of its source.
            checksum: its checksum, if the job states one.
        """
        policy = self.policy()
        problem = artifact_problem(
            host, checksum, hosts=policy.artifact_hosts, signed=policy.signatures_required
        )
        site = self._place.settings.site
        return None if problem is None else f"refused by the policy of site {site}: {problem}"

    def take_back(self, record: Record) -> None:
        """Do not count the run of an allocation for which the scheduler surely had no room."""
        directory = self._real(record)
        policy = self.policy()
        if directory.owner() == record.id and policy.signatures_required:
            self._verification.take_back(record, directory, policy)

    # ---- rules ----

    def _check_script(self, apart: JobDirectory, policy: Policy, bounds: Bounds) -> None:
        if policy.scripts is not None:
            digest = sha256_of(apart.tree, SCRIPT)
            if digest not in policy.scripts:
                raise Refused(
                    f"the SHA-256 of {SCRIPT} is not among those that may run (scripts); the "
                    f"site's administrator can add 'sha256:{digest}'"
                )
        if bounds != Bounds():
            script = apart.tree.read(SCRIPT, MAX_SCRIPT).decode(errors="surrogateescape")
            scheduler = self._place.scheduler
            stated = split_script(
                script,
                scheduler.directive_prefixes,
                anywhere=scheduler.declared_places(script).anywhere,
            )
            check_directives(stated.directives, scheduler.name, bounds)

    # ---- quotas ----

    def _keep_waiting(self, policy: Policy) -> None:
        """Whether it is quiet, or the disk is full, as far as the policy says."""
        now = self._now().astimezone()
        for span in policy.quiet_hours:
            if span.contain(now.time()):
                raise NotNow(f"the site's policy lets nothing begin in {span} (quiet_hours)")
        most = policy.quotas.disk
        if most is not None and (used := self._disk.used(self._running())) >= most:
            raise NotNow(
                f"the jobs directory holds {used} bytes, and the site's policy allows {most} "
                "(disk); the site's administrator can remove what has ended: jobferry-puller clean"
            )

    def _running(self) -> frozenset[Path]:
        return frozenset(
            self._real(held).path
            for held in self._place.journal.glance()
            if held.phase not in _UNSUBMITTED
        )

    def check_leaving(self) -> None:
        """Whether results may leave the site now.

        Raises:
            NotNow: as many left today as the policy allows.
        """
        most = self.policy().quotas.bytes_out_a_day
        if most is None:
            return
        gone = sum(self._days.today(self._now().astimezone()).bytes_out.values())
        if gone >= most:
            raise NotNow(
                f"{gone} bytes of results left the site today, and its policy allows {most} "
                "(bytes_out_a_day); the results wait for tomorrow"
            )

    def note_left(self, allocation: str, size: int) -> None:
        """Count the results of an allocation that have left."""
        self._days.left(allocation, size, self._now().astimezone())

    # ---- places ----

    def _bring_to_its_place(self, record: Record, apart: JobDirectory, quotas: Quotas) -> None:
        """Move the verified directory to the job's path, unless a job that may run is there.

        The cloud names the job: it could offer a further allocation of one that waits in the
        scheduler's queue, or one whose id lies inside another's, and so exchange its files.
        """
        job = record.allocation.job
        with self._lock:
            held = [
                one
                for one in self._place.journal.glance()
                if one.id != record.id and (one.phase not in _UNSUBMITTED or one.id in self._taken)
            ]
            for other in held:
                if overlap(job, other.allocation.job):
                    raise NotNow(
                        f"{told(other)} is still held at this site, and its "
                        f"directory is, contains or lies in that of {job!r}"
                    )
            active = sum(1 for one in held if one.phase in _ACTIVE)
            if quotas.active_jobs is not None and active >= quotas.active_jobs:
                raise NotNow(
                    f"{active} jobs are active, which is all that the site's policy allows "
                    "(active_jobs)"
                )
            self._days.submit(record.token, self._now().astimezone(), quotas.jobs_a_day)
            control_directory(self._place.settings.jobs_dir, record.id).write(_PLACED, b"")
            moved_to = self._real(record).take_place(apart, self._now())
            self._taken.add(record.id)
        if moved_to is not None:
            _LOG.info("%s: put what lay there aside as %s", told(record), moved_to)

    def _real(self, record: Record) -> JobDirectory:
        return JobDirectory(self._place.settings.jobs_dir, record.allocation.job)

    def _apart(self, record: Record) -> JobDirectory:
        control = control_directory(self._place.settings.jobs_dir, record.id)
        with control.folder(_APART, create=True):
            return JobDirectory(control.path / _APART, record.allocation.job)

    def _was_placed(self, record: Record) -> bool:
        """Whether its files came to their place; what has ended has no control directory any more.

        Else the directory there holds results, even if the cloud offers the same allocation again.
        """
        try:
            control_directory(self._place.settings.jobs_dir, record.id).lstat(_PLACED)
        except FileNotFoundError:
            return False
        return True

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._place.clock(), UTC)


def overlap(job: str, other: str) -> bool:
    """Whether the directory of one job is, contains or lies in that of the other."""
    return f"{job}/".startswith(f"{other}/") or f"{other}/".startswith(f"{job}/")
