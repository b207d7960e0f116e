"""Keys and index keys of the job table: the only place that builds and parses them."""

from __future__ import annotations

from dataclasses import dataclass

QUEUE_INDEX = "queue"
LIST_INDEX = "list"
DUE_INDEX = "due"

CONTROL_SORT_KEY = "CTL"
API_SORT_KEY = "API"
DISPATCH_SORT_KEY = "DISPATCH"
HEX_DIGITS = "0123456789abcdef"

_QUEUE_CONTROL = "0"
_QUEUE_STOP = "1"
_QUEUE_PURGE = "1#P"
"""Behind the stops; a puller that does not know it takes it for a stop of what it does not hold."""
_QUEUE_PENDING = "2"
_QUEUE_DEFERRED = "3"
_MAX_PRIORITY = 100
_TURN = "T"
"""Above the runs of dependency edges, which begin with digits."""


@dataclass(frozen=True, slots=True)
class Key:
    """The primary key of an item."""

    pk: str
    sk: str


def job(site: str, job_id: str) -> Key:
    """A job, folder, template or rejected upload."""
    return Key(f"J#{site}", job_id)


def allocation(site: str, allocation_id: str) -> Key:
    """An allocation; the first hex digit of its id (a hash) spreads a site over 16 partitions."""
    return Key(f"A#{site}#{allocation_id[0]}", allocation_id)


def heartbeat(site: str, installation: str) -> Key:
    """The sign of life of one installation of the puller."""
    return Key(f"S#{site}", installation)


def control(site: str) -> Key:
    """What an operator wants of a whole site (drain, least puller version)."""
    return Key(f"C#{site}", CONTROL_SORT_KEY)


def task_token(site: str, job_id: str, run: int) -> Key:
    """The task token of the workflow that waits for the end of a run."""
    return Key(f"T#{site}#{job_id}", f"{run:06d}")


def dependents(site: str, job_id: str) -> str:
    """The partition key of the jobs that wait, or waited, for a job."""
    return f"D#{site}#{job_id}"


def dependents_of_run(run: int) -> str:
    """What the sort keys of those that wait for one run of it begin with."""
    return f"{run:06d}#"


def dependent(site: str, job_id: str, run: int, *, waiting_site: str, waiting_job: str) -> Key:
    """The edge that says who waits for the end of a run.

    Args:
        site: the site of the job that is waited for.
        job_id: that job.
        run: the run of it.
        waiting_site: the site of the job that waits.
        waiting_job: that job.
    """
    return Key(dependents(site, job_id), f"{dependents_of_run(run)}{waiting_site}#{waiting_job}")


def waiting_job(edge_sort_key: str) -> tuple[str, str]:
    """Site and id of the job that an edge's sort key names. Site names contain no `#`."""
    _, site, job_id = edge_sort_key.split("#", 2)
    return site, job_id


def turn(site: str, parent: str, number: int, child: str) -> Key:
    """The place of a dispatch that waits until fewer children of its template are active.

    Args:
        site: the site.
        parent: the template.
        number: the lower, the earlier it was dispatched.
        child: the child that waits.
    """
    return Key(dependents(site, parent), f"{_turn(number)}#{child}")


def turns_between(after: int, before: int | None = None) -> tuple[str, str]:
    """Bounds of the sort keys of the places between two numbers, these excluded.

    Args:
        after: the lower number.
        before: the higher one; None for no bound.
    """
    return f"{_turn(after)}$", f"{_TURN}$" if before is None else f"{_turn(before)}#"


def turn_of(sort_key: str) -> tuple[int, str]:
    """Number and child of a place."""
    _, number, child = sort_key.split("#", 2)
    return int(number), child


def _turn(number: int) -> str:
    return f"{_TURN}#{number:012d}"


def api_token(secret_hash: str) -> Key:
    """An API token, by the SHA-256 of its secret in hexadecimal."""
    return Key(f"K#{secret_hash}", API_SORT_KEY)


def idempotency_partition(key_hash: str) -> str:
    """The partition key of what was answered to a write with an `Idempotency-Key`."""
    return f"I#{key_hash}"


def dispatch_token(token_hash: str) -> Key:
    """Which child a dispatch with an idempotency token made.

    Args:
        token_hash: SHA-256 of site, parent and token in hexadecimal.
    """
    return Key(idempotency_partition(token_hash), DISPATCH_SORT_KEY)


def children(parent: str) -> str:
    """What the sort keys of a template's children begin with, under the partition key of jobs."""
    return f"{parent}/"


