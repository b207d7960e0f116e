"""Keys in a site's bucket: the only place that builds, parses and judges them.

Names that begin with `aws-job-` directly under a job id, which is the prefix, are the protocol's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

STATUS_WORD = "aws-job-stat.txt"
STATUS_DETAILS = "aws-job-stat.json"
SCRIPT = "aws-job-run.sh"
SETTINGS = "aws-job.json"
SIGNED = "aws-job-signed.txt"
"""What the user signed (see `signed_manifest`), and beside it the signature."""
SIGNATURE = "aws-job-signed.txt.sig"
STDOUT = "aws-job-stdout.txt"
STDERR = "aws-job-stderr.txt"
OWNER_MARK = "aws-job-allocation.json"
"""On the site only: says which allocation a job directory belongs to."""

TOP_OF_BUCKET = "."
"""Stands for the job id of a mark at the top of the bucket, which has none."""

EMPTY_PREFIX = "/"
"""Stands for the empty job id of the mark `/aws-job-stat.txt`."""

_NAMELESS = re.compile(r"\.?/+")
"""What stands for a prefix of slashes alone, with a dot before it or not: the prefix and `/`."""

RESERVED_PREFIX = "aws-job-"
OWN_PREFIX = "_jobferry/"
PULLER_FILE = f"{OWN_PREFIX}puller/jobferry-puller"
"""The puller's single file, as the last deployment built it."""

SITE_CONTROL_DIR = ".jobferry"
"""On the site only: the puller's own folder inside the jobs directory."""

MAX_SEGMENT_BYTES = 255
MAX_JOB_ID_BYTES = 512
MAX_KEY_BYTES = 1024

STATUS_STEM = "aws-job-stat."
STATUS_NAMES = frozenset({STATUS_WORD, STATUS_DETAILS})
_LOG = re.compile(r"aws-job-(stdout|stderr)(\.(0|[1-9][0-9]{0,6}))?\.txt")  # the puller's
SIGNATURE_NAMES = frozenset({SIGNED, SIGNATURE})
INPUT_PROTOCOL_NAMES = frozenset({SCRIPT}) | SIGNATURE_NAMES
"""Names with the reserved prefix that a user uploads as an input (`aws-job.json` has none)."""

API_WORDS = frozenset(
    {
        "allocations",
        "deployment",
        "deployments",
        "dispatch",
        "evaluate",
        "evaluations",
        "events",
        "force",
        "periodic",
        "plan",
        "retry",
        "scale",
        "stable",
        "start",
        "summary",
        "versions",
        "wait",
    }
)
"""Actions of the HTTP API; the last segment of a job id may not be one of them."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason for a rejection.

    Attributes:
        key: the object key (or job id) that it is about.
        problem: what is wrong, a sentence.
        remedy: what to do, a sentence.
    """

    key: str
    problem: str
    remedy: str


def input_key(job_id: str, path: str) -> str:
    """The key of an input or a result: `path` is relative to the job directory."""
    return f"{job_id}/{path}"


def status_word_key(job_id: str) -> str:
    """The key of the job's `aws-job-stat.txt`."""
    return _protocol_key(job_id, STATUS_WORD)


def status_details_key(job_id: str) -> str:
    """The key of the job's `aws-job-stat.json`."""
    return _protocol_key(job_id, STATUS_DETAILS)


def _protocol_key(job_id: str, name: str) -> str:
    if job_id == TOP_OF_BUCKET:
        return name
    return f"{job_id}{name}" if _NAMELESS.fullmatch(job_id) else f"{job_id}/{name}"


def input_manifest_key(allocation_id: str) -> str:
    """Where a manifest of inputs lies that is too large for the job table."""
    return f"{OWN_PREFIX}manifests/{allocation_id}.json"


def specification_key(registered: str, name: str) -> str:
    """Where a version of a registered job lies, as it was stated.

    Args:
        registered: `identifiers.registered` of the job.
        name: the version's own name (see `job.Registration`); `*` matches all.
    """
    return f"{OWN_PREFIX}specs/{registered}/{name}.json"


def template_input_key(registered: str, name: str, path: str = SCRIPT) -> str:
    """Where an input of all children of a template's version lies: its script, its signature."""
    return f"{OWN_PREFIX}scripts/{registered}/{name}.{'sh' if path == SCRIPT else path}"


