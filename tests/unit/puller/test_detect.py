from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from puller.errors import SchedulerUnavailable, SettingsError
from puller.schedulers.choose import choose_scheduler
from puller.schedulers.detect import detect_scheduler, whose_qsub
from tests.unit.puller.transcripts import Replay, answered

SYSTEM_PATH = "/usr/bin:/bin"

SGE = 'echo "SGE 8.1.9"; echo "usage: qstat [options]"'
SGE_WITHOUT_MASTER = "echo 'error: unable to read qmaster name: ... has zero length' >&2; exit 1"
OPENPBS = '[ "$1" = --version ] && echo "pbs_version = 23.06.06" || exit 2'
NQSV = 'echo "qstat: NQSV (R1.14)"'


class Host:
    """A PATH with made-up commands."""

    def __init__(self, directory: Path) -> None:
        self.bin = directory / "bin"
        self.bin.mkdir()
        self.pbs_configuration = directory / "pbs.conf"

    def install(self, name: str, body: str = "exit 0") -> None:
        program = self.bin / name
        program.write_text(f"#!/bin/sh\n{body}\n")
        program.chmod(0o755)

    def detect(self, environment: Mapping[str, str] | None = None) -> str:
        return detect_scheduler(
            {"PATH": str(self.bin), **(environment or {})},
            pbs_configuration=self.pbs_configuration,
        )


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


@pytest.mark.parametrize(
    ("command", "name"), [("sbatch", "slurm"), ("bsub", "lsf"), ("pjsub", "tcs")]
)
def test_a_command_that_only_one_scheduler_has_decides(host: Host, command: str, name: str) -> None:
    host.install(command)
    assert host.detect() == name


@pytest.mark.parametrize(
    ("qstat", "name"), [(SGE, "sge"), (SGE_WITHOUT_MASTER, "sge"), (OPENPBS, "pbs")]
)
def test_qsub_belongs_to_whom_qstat_names(host: Host, qstat: str, name: str) -> None:
    host.install("qsub")
    host.install("qstat", qstat)
    assert host.detect() == name


def test_a_silent_qstat_is_told_by_what_else_is_installed(host: Host) -> None:
    host.install("qsub")
    host.install("qstat", "exit 1")
    host.install("qconf")
    assert host.detect() == "sge"


def test_pbs_is_told_by_its_configuration(host: Host) -> None:
    host.install("qsub")
    host.pbs_configuration.touch()
    assert host.detect() == "pbs"


def test_pbs_may_be_configured_elsewhere(host: Host) -> None:
    host.install("qsub")
    elsewhere = host.bin / "my.conf"
    elsewhere.touch()
    assert host.detect({"PBS_CONF_FILE": str(elsewhere)}) == "pbs"


def test_grid_engine_is_told_by_its_variable(host: Host) -> None:
    host.install("qsub")
    assert host.detect({"SGE_ROOT": "/opt/sge"}) == "sge"


def test_what_qstat_says_counts_more_than_what_is_installed(host: Host) -> None:
    host.install("qsub")
    host.install("qstat", OPENPBS)
    assert host.detect({"SGE_ROOT": "/opt/old-sge"}) == "pbs"


@pytest.mark.parametrize("hints", [{"sge": True, "pbs": True}, {"sge": False, "pbs": False}])
def test_contradictory_or_missing_hints_decide_nothing(hints: dict[str, bool]) -> None:
    assert whose_qsub("", hints) is None


def test_nqsv_is_refused_by_name(host: Host) -> None:
    host.install("qsub")
    host.install("qstat", NQSV)
    with pytest.raises(SettingsError, match=r"NEC NQSV \(.*/qsub\), which this puller does not"):
        host.detect()


def test_a_qsub_of_nobody_stops_with_a_sentence(host: Host) -> None:
    host.install("qsub")
    host.install("qstat", 'echo "Version: 6.1.2"')
    with pytest.raises(SettingsError, match="neither `qstat` nor the installation"):
        host.detect()


def test_several_are_all_named(host: Host) -> None:
    host.install("sbatch")
    host.install("qsub")
    host.install("qstat", SGE)
    with pytest.raises(SettingsError, match=r"several: slurm \(.*/sbatch\), sge \(.*/qsub\)"):
        host.detect()


def test_none_stops_and_never_becomes_local(host: Host) -> None:
    with pytest.raises(SettingsError, match=r"finds no scheduler: .*PATH=.*never chosen for you"):
        host.detect()


def test_a_qstat_that_cannot_be_asked_leaves_the_hints(tmp_path: Path) -> None:
    host = Host(tmp_path)
    host.install("qsub")
    run = Replay(qstat=[SchedulerUnavailable("no"), answered(code=None, timed_out=True)])
    name = detect_scheduler(
        {"PATH": str(host.bin), "SGE_ROOT": "/sge"},
        run=run,
        pbs_configuration=host.pbs_configuration,
    )
    assert name == "sge"


def test_auto_makes_the_scheduler_that_it_found(host: Host, tmp_path: Path) -> None:
    host.install("pjsub")
    chosen = choose_scheduler("auto", environment={"PATH": str(host.bin)}, control_root=tmp_path)
    assert chosen.name == "tcs"


@pytest.mark.parametrize("name", ["lsf", "tcs"])
def test_a_scheduler_is_made_by_its_name(name: str, tmp_path: Path) -> None:
    assert choose_scheduler(name, environment={}, control_root=tmp_path).name == name


@pytest.mark.skipif(
    not all(shutil.which(name, path=SYSTEM_PATH) for name in ("sbatch", "qsub", "qconf")),
    reason="needs the commands of a real Slurm and a real Grid Engine",
)
def test_the_real_commands_of_two_schedulers_are_both_named() -> None:
    with pytest.raises(SettingsError, match=r"slurm \(/\S+/sbatch\), sge \(/\S+/qsub\)"):
        detect_scheduler({"PATH": SYSTEM_PATH})
