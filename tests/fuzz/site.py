"""Targets of the puller: answers of schedulers, archives, its own files, certificates."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path

from job_protocol.allocation import Allocation
from puller.administration.certificate_dates import NotACertificate, end_of_certificate
from puller.archives import Limits, unpack
from puller.artifact_tree import entries_of
from puller.confined_tree import ConfinedTree
from puller.errors import ArtifactRefused, SchedulerError, SchedulerUnavailable
from puller.exit_file import parse_exit, parse_start
from puller.journal import Record, from_document, to_document
from puller.schedulers import (
    lsf_answers,
    lsf_directives,
    pbs_answers,
    pbs_directives,
    sge_answers,
    sge_directives,
    slurm_answers,
    slurm_directives,
    tcs_answers,
    tcs_directives,
)
from puller.wrapper import split_script
from tests.fuzz.target import Target, text_of
from tests.unit.puller import slurm_transcripts
from tests.unit.puller.hostile_archives import hard, header, link, tar, zipped
from tests.unit.puller.test_certificate_examination import DER, UNTIL_2029

_ROOT = Path(__file__).parents[1] / "schedulers/transcripts"
_LIMITS = Limits(1_000_000, members=100, ratio=100, ratio_from=100_000)
_ID = "0123456789abcdef0123456789abcdef"


def _transcripts(scheduler: str) -> tuple[bytes, ...]:
    """The recorded answers; long ones cut to what a mutation may hit."""
    files = sorted(path for path in (_ROOT / scheduler).iterdir() if path.suffix != ".md")
    return tuple(path.read_bytes()[:6000] for path in files)


def _answers(*parsers: Callable[[str], object]) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        text = text_of(data)
        for parse in parsers:
            with suppress(SchedulerUnavailable):
                parse(text)

    return run


def _error(parse: Callable[[str], SchedulerError]) -> Callable[[str], object]:
    def run(text: str) -> None:
        assert isinstance(parse(text), SchedulerError)

    return run


slurm = _answers(
    slurm_answers.parse_listing,
    slurm_answers.parse_details,
    slurm_answers.parse_accounting_of_all,
    lambda text: slurm_answers.parse_detail(text, "1"),
    lambda text: slurm_answers.parse_accounting(text, "1"),
    slurm_answers.parse_submission,
    _error(slurm_answers.parse_submission_error),
)
sge = _answers(
    sge_answers.parse_states,
    sge_answers.parse_submitted,
    lambda text: sge_answers.parse_accounting_of_all(text, "root"),
    lambda text: sge_answers.parse_accounting(text, "1", "root"),
    sge_answers.parse_submission,
    _error(sge_answers.parse_submission_error),
)
pbs = _answers(
    pbs_answers.parse_ids,
    pbs_answers.parse_jobs,
    pbs_answers.denies,
    pbs_answers.has_no_history,
    pbs_answers.parse_submission,
    pbs_answers.identity_in,
    _error(pbs_answers.parse_submission_error),
)
lsf = _answers(
    lambda text: lsf_answers.parse_jobs(text, 1_800_000_000),
    lambda text: lsf_answers.parse_histories(text, 1_800_000_000),
    lambda text: lsf_answers.parse_history(text, "1", 1_800_000_000),
    lsf_answers.denies,
    lsf_answers.parse_submission,
    _error(lsf_answers.parse_submission_error),
)
tcs = _answers(
    lambda text: tcs_answers.parse_listing(text, 1_800_000_000),
    tcs_answers.denies,
    tcs_answers.nothing_to_cancel,
    tcs_answers.parse_submission,
    _error(lambda text: tcs_answers.parse_submission_error(text, 1)),
)


@cache
def _scratch() -> tempfile.TemporaryDirectory[str]:
    """A folder of this process, in memory where that can be; it goes when the process ends."""
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    made = tempfile.TemporaryDirectory(prefix="fuzz-", dir=memory)
    Path(made.name, "around").mkdir()
    return made


def _unpacking(*forms: str) -> Callable[[bytes], None]:
    def run(data: bytes) -> None:
        top = Path(_scratch().name)
        for form in forms:
            try:
                _unpack(top, form, data)
                assert {path.name for path in top.iterdir()} == {"around", "packed"}
                assert {path.name for path in (top / "around").iterdir()} <= {"tree"}
            finally:
                shutil.rmtree(top / "around/tree", ignore_errors=True)

    return run


def _unpack(top: Path, form: str, data: bytes) -> None:
    tree = ConfinedTree(top, "around/tree")
    with suppress(ArtifactRefused), (top / "packed").open("w+b") as file:
        file.write(data)
        file.seek(0)
        unpack(file, form, tree, _LIMITS)
        for entry in entries_of(tree, _LIMITS):
            assert (top / "around/tree" / entry.path).resolve().is_relative_to(top / "around/tree")


def directives(data: bytes) -> None:
    script = data.decode("utf-8", "surrogateescape")
    for scheduler in (
        slurm_directives,
        sge_directives,
        pbs_directives,
        lsf_directives,
        tcs_directives,
    ):
        for anywhere in (False, True):
            parts = split_script(script, (scheduler.PREFIX,), anywhere=anywhere)
            assert "\n" not in "".join(parts.directives)
            scheduler.read_directives(parts.directives)


def journal(data: bytes) -> None:
    with suppress(ValueError, TypeError, KeyError, AttributeError, RecursionError):
        to_document(from_document(data))


def exit_files(data: bytes) -> None:
    parse_start(data)
    parse_exit(data)


def certificates(data: bytes) -> None:
    with suppress(NotACertificate):
        assert end_of_certificate(data).tzinfo is not None


_RECORD = to_document(Record(allocation=Allocation(site="dc1", job="job0001", id=_ID), token="t"))
_TARS = (
    tar(("a/b", b"content"), link("l", "a/b"), hard("h", "a/b"), form="w"),
    tar(header("x/", b"5"), ("x/y", b"1"), link("up", "../../etc"), form="w"),
    tar(("../out", b"1"), form="w"),
)
_ZIPS = (zipped(("a/b", b"content"), ("l", b"a/b", 0o120777 << 16)), zipped(("../out", b"1")))
_EXIT = (
    b"id=4711\nrestart=0\nhost=node01\nstarted=1700000000\nended=1700000009\ncode=3\nend\n",
    b"id=1\nrestart=0\nhost=n\ntime=1700000000\nstdout=/a/b\nstderr=/a/c\nend\n",
)
_SLURM = (
    slurm_transcripts.detail().encode(),
    b"Submitted batch job 4711\n",
    *(text.encode() for text in slurm_transcripts.REFUSED),
    *(
        value.encode()[:6000]
        for name, value in sorted(vars(slurm_transcripts).items())
        if isinstance(value, str) and not name.startswith("_")
    ),
)

_SCRIPTS = (
    b"#!/bin/bash -l\n#SBATCH --time=1:00 -J 'a b'\n#SBATCH --array=0-3\n\nhostname\n",
    b"#!/bin/sh\n#$\n#PBS\n#SBATCH\n#BSUB\n#PJM\necho\n",
    b"#!/bin/sh\n#$ -N a -v A=1,B -t 1-3\n#PBS -l select=1 -W block=true -V\necho\n#$ -sync y\n",
    b"#!/bin/sh\n#BSUB -J 'a[1-3]' -env 'all, A=1'\n#PJM -L node=1,elapse=1:00 --bulk\n:\n",
)

TARGETS = (
    Target("answers of Slurm", slurm, _SLURM, (b"|", b"JobId=", b"JobState=", b"4711_[1-9]")),
    Target(
        "answers of Grid Engine", sge, _transcripts("sge"), (b"<!", b"</", b"1-9:2", b"<tasks>")
    ),
    Target("answers of PBS", pbs, _transcripts("pbs"), (b"Job Id: ", b" = ", b"\n\t", b"1[].s")),
    Target("answers of LSF", lsf, _transcripts("lsf"), (b"JOBID", b"Job <", b'"STAT":', b"[1]")),
    Target("answers of TCS", tcs, _transcripts("tcs"), (b"JOB_ID", b",", b"ST", b"END")),
    Target(
        "directives of scripts",
        directives,
        _SCRIPTS,
        (b"#SBATCH ", b"#$ ", b"#PBS ", b"#BSUB ", b"#PJM ", b"-W ", b"--", b"\\\n", b"block=true"),
    ),
    Target("tar archives", _unpacking("tar", "tar.gz"), _TARS, (b"ustar", b"../", b"\0" * 12)),
    Target("zip archives", _unpacking("zip"), _ZIPS, (b"PK\x01\x02", b"PK\x05\x06", b"../")),
    Target("journal files", journal, (_RECORD,), (b'"hex":', b'"phase":', b'"end":'), True),
    Target("start and exit files", exit_files, _EXIT, (b"id=", b"code=", b"end\n", b"restart=")),
    Target(
        "certificates",
        certificates,
        (UNTIL_2029, DER),
        (b"\x30\x82", b"\x17\x0d", b"290513144133Z", b"\xa0\x03"),
    ),
)