def due_partition() -> str:
    """The due index's partition key: periodic jobs of all sites, by their next launch."""
    return "DUE"


def active_count(site: str, submitter: str | None) -> Key:
    """How many jobs of a site, or of one submitter there, have not ended; only where limited."""
    return Key(f"U#{site}", _counter("ACTIVE", submitter))


def day_count(site: str, day: str, submitter: str | None) -> Key:
    """What came to a site in a day (`2026-01-31`, UTC), from all or one; only where limited."""
    return Key(f"U#{site}", _counter(day, submitter))


def counter(site: str, sort_key: str) -> Key:
    """A counter of a site by its sort key."""
    return Key(f"U#{site}", sort_key)


def _counter(what: str, submitter: str | None) -> str:
    return what if submitter is None else f"{what}#{submitter}"


def allocation_partitions(site: str) -> list[str]:
    """All partition keys under which a site's allocations lie."""
    return [f"A#{site}#{digit}" for digit in HEX_DIGITS]


def heartbeat_partition(site: str) -> str:
    """The partition key of a site's heartbeats."""
    return f"S#{site}"


def site_of(pk: str) -> str:
    """The site that a partition key `X#site...` belongs to. Site names contain no `#`."""
    return pk.split("#")[1]


def is_job(pk: str) -> bool:
    """Whether the partition key is that of jobs."""
    return pk.startswith("J#")


def is_allocation(pk: str) -> bool:
    """Whether the partition key is that of allocations."""
    return pk.startswith("A#")


def is_heartbeat(pk: str) -> bool:
    """Whether the partition key is that of heartbeats."""
    return pk.startswith("S#")


def queue_partition(site: str) -> str:
    """The queue index's partition key: what needs the site's puller."""
    return f"Q#{site}"


def list_partition(site: str) -> str:
    """The list index's partition key: a site's jobs by time of submission."""
    return f"L#{site}"


def api_token_list() -> str:
    """The list index's partition key of all API tokens; a site's name is never empty."""
    return "K#"


def queue_control() -> str:
    """The queue sort key of the control row: always the first."""
    return _QUEUE_CONTROL


def queue_stop(time: int) -> str:
    """The queue sort key of a stop request.

    Args:
        time: when it was asked for, in seconds since the epoch.
    """
    return f"{_QUEUE_STOP}#{time:012d}"


def queue_purge(time: int) -> str:
    """The queue sort key of a request to remove a job's directories.

    Args:
        time: when it was asked for, in seconds since the epoch.
    """
    return f"{_QUEUE_PURGE}#{time:012d}"


def queue_pending(priority: int, created: int, not_before: int | None = None) -> str:
    """The queue sort key of an allocation that waits: by priority, then by age.

    Args:
        priority: 1 to 100, a higher one first (Nomad's rule).
        created: seconds since the epoch.
        not_before: seconds since the epoch; a deferred one sorts behind all others, by this time.
    """
    if not_before is not None:
        return f"{_QUEUE_DEFERRED}#{not_before:012d}"
    return f"{_QUEUE_PENDING}#{_MAX_PRIORITY - priority:03d}#{created:012d}"


def queue_pending_range() -> tuple[str, str]:
    """Bounds of the queue sort keys of everything that waits, deferred or not."""
    return f"{_QUEUE_PENDING}#", f"{_QUEUE_DEFERRED}$"


def is_stop(queue_sort_key: str) -> bool:
    """Whether the queue row is a stop request."""
    return queue_sort_key.startswith(f"{_QUEUE_STOP}#") and not is_purge(queue_sort_key)


def is_purge(queue_sort_key: str) -> bool:
    """Whether the queue row asks for the removal of a job's directories."""
    return queue_sort_key.startswith(f"{_QUEUE_PURGE}#")


def is_control(queue_sort_key: str) -> bool:
    """Whether the queue row is the site's control row."""
    return queue_sort_key == _QUEUE_CONTROL


def deferred_until(queue_sort_key: str) -> int | None:
    """The time in seconds since the epoch before which a deferred row is not due, else None."""
    kind, _, rest = queue_sort_key.partition("#")
    return int(rest) if kind == _QUEUE_DEFERRED else None


def listed(submitted: int, job_id: str) -> str:
    """The list index's sort key; read backwards it gives the newest job first."""
    return f"{submitted:012d}#{job_id}"


def listed_range(after: int, before: int) -> tuple[str, str]:
    """Bounds of the list index's sort keys of jobs submitted in a time.

    Args:
        after: the first second, since the epoch.
        before: the last second, included.
    """
    return f"{after:012d}#", f"{before:012d}$"