def announcement_key(upload: str) -> str:
    """Where a submission lies whose larger files are still to come.

    It is beside the manifests, where the control plane alone may write.
    """
    return f"{OWN_PREFIX}manifests/{upload}.announced.json"


def result_report_key(allocation_id: str) -> str:
    """Where the full list of what was left out lies when it is too long for the job table."""
    return f"{OWN_PREFIX}results/{allocation_id}.json"


def job_of_mark(key: str) -> str | None:
    """The job id of a key that ends in `aws-job-stat.txt`, or None if it is no such key.

    The id comes back as it stands, valid or not, but never empty (see `TOP_OF_BUCKET` and
    `EMPTY_PREFIX`), so that even a mark in a wrong place can be answered.
    """
    if key == STATUS_WORD:
        return TOP_OF_BUCKET
    suffix = f"/{STATUS_WORD}"
    if not key.endswith(suffix):
        return None
    prefix = key.removesuffix(suffix)
    return f"{prefix}/" if _NAMELESS.fullmatch(f"{prefix}/") else prefix


def relative_path(job_id: str, key: str) -> str:
    """The path inside the job directory of a key under the job's prefix.

    Raises:
        ValueError: the key is not under the prefix.
    """
    prefix = f"{job_id}/"
    if not key.startswith(prefix):
        raise ValueError(f"key {key!r} is not under {prefix!r}")
    return key[len(prefix) :]


def ancestors(job_id: str) -> list[str]:
    """The folders above a job id, outermost first: `a/b/c` has `a` and `a/b`."""
    parts = job_id.split("/")
    return ["/".join(parts[:n]) for n in range(1, len(parts))]


def _control_character(text: str) -> str | None:
    for char in text:
        if unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp"):
            return char
    return None


def _unsafe_segment(segment: str) -> tuple[str, str] | None:
    """What makes a path segment unsafe on a Unix file system, and the remedy."""
    if segment == "":
        return "has an empty path segment (two slashes in a row, or one at an end)", (
            "remove the extra slash"
        )
    if segment in (".", ".."):
        return f"contains the path segment {segment!r}", "use a plain relative path"
    if (char := _control_character(segment)) is not None:
        return f"contains the control character U+{ord(char):04X}", "rename it without that"
    if len(segment.encode("utf-8", "surrogatepass")) > MAX_SEGMENT_BYTES:
        return f"has a path segment of more than {MAX_SEGMENT_BYTES} bytes", "shorten it"
    return None


def job_id_problems(job_id: str) -> list[Problem]:
    """Every reason why `job_id` cannot name a job; an empty list if it can."""
    if job_id in ("", TOP_OF_BUCKET) or _NAMELESS.fullmatch(job_id):
        return [
            Problem(
                _protocol_key(job_id or EMPTY_PREFIX, STATUS_WORD),
                f"{STATUS_WORD} lies under no prefix, so the job has no name",
                f"upload to s3://BUCKET/JOB/{STATUS_WORD}; "
                "perhaps a shell variable with the job's name was empty",
            )
        ]
    found: list[Problem] = []
    segments = job_id.split("/")
    for segment in segments:
        if (unsafe := _unsafe_segment(segment)) is not None:
            found.append(Problem(job_id, f"job id {job_id!r} {unsafe[0]}", unsafe[1]))
        elif segment.startswith(RESERVED_PREFIX):
            found.append(
                Problem(
                    job_id,
                    f"job id {job_id!r} has the segment {segment!r}, which the protocol reserves",
                    f"choose a name that does not begin with {RESERVED_PREFIX!r}",
                )
            )
    if len(job_id.encode("utf-8", "surrogatepass")) > MAX_JOB_ID_BYTES:
        found.append(
            Problem(job_id, f"the job id is longer than {MAX_JOB_ID_BYTES} bytes", "shorten it")
        )
    if segments[0] in (OWN_PREFIX.rstrip("/"), SITE_CONTROL_DIR):
        found.append(
            Problem(job_id, f"{segments[0]!r} is jobferry's own folder", "choose another name")
        )
    if segments[-1] in API_WORDS:
        found.append(
            Problem(
                job_id,
                f"the last segment {segments[-1]!r} of the job id is a word of the API",
                "choose another name",
            )
        )
    return found


