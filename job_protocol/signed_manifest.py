"""The document that a user signs: which jobs may run on which site, until when, with which bytes.

`docs/signing.md` gives the format byte for byte. There is one way to write a document: what is read
is written again and must come out the same, so that no two texts mean one thing and no text two.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain, pairwise

from job_protocol import signed_runs
from job_protocol.dispatch_file import DISPATCH_PATH
from job_protocol.object_keys import (
    SCRIPT,
    SETTINGS,
    SIGNATURE_NAMES,
    input_path_problems,
    job_id_problems,
)
from job_protocol.signed_runs import Runs, SignedRunsError, is_child

NAMESPACE = "jobferry"
"""The namespace of the signature (`ssh-keygen -n`): one made for another purpose is none here."""

MAX_BYTES = 16 * 1024 * 1024
MAX_RUNS = 1_000_000

_FIRST_LINE = "jobferry-signed-job 1"
_SITE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_MODE = re.compile(r"-|[0-7]{3}")
_RUNS = re.compile(r"[1-9][0-9]{0,6}")
_TIME = "%Y-%m-%dT%H:%M:%SZ"


class SignedManifestError(ValueError):
    """A document that is no signed manifest, or that says what none can say."""


@dataclass(frozen=True, slots=True)
class SignedInput:
    """One input.

    Attributes:
        path: relative to the job directory; one that ends in `/` is an empty folder.
        sha256: of the content, in lower-case hex; None for a folder.
        mode: permission bits; None leaves them to the site's umask and the file's first bytes.
    """

    path: str
    sha256: str | None = None
    mode: int | None = None


@dataclass(frozen=True, slots=True)
class SignedJobs:
    """Jobs that run with the same inputs.

    Attributes:
        ids: job ids.
        patterns: patterns of job ids, in which `*` stands for any characters but `/`.
        runs: how often each of `ids` may run, and how often all jobs of one pattern, or all
            children of one template, together.
        inputs: all inputs, by path.
        parameterized, periodic: templates whose children may run.
        nomad: of a Nomad job, what its runs have in common and in what they may differ.
    """

    ids: tuple[str, ...]
    patterns: tuple[str, ...]
    runs: int
    inputs: tuple[SignedInput, ...]
    parameterized: tuple[str, ...] = ()
    periodic: tuple[str, ...] = ()
    nomad: Runs | None = None

    @property
    def templates(self) -> list[tuple[str, str]]:
        """Kind and id of the templates."""
        kinds = {"parameterized": self.parameterized, "periodic": self.periodic}
        return [(kind, template) for kind, ids in kinds.items() for template in ids]


@dataclass(frozen=True, slots=True)
class Covered:
    """What a document says of one job.

    Attributes:
        jobs: its runs and inputs.
        selector: the line that names it; runs are counted by it.
        template: the template that it is a child of, if it is one.
    """

    jobs: SignedJobs
    selector: str
    template: str | None = None


@dataclass(frozen=True, slots=True)
class SignedManifest:
    """The whole document. Times are whole seconds since the epoch.

    Attributes:
        site: the site on which it counts.
        signed: when it was made.
        expires: until when it counts.
        jobs: jobs with their inputs.
    """

    site: str
    signed: int
    expires: int
    jobs: tuple[SignedJobs, ...]

    def covering(self, job_id: str) -> Covered | None:
        """What it says of a job: the line with its id, else with its template, else a pattern."""
        for jobs in self.jobs:
            if job_id in jobs.ids:
                return Covered(jobs, f"job {job_id}")
        for jobs in self.jobs:
            for kind, template in jobs.templates:
                if is_child(kind, template, job_id):
                    return Covered(jobs, f"{kind} {template}", template)
        for jobs in self.jobs:
            for pattern in jobs.patterns:
                if _pattern(pattern).fullmatch(job_id):
                    return Covered(jobs, f"jobs {pattern}")
        return None

    def render(self) -> bytes:
        """The document to be signed.

        Raises:
            SignedManifestError: it says what no document can say.
        """
        _check(self)
        return _text(self).encode()

    @staticmethod
    def parse(document: bytes) -> SignedManifest:
        """Read a document.

        Raises:
            SignedManifestError: it is none, or not written in the one way there is.
        """
        if len(document) > MAX_BYTES:
            raise SignedManifestError(f"it has more than {MAX_BYTES} bytes")
        try:
            text = document.decode()
        except UnicodeDecodeError as error:
            raise SignedManifestError(f"it is not UTF-8 ({error})") from error
        manifest = _Reader(text).manifest()
        if manifest.render() != document:
            raise SignedManifestError("it is not written as docs/signing.md says")
        return manifest


def _pattern(pattern: str) -> re.Pattern[str]:
    first, *further = (re.escape(part) for part in pattern.split("*"))
    if not further:
        return re.compile(first)
    # Of what lies between two stars the first place is as good as any: no way back is kept, so
    # that many stars take no time beyond measure (as in `path_patterns`).
    between = "".join(f"(?>[^/]*?{part})" for part in further[:-1])
    return re.compile(f"{first}{between}[^/]*{further[-1]}")


def _text(manifest: SignedManifest) -> str:
    lines = [
        _FIRST_LINE,
        f"site {manifest.site}",
        f"signed {_time_text(manifest.signed)}",
        f"expires {_time_text(manifest.expires)}",
    ]
    for jobs in manifest.jobs:
        lines += [f"job {job_id}" for job_id in jobs.ids]
        lines += [f"jobs {pattern}" for pattern in jobs.patterns]
        lines += [f"{kind} {template}" for kind, template in jobs.templates]
        lines.append(f"runs {jobs.runs}")
        if jobs.nomad is not None:
            lines += signed_runs.lines_of(jobs.nomad)
        lines += [_input_text(one) for one in jobs.inputs]
    return "".join(f"{line}\n" for line in lines)


def _input_text(one: SignedInput) -> str:
    if one.sha256 is None:
        return f"folder {one.path}"
    return f"file {one.sha256} {'-' if one.mode is None else f'{one.mode:03o}'} {one.path}"


def _time_text(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(_TIME)
    except (OverflowError, ValueError, OSError) as error:
        raise SignedManifestError(f"{seconds} is no time ({error})") from error


def _check(manifest: SignedManifest) -> None:
    if not _SITE.fullmatch(manifest.site):
        raise SignedManifestError(f"{manifest.site!r} is no site's name")
    if manifest.expires <= manifest.signed:
        raise SignedManifestError("it expires before it is signed")
    if not manifest.jobs:
        raise SignedManifestError("it names no job")
    selectors = list(
        chain.from_iterable(
            (*jobs.ids, *jobs.patterns, *jobs.parameterized, *jobs.periodic)
            for jobs in manifest.jobs
        )
    )
    if len(set(selectors)) != len(selectors):
        raise SignedManifestError("it names a job twice")
    for jobs in manifest.jobs:
        _check_jobs(jobs)


def _check_jobs(jobs: SignedJobs) -> None:
    if not (jobs.ids or jobs.patterns or jobs.templates):
        raise SignedManifestError("inputs without a job")
    if not 1 <= jobs.runs <= MAX_RUNS:
        raise SignedManifestError(f"{jobs.runs} runs: from 1 to {MAX_RUNS}")
    if any("*" not in pattern for pattern in jobs.patterns):
        raise SignedManifestError("a pattern without *: name the job with a line `job`")
    templates = (template for _, template in jobs.templates)
    for name in (*jobs.ids, *(one.replace("*", "x") for one in jobs.patterns), *templates):
        if problems := job_id_problems(name):
            raise SignedManifestError(problems[0].problem)
    paths = [one.path for one in jobs.inputs]
    if SCRIPT not in paths:
        raise SignedManifestError(f"{SCRIPT} is not among the inputs")
    if any(
        one >= other
        for one, other in pairwise(path.encode("utf-8", "surrogatepass") for path in paths)
    ):
        raise SignedManifestError("the inputs are not in the order of their bytes, each once")
    if problems := input_path_problems("JOB", paths):
        raise SignedManifestError(f"{problems[0].key!r}: {problems[0].problem}")
    for one in jobs.inputs:
        _check_input(one)
    _check_nomad(jobs)


def _check_nomad(jobs: SignedJobs) -> None:
    if jobs.nomad is None:
        if jobs.templates:
            raise SignedManifestError("a template without settings and facts")
        return
    if len(jobs.ids) + len(jobs.templates) != 1 or jobs.patterns:
        raise SignedManifestError("settings and facts of other than one job or one template")
    own = f"{DISPATCH_PATH.split('/')[0]}/"
    if any(one.path == SETTINGS or one.path.startswith(own) for one in jobs.inputs):
        raise SignedManifestError(f"{SETTINGS} or something in {own} among a Nomad job's inputs")
    try:
        signed_runs.check(jobs.nomad, template=bool(jobs.templates))
    except SignedRunsError as error:
        raise SignedManifestError(str(error)) from error


def _check_input(one: SignedInput) -> None:
    if one.path in SIGNATURE_NAMES:
        raise SignedManifestError(f"{one.path} cannot list itself")
    if one.path.endswith("/"):
        if one.sha256 is not None or one.mode is not None:
            raise SignedManifestError(f"the folder {one.path!r} has a checksum or a mode")
    elif one.sha256 is None or not _SHA256.fullmatch(one.sha256):
        raise SignedManifestError(f"{one.path!r} has no SHA-256")
    elif one.mode is not None and not 0 <= one.mode <= 0o777:
        raise SignedManifestError(f"{one.path!r} has the mode {one.mode:o}")


class _Reader:
    """Reads lines; whether each stands where it may is told by writing all of it again."""

    def __init__(self, text: str) -> None:
        self._lines: Iterator[str] = iter(text.split("\n"))
        self._line = ""
        self._next()

    def manifest(self) -> SignedManifest:
        if self._line != _FIRST_LINE:
            raise SignedManifestError(f"its first line is not `{_FIRST_LINE}`")
        self._next()
        site = self._value("site")
        signed, expires = self._time("signed"), self._time("expires")
        found = []
        while self._line:
            found.append(self._jobs())
        return SignedManifest(site, signed, expires, tuple(found))

    def _jobs(self) -> SignedJobs:
        ids, patterns = self._values("job"), self._values("jobs")
        parameterized, periodic = self._values("parameterized"), self._values("periodic")
        runs = self._value("runs")
        if not _RUNS.fullmatch(runs):
            raise SignedManifestError(f"`runs {runs[:20]}` is no number of runs")
        nomad, inputs = self._nomad(), []
        while self._line.startswith(("file ", "folder ")):
            inputs.append(self._input())
        return SignedJobs(ids, patterns, int(runs), tuple(inputs), parameterized, periodic, nomad)

    def _nomad(self) -> Runs | None:
        if not self._line.startswith("settings "):
            return None
        try:
            return Runs(
                self._value("settings"),
                tuple(map(signed_runs.fact_of, self._values("fact"))),
                tuple(map(signed_runs.meta_of, self._values("meta"))),
                next(map(signed_runs.payload_of, self._values("payload")), None),
            )
        except SignedRunsError as error:
            raise SignedManifestError(str(error)) from error

    def _values(self, word: str) -> tuple[str, ...]:
        found = []
        while self._line.startswith(f"{word} "):
            found.append(self._value(word))
        return tuple(found)

    def _input(self) -> SignedInput:
        if self._line.startswith("folder "):
            return SignedInput(self._value("folder"))
        sha256, mode, path = (*self._value("file").split(" ", 2), "", "")[:3]
        if not _SHA256.fullmatch(sha256) or not _MODE.fullmatch(mode):
            raise SignedManifestError(f"no checksum, mode and path: {sha256[:80]!r} {mode[:20]!r}")
        return SignedInput(path, sha256, None if mode == "-" else int(mode, 8))

    def _time(self, word: str) -> int:
        text = self._value(word)
        try:
            return int(datetime.strptime(text, _TIME).replace(tzinfo=UTC).timestamp())
        except ValueError as error:
            raise SignedManifestError(f"`{word} {text[:40]}` is no time ({error})") from error

    def _value(self, word: str) -> str:
        given, _, value = self._line.partition(" ")
        if given != word:
            raise SignedManifestError(
                f"a line `{word} ...` was expected, and not {self._line[:80]!r}"
            )
        self._next()
        return value

    def _next(self) -> None:
        self._line = next(self._lines, "")
