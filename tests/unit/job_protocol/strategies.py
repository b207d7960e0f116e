"""Hypothesis strategies for the protocol's values."""

from __future__ import annotations

from hypothesis import strategies as st

from job_protocol.allocation import Allocation, LeftOut, ResultSummary
from job_protocol.elements import Element, Elements, ElementState
from job_protocol.job import Job
from job_protocol.job_settings import Artifact, JobSettings, Resources, Retries, SharedInput
from job_protocol.object_keys import Problem
from job_protocol.states import ClientStatus, Desired, JobKind, JobStatus, Outcome, Role

text = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)
times = st.integers(0, 2**40)

safe_segments = st.text(
    st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"], exclude_characters="/"),
    min_size=1,
    max_size=12,
).filter(lambda s: s not in (".", "..") and not s.startswith("aws-job-"))
"""Path segments that a Unix file system takes: spaces, Japanese, emoji, anything odd but safe."""

safe_paths = st.lists(safe_segments, min_size=1, max_size=5).map("/".join)

patterns = st.lists(st.text("ab.*?[]!^-\\", min_size=1, max_size=6), min_size=1, max_size=4).map(
    "/".join
)
"""Path patterns, valid or not, dense in what is special."""

plain_paths = st.lists(st.text("ab.", min_size=1, max_size=4), min_size=1, max_size=5).map("/".join)

problems = st.builds(Problem, text, text, text)

job_settings = st.builds(
    JobSettings,
    name=st.none() | text,
    priority=st.none() | st.integers(1, 100),
    time_limit=st.none() | times,
    resources=st.builds(
        Resources,
        nodes=st.none() | st.integers(1),
        cpus=st.none() | st.integers(1),
        memory_mb=st.none() | st.integers(1),
        gpus=st.none() | st.integers(1),
    ),
    count=st.none() | st.integers(1, 100_000),
    max_running=st.none() | st.integers(1, 1000),
    account=st.none() | text,
    queue=st.none() | text,
    retries=st.none() | st.builds(Retries, attempts=st.integers(0, 5), delay=st.integers(0, 100)),
    results=st.lists(text, max_size=3).map(tuple),
    artifacts=st.lists(
        st.builds(
            Artifact,
            source=text,
            destination=text,
            mode=st.sampled_from(["any", "file", "dir"]),
            checksum=st.none() | text,
            options=st.dictionaries(text, text, max_size=2),
            headers=st.dictionaries(text, text, max_size=2),
        ),
        max_size=2,
    ).map(tuple),
    exclude=st.lists(text, max_size=3).map(tuple),
    reuse=st.lists(text, max_size=3).map(tuple),
    inputs=st.lists(
        st.builds(SharedInput, source=text, to=text, version=st.none() | text), max_size=3
    ).map(tuple),
)

results = st.builds(
    ResultSummary,
    files=st.integers(0, 9),
    size=st.integers(0, 2**50),
    left_out=st.integers(0, 9),
    listed=st.lists(st.builds(LeftOut, text, text), max_size=3).map(tuple),
)

elements = st.lists(
    st.builds(Element, st.sampled_from(ElementState), st.none() | st.integers(0, 255)), max_size=50
).map(lambda listed: Elements(tuple(listed)))

allocations = st.builds(
    Allocation,
    site=text,
    job=text,
    id=st.uuids().map(str),
    run=st.integers(1, 9),
    attempt=st.integers(0, 9),
    client_status=st.sampled_from(ClientStatus),
    desired=st.sampled_from(Desired),
    created=times,
    not_before=st.none() | times,
    settings=job_settings,
    manifest=st.none() | st.binary(min_size=1, max_size=40),
    manifest_of=st.none() | text,
    token=st.none() | text,
    installation=st.none() | text,
    submitting=st.booleans(),
    scheduler=st.none() | text,
    scheduler_id=st.none() | text,
    obs=st.integers(0, 99),
    reason=st.none() | text,
    exit_code=st.none() | st.integers(0, 255),
    claimed_at=st.none() | times,
    ended_at=st.none() | times,
    elements=st.none() | elements.map(Elements.pack),
    continues=st.none() | text,
    results=st.none() | results,
    ttl=st.none() | times,
)

jobs = st.builds(
    Job,
    site=text,
    id=text,
    bucket=text,
    role=st.sampled_from(Role),
    kind=st.sampled_from(JobKind),
    status=st.sampled_from(JobStatus),
    outcome=st.none() | st.sampled_from(Outcome),
    rev=st.integers(1, 99),
    unpublished=st.booleans(),
    announce=st.booleans(),
    run=st.integers(0, 9),
    upload=st.none() | text,
    sequencer=st.none() | text,
    stop_sequencer=st.none() | text,
    current=st.none() | text,
    client_status=st.none() | st.sampled_from(ClientStatus),
    created=st.none() | times,
    message=st.none() | text,
    note=st.none() | text,
    reasons=st.lists(problems, max_size=3).map(tuple),
    lease=st.none() | text,
    lease_until=st.none() | times,
    ttl=st.none() | times,
)
