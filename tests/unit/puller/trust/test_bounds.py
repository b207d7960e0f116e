"""What one job may ask for."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from job_protocol.job_settings import JobSettings, Resources
from puller.errors import Refused
from puller.trust.bounds import Bounds, artifact_problem, bounded, check_directives, handed_on
from tests.unit.job_protocol.strategies import job_settings

maybe = st.none() | st.integers(0, 2**40)
words = st.none() | st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map(tuple)
all_bounds = st.builds(
    Bounds,
    nodes=maybe,
    cpus=maybe,
    memory_mb=maybe,
    gpus=maybe,
    time_limit=maybe,
    queues=words,
    accounts=words,
)


@given(job_settings, all_bounds)
def test_what_passes_is_within_every_bound(settings: JobSettings, bounds: Bounds) -> None:
    try:
        result = bounded(settings, bounds)
    except Refused:
        return
    for name in ("nodes", "cpus", "memory_mb", "gpus"):
        asked, most = getattr(result.resources, name), getattr(bounds, name)
        assert asked is None or most is None or asked <= most
    if bounds.time_limit:
        assert result.time_limit is not None
        assert result.time_limit <= bounds.time_limit
    if bounds.queues is not None:
        assert result.queue in bounds.queues
    if bounds.accounts is not None:
        assert result.account in bounds.accounts


@given(job_settings)
def test_without_bounds_nothing_is_changed(settings: JobSettings) -> None:
    assert bounded(settings, Bounds()) == dataclasses.replace(
        settings, time_limit=settings.time_limit or None
    )


def test_a_refusal_names_the_rule() -> None:
    bounds = Bounds(nodes=4, queues=("short", "long"))
    with pytest.raises(Refused, match=r"nodes is 5, and at most 4 is allowed \(\[limits\] nodes\)"):
        bounded(JobSettings(resources=Resources(nodes=5)), bounds)
    with pytest.raises(Refused, match="queue 'gpu' is not among short, long"):
        bounded(JobSettings(queue="gpu"), bounds)
    assert bounded(JobSettings(), bounds).queue == "short"


@pytest.mark.parametrize(
    ("scheduler", "directive", "passes"),
    [
        ("slurm", "--job-name=x -o out.txt --mail-type=END # --nodes=4", True),
        ("slurm", "--nodes=4", False),
        ("slurm", "-N4", False),
        ("slurm", "-o out -pbig", False),
        ("slurm", "--job", False),
        ("slurm", "--array=1-9", False),
        ("slurm", "hetjob", True),
        ("pbs", "-N name -j oe", True),
        ("pbs", "-l select=4", False),
        ("pbs", "-o out # -l select=4", False),
        ("sge", "-cwd -S /bin/bash -j y", True),
        ("sge", "-pe mpi 4", False),
        ("lsf", "-oo out", True),
        ("lsf", "-J name[1-9]", False),
        ("tcs", "-L node=2", False),
        ("tcs", "--name x", True),
        ("other", "-o x", False),
        ("slurm", "--comment='unbalanced --nodes=4", False),
    ],
)
def test_directives_where_there_are_bounds(scheduler: str, directive: str, passes: bool) -> None:
    if passes:
        check_directives([directive], scheduler, Bounds(nodes=1))
    else:
        with pytest.raises(Refused, match="directive"):
            check_directives([directive], scheduler, Bounds(nodes=1))
    check_directives([directive], scheduler, Bounds())
    check_directives([directive], scheduler, Bounds(nodes=1, any_directives=True))


def test_what_is_handed_on() -> None:
    environment = {"PATH": "/bin", "LC_ALL": "C", "SECRET": "x"}
    assert handed_on(environment, None) == environment
    assert handed_on(environment, ("PATH", "LC_*")) == {"PATH": "/bin", "LC_ALL": "C"}
    assert handed_on(environment, ()) == {}


def test_artifacts() -> None:
    hosts = ("data.example.org", "*.amazonaws.com")
    assert artifact_problem("DATA.example.org", None, hosts=hosts, signed=False) is None
    assert artifact_problem("s3.amazonaws.com", "md5:x", hosts=hosts, signed=True) is None
    assert "evil.org" in str(artifact_problem("evil.org", None, hosts=hosts, signed=False))
    assert "checksum" in str(artifact_problem("x", None, hosts=None, signed=True))
