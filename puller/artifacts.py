"""Fetches a job's artifacts, one after another, with patience for what cannot be had just now."""

from __future__ import annotations

import os
from collections.abc import Collection, Sequence
from contextlib import suppress

from job_protocol.artifact_plan import read_artifact
from job_protocol.artifact_source import ArtifactProblem
from job_protocol.job_settings import Artifact
from puller import artifact_patience
from puller.artifact_part import ArtifactUnfinished
from puller.artifact_staging import ArtifactSources, ArtifactStaging
from puller.confined_tree import ConfinedTree, folder_of, name_of
from puller.errors import ArtifactRefused, ArtifactUnavailable, StagingError, UnsafePath
from puller.file_record import FileRecord
from puller.job_directory import JobDirectory
from puller.linking import remove_file
from puller.staging import BAD_PATH, artifact_records, staging_error


def stage_artifacts(
    artifacts: Sequence[Artifact],
    inputs: Collection[str],
    directory: JobDirectory,
    control: ConfinedTree,
    sources: ArtifactSources,
    now: float,
) -> None:
    """Bring every artifact of a job into its directory, after its inputs.

    Args:
        artifacts: what the job names.
        inputs: the paths of its inputs, which no artifact may replace.
        directory: the job directory, prepared for the allocation.
        control: the allocation's control directory, on the same file system.
        sources: how this site fetches.
        now: seconds since the epoch.

    Raises:
        StagingError: an artifact cannot be had; `final` says whether it never can.
        CloudUnreachable, CloudRefused: see `puller.errors`.
    """
    taken = set(inputs)
    for number, artifact in enumerate(artifacts):
        # Without what follows "?": a signed URL is nothing for logs and status objects.
        source = artifact.source.partition("?")[0][:300]
        about = f"job {directory.job_id!r}: artifact {number + 1} ({source})"
        try:
            one = ArtifactStaging(number, read_artifact(artifact), directory, control, sources)
            if not one.settle():
                _wait_if_failed(control, now)
                one.fetch(taken)
                artifact_patience.succeeded(control)
            taken |= one.files()
        except ArtifactUnfinished as error:
            raise StagingError(f"{about}: {error}", final=False) from error
        except ArtifactUnavailable as error:
            raise _failed(f"{about}: {error}", control, sources.patience, now) from error
        except (ArtifactProblem, ArtifactRefused) as error:
            raise StagingError(f"{about}: {error}", final=True) from error
        except (OSError, UnsafePath) as error:
            if isinstance(error, OSError) and error.errno in BAD_PATH:
                raise StagingError(
                    f"{about}: a path in it cannot be made at {directory.path} ({error})",
                    final=True,
                ) from error
            raise staging_error(directory, None, error) from error


def remove_artifacts(directory: JobDirectory, control: ConfinedTree) -> None:
    """Remove what artifacts have brought into a job directory, so that they are fetched again.

    Args:
        directory: the job directory.
        control: the allocation's control directory.

    Raises:
        OSError, UnsafePath: something cannot be removed.
    """
    for name in artifact_records(control):
        record = FileRecord(control, name)
        for path in record.files:
            if not path.endswith("/"):
                remove_file(directory.tree, path)
        for path in sorted((p for p in record.files if p.endswith("/")), key=len, reverse=True):
            _remove_empty_folder(directory.tree, path[:-1])
        record.replace({})


def _remove_empty_folder(tree: ConfinedTree, path: str) -> None:
    with suppress(OSError), tree.folder(folder_of(path)) as folder:
        os.rmdir(name_of(path), dir_fd=folder)


def _wait_if_failed(control: ConfinedTree, now: float) -> None:
    failures = artifact_patience.load(control)
    if failures is not None and failures.must_wait(now):
        raise StagingError(failures.reason, final=False)


def _failed(what: str, control: ConfinedTree, patience: float, now: float) -> StagingError:
    reason = f"{what}; it is tried again for {patience:.0f} s, the site's artifact_patience"
    failures = artifact_patience.failed(control, now, reason)
    if not failures.over(now, patience):
        return StagingError(reason, final=False)
    return StagingError(
        f"{what}; it was tried for {patience:.0f} s, the site's artifact_patience; run the job "
        "again when the source can be reached",
        final=True,
    )