def is_protocol_name(path: str) -> bool:
    """Whether a relative path is one of the protocol's names directly under the job id."""
    return "/" not in path and path.startswith(RESERVED_PREFIX)


def is_log(path: str) -> bool:
    """Whether a relative path is a log of the job's, or of an element of its array."""
    return _LOG.fullmatch(path) is not None


def element_log(name: str, index: int) -> str:
    """The log of one element.

    Args:
        name: `STDOUT` or `STDERR`.
        index: the element's index.
    """
    return f"{name.removesuffix('.txt')}.{index}.txt"


def may_be_pushed(path: str) -> bool:
    """Whether the puller may write this relative path as a result.

    A status name at any depth never (IAM denies the puller every key with a segment that begins
    so); a reserved name directly under the job id only if it is a log of the puller's.
    """
    if any(segment.startswith(STATUS_STEM) for segment in path.split("/")):
        return False
    return not is_protocol_name(path) or is_log(path)


def shared_key_problem(job_id: str, key: str) -> tuple[str, str] | None:
    """Why a user's job cannot have this key as a shared input, and the remedy; None if it can.

    Args:
        job_id: the job that wants it.
        key: the object, or a folder if it ends in `/`.
    """
    segments = key.removesuffix("/").split("/")
    if (unsafe := next((u for s in segments if (u := _unsafe_segment(s))), None)) is not None:
        return f"the key {key!r} {unsafe[0]}", unsafe[1]
    if len(key.encode("utf-8", "surrogatepass")) > MAX_KEY_BYTES:
        return f"the key is longer than {MAX_KEY_BYTES} bytes", "shorten it"
    if f"{key}/".startswith(OWN_PREFIX):
        return f"{key!r} lies in jobferry's own folder", "name an object of yours"
    if f"{key}/".startswith(input_key(job_id, "")):
        return f"{key!r} lies under the job's own prefix", (
            "leave it out: what lies there is an input already"
        )
    if input_key(job_id, "").startswith(key) and key.endswith("/"):
        return f"the folder {key!r} contains the job itself", "name a folder beside the job"
    if any(segment.startswith(STATUS_STEM) for segment in segments):
        return f"{key!r} is a status object, which changes all the time", "name another object"
    return None


def in_shared_folder(path: str) -> bool:
    """Whether what lies at this path below a shared folder belongs to it.

    The protocol's own objects do not, so that a whole job can be named: its files and results come.
    """
    segments = path.removesuffix("/").split("/")
    if any(segment.startswith(STATUS_STEM) for segment in segments):
        return False
    return segments[-1] not in ("", SCRIPT, SETTINGS, STDOUT, STDERR)


def input_path_problems(job_id: str, paths: Iterable[str]) -> list[Problem]:
    """Every reason why these relative paths cannot become one job directory.

    Args:
        job_id: the job, for the keys in the messages.
        paths: relative paths; one that ends in `/` is an empty folder.
    """
    found: list[Problem] = []
    files: set[str] = set()
    folders: set[str] = set()
    for path in paths:
        key = input_key(job_id, path)
        trimmed = path.removesuffix("/")
        segments = trimmed.split("/")
        unsafe = next((u for s in segments if (u := _unsafe_segment(s)) is not None), None)
        if unsafe is not None:
            found.append(Problem(key, f"the key {unsafe[0]}", unsafe[1]))
            continue
        if segments[-1] in STATUS_NAMES or (
            is_protocol_name(trimmed) and trimmed not in INPUT_PROTOCOL_NAMES
        ):
            found.append(
                Problem(
                    key,
                    f"{segments[-1]!r} is a name of the protocol",
                    f"delete it, or rename it so that it does not begin with {RESERVED_PREFIX!r}",
                )
            )
            continue
        (folders if path.endswith("/") else files).add(trimmed)
        folders.update(ancestors(trimmed))
    for both in sorted(files & folders):
        found.append(
            Problem(
                input_key(job_id, both),
                "the key is a file, and other keys lie under it as under a folder",
                "delete or rename one of them: a path on the site is either a file or a folder",
            )
        )
    return found
