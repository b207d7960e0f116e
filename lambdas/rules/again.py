"""The allocation that runs a job again with the inputs that were recorded for it."""

from __future__ import annotations

from job_protocol.allocation import Allocation
from job_protocol.audit_chain import head_of
from job_protocol.elements import ElementsError


def again(
    ended: Allocation,
    *,
    id_: str,
    run: int,
    attempt: int,
    now: int,
    principal: str,
    not_before: int | None = None,
) -> Allocation:
    """The allocation that follows one that has ended.

    Of an array, the elements that are complete are kept, and the others run in the same job
    directory; every other job starts in a new one.

    Args:
        ended: the allocation that has ended.
        id_: the new one's id.
        run: the job's run that it belongs to.
        attempt: its number within the run.
        now: seconds since the epoch.
        principal: who causes it.
        not_before: when it may be claimed, in seconds since the epoch.
    """
    try:
        elements = ended.known_elements
    except ElementsError:  # nothing is known of any: all of them run
        elements = None
    return Allocation(
        site=ended.site,
        job=ended.job,
        id=id_,
        run=run,
        attempt=attempt,
        created=now,
        not_before=not_before,
        settings=ended.settings,
        manifest=ended.manifest,
        manifest_of=ended.manifest_of,
        principal=principal,
        before=ended.id,
        previous=head_of(ended),
        keep_days=ended.keep_days,
        elements=elements.again().pack() if elements is not None else None,
        continues=(ended.continues or ended.id) if ended.settings.array is not None else None,
    )
