"""Brings what a job needs into its directory: the recorded inputs, then the artifacts it names."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from job_protocol import object_keys
from job_protocol.allocation import Allocation
from job_protocol.elements import ElementsError
from job_protocol.manifest import MAX_UNPACKED, Manifest, ManifestError
from job_protocol.states import ClientStatus
from puller.array_state import tasks_of
from puller.bucket import VersionGone
from puller.continuing import go_on, missing_of
from puller.errors import Refused, StagingError
from puller.job_directory import JobDirectory, control_directory
from puller.journal import Record, told
from puller.lifecycle import Lifecycle
from puller.staging import stage

_LOG = logging.getLogger(__name__)


class Bringing:
    """What comes into the job directories of one installation."""

    def __init__(self, lifecycle: Lifecycle) -> None:
        """Stage what `lifecycle` has claimed."""
        self._lifecycle = lifecycle
        self._place = lifecycle.place
        self._guard = lifecycle.guard

    def stage(self, record: Record) -> Record | None:
        """Fetch the inputs. Ends the allocation if they can never be had.

        Raises:
            StagingError: they cannot be had now.
        """
        allocation = record.allocation
        if problems := object_keys.job_id_problems(allocation.job):
            return self._lifecycle.end_unsubmitted(
                record,
                ClientStatus.FAILED,
                f"{problems[0].problem}, so it can have no directory here; {problems[0].remedy}",
            )
        try:
            tasks_of(allocation, self._place.scheduler.task_numbers)
            manifest = self.manifest_of(allocation)
            jobs_dir = self._place.settings.jobs_dir
            directory = self._guard.staging_directory(record)
            # A site with a policy verifies all that lies in a directory: it starts in a new one.
            origin = None if self._guard.in_force else allocation.continues
            if origin is not None and directory.is_left_by(origin, allocation.id):
                own = control_directory(jobs_dir, allocation.id)
                go_on(directory, origin, allocation.id, own)
                _LOG.info("%s: goes on in %s", told(record), directory.path)
            prepared = directory.prepare(
                allocation.id,
                datetime.fromtimestamp(self._place.clock(), UTC),
                origin=origin,
            )
            if prepared.moved_to is not None:
                _LOG.info("%s: put what lay there aside as %s", told(record), prepared.moved_to)
            control = control_directory(jobs_dir, allocation.id)
            if self._guard.in_force:
                from puller.artifacts import remove_artifacts

                # Nobody signed them by their paths: they come again when the rest is verified.
                remove_artifacts(directory, control)
            # What is verified gets a mode of its own: a link into the cache would give it to all.
            cache = None if self._guard.in_force else self._lifecycle.cache
            missing = (
                manifest
                if origin is None
                else missing_of(manifest, control, allocation.settings.sweep)
            )
            stage(missing, directory, control, self._place.bucket, cache=cache)
        except ElementsError as error:
            problem = f"the elements of the array cannot be submitted: {error}"
            return self._lifecycle.end_unsubmitted(record, ClientStatus.FAILED, problem)
        except (VersionGone, ManifestError) as error:
            return self._lifecycle.end_unsubmitted(
                record, ClientStatus.FAILED, f"the manifest of inputs cannot be read: {error}"
            )
        except StagingError as error:
            if not error.final:
                raise
            return self._lifecycle.end_unsubmitted(record, ClientStatus.FAILED, str(error))
        return record

    def bring_artifacts(self, record: Record) -> Record | None:
        """Fetch what an admitted job names. Ends the allocation if it can never be had.

        Raises:
            StagingError: it cannot be had now.
            CloudUnreachable, CloudRefused: see `puller.errors`.
        """
        allocation = record.allocation
        if not allocation.settings.artifacts:
            return record
        from puller.artifacts import stage_artifacts  # few jobs name any

        jobs_dir = self._place.settings.jobs_dir
        try:
            self._guard.check_artifacts(allocation.settings.artifacts)
            stage_artifacts(
                allocation.settings.artifacts,
                [entry.path for entry in self.manifest_of(allocation).entries],
                JobDirectory(jobs_dir, allocation.job),
                control_directory(jobs_dir, allocation.id),
                self._place.artifact_sources(),
                self._place.clock(),
            )
        except (VersionGone, ManifestError, Refused) as error:
            refused = isinstance(error, Refused)
            return self._lifecycle.end_unsubmitted(
                record, ClientStatus.FAILED, str(error), refused=refused
            )
        except StagingError as error:
            if not error.final:
                raise
            return self._lifecycle.end_unsubmitted(record, ClientStatus.FAILED, str(error))
        return record

    def manifest_of(self, allocation: Allocation) -> Manifest:
        """The inputs of an allocation.

        Raises:
            VersionGone, ManifestError: it cannot be read, now or ever.
            CloudUnreachable, CloudRefused: see `puller.errors`.
        """
        if allocation.manifest is not None:
            return Manifest.unpack(allocation.manifest)
        key = object_keys.input_manifest_key(allocation.manifest_of or allocation.id)
        return Manifest.from_json(self._place.bucket.read(key, MAX_UNPACKED))
