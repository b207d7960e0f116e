"""The document that is signed: one text for one meaning, and nothing between the lines."""

from __future__ import annotations

import hashlib
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from job_protocol.signed_manifest import (
    SignedInput,
    SignedJobs,
    SignedManifest,
    SignedManifestError,
)
from tests.unit.job_protocol.strategies import safe_paths

SUM = hashlib.sha256(b"").hexdigest()
SCRIPT = SignedInput("aws-job-run.sh", SUM, 0o755)
DOCUMENT = f"""jobferry-signed-job 1
site dc1
signed 2026-11-25T12:00:00Z
expires 2026-12-02T12:00:00Z
job sweep/1
jobs sweep/x*
runs 2
file {SUM} 755 aws-job-run.sh
file {SUM} - data/a b.txt
folder out/
""".encode()

sums = st.binary(max_size=4).map(lambda content: hashlib.sha256(content).hexdigest())
modes = st.none() | st.integers(0, 0o777)


@st.composite
def manifests(draw: st.DrawFn) -> SignedManifest:
    ids = draw(st.lists(safe_paths, min_size=1, max_size=6, unique=True))
    patterns = [job.replace("a", "*") for job in ids[3:] if "a" in job]
    half = len(ids) // 2
    blocks = []
    for names in filter(None, (ids[:half], ids[half:3])):
        paths = draw(st.lists(safe_paths, max_size=4, unique=True))
        inputs = {path: SignedInput(path, draw(sums), draw(modes)) for path in paths}
        inputs["aws-job-run.sh"] = SignedInput("aws-job-run.sh", draw(sums), draw(modes))
        if draw(st.booleans()):
            inputs["zz/empty/"] = SignedInput("zz/empty/")
        ordered = tuple(inputs[path] for path in sorted(inputs, key=str.encode))
        blocks.append(
            SignedJobs(tuple(names), tuple(patterns), draw(st.integers(1, 1_000_000)), ordered)
        )
        patterns = []
    signed = draw(st.integers(0, 2**32))
    made = SignedManifest("dc1", signed, signed + draw(st.integers(1, 2**30)), tuple(blocks))
    try:
        made.render()
    except SignedManifestError:  # two names that exclude each other, such as `a` and `a/b`
        assume(False)
    return made


@given(manifests())
def test_what_is_written_is_read_the_same(manifest: SignedManifest) -> None:
    assert SignedManifest.parse(manifest.render()) == manifest


@given(manifests(), manifests())
def test_two_meanings_have_two_texts(one: SignedManifest, other: SignedManifest) -> None:
    assert (one.render() == other.render()) == (one == other)


@given(manifests(), st.data())
def test_a_changed_text_is_refused_or_means_something_else(
    manifest: SignedManifest, data: st.DataObject
) -> None:
    document = manifest.render()
    at = data.draw(st.integers(0, len(document)))
    cut = data.draw(st.integers(0, 3))
    new = data.draw(st.sampled_from([b"", b"\n", b" ", b"\r", b"0", b"a", b"\0", b"job x\n"]))
    changed = document[:at] + new + document[at + cut :]
    assume(changed != document)
    with suppress(SignedManifestError):
        assert SignedManifest.parse(changed) != manifest


@pytest.mark.parametrize(
    "path",
    [
        "a\nfile " + SUM + " - b",
        "a\rb",
        "a\u2028b",
        "a\0b",
        "../a",
        "/a",
        "a//b",
        "aws-job-stat.txt",
        "aws-job-signed.txt",
        "aws-job-signed.txt.sig",
        "",
    ],
)
def test_hostile_names_are_not_written(path: str) -> None:
    inputs = tuple(sorted((SCRIPT, SignedInput(path, SUM)), key=lambda one: one.path.encode()))
    manifest = SignedManifest("dc1", 1, 2, (SignedJobs(("job",), (), 1, inputs),))
    with pytest.raises(SignedManifestError):
        manifest.render()


@pytest.mark.parametrize("job", ["a\njob b", "", "../x", "a\x85b", "_jobferry/x"])
def test_hostile_job_ids_are_not_written(job: str) -> None:
    with pytest.raises(SignedManifestError):
        SignedManifest("dc1", 1, 2, (SignedJobs((job,), (), 1, (SCRIPT,)),)).render()


def test_the_documented_text() -> None:
    manifest = SignedManifest.parse(DOCUMENT)
    assert manifest.site == "dc1"
    assert manifest.expires - manifest.signed == 7 * 24 * 3600
    assert manifest.jobs[0].inputs[1] == SignedInput("data/a b.txt", SUM, None)
    assert manifest.render() == DOCUMENT


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"job 1\n", b"job 2\n"),
        (b"\nsite dc1", b"\nsite  dc1"),
        (b"\nsite dc1", b"\nsite dc/1"),
        (b"2026-12-02T12:00:00Z", b"2026-12-02T12:00:00"),
        (b"2026-12-02T12:00:00Z", b"2026-11-25T12:00:00Z"),
        (b"2026-12-02T12:00:00Z", b"2026-12-2T12:00:00Z"),
        (b"runs 2", b"runs 0"),
        (b"runs 2", b"runs 02"),
        (b"runs 2\n", b""),
        (b" 755 ", b" 0755 "),
        (b" 755 ", b" rwx "),
        (b"folder out/", b"folder out"),
        (b"folder out/\n", b"folder out/\n\n"),
        (b"folder out/\n", b"folder out/"),
        (b"folder out/\n", b"folder out/\nrest\n"),
        (b"folder out/\n", b"folder data/\n"),
        (b"jobs sweep/x*", b"jobs sweep/x"),
        (b"jobs sweep/x*", b"job sweep/1"),
        (b"aws-job-run.sh", b"aws-job-run"),
        (SUM.encode(), SUM.upper().encode()),
        (b"\n", b"\r\n"),
        (b"data/a b", b"data/\xff"),
    ],
)
def test_what_is_not_written_so_is_refused(old: bytes, new: bytes) -> None:
    assert old in DOCUMENT
    with pytest.raises(SignedManifestError):
        SignedManifest.parse(DOCUMENT.replace(old, new))


def test_which_jobs_a_document_covers() -> None:
    manifest = SignedManifest.parse(DOCUMENT)

    def selector(job: str) -> str | None:
        covered = manifest.covering(job)
        return covered and covered.selector

    assert selector("sweep/1") == "job sweep/1"
    assert selector("sweep/x7") == "jobs sweep/x*"
    assert selector("sweep/x") == "jobs sweep/x*"
    assert selector("sweep/x/7") is None
    assert selector("sweep/2") is None
    assert selector("other/sweep/1") is None


def pattern_by_definition(pattern: str, job_id: str) -> bool:
    """Whether a pattern fits: `*` stands for any characters but `/`."""
    fits = {0}
    for char in pattern:
        if char == "*":
            for place in sorted(fits):
                rest = job_id[place:].partition("/")[0]
                fits |= set(range(place, place + len(rest) + 1))
        else:
            fits = {place + 1 for place in fits if job_id[place : place + 1] == char}
    return len(job_id) in fits


@given(st.text("ab/*", min_size=1, max_size=10), st.text("ab/", min_size=1, max_size=12))
def test_a_star_stands_for_any_characters_but_a_slash(pattern: str, job_id: str) -> None:
    manifest = SignedManifest("dc1", 1, 2, (SignedJobs((), (pattern,), 1, (SCRIPT,)),))
    covered = manifest.covering(job_id) is not None
    assert covered == pattern_by_definition(pattern, job_id)


def test_many_stars_are_matched_without_trying_all_ways() -> None:
    pattern, job_id = f"{'*a' * 100}*b", "a" * 500
    manifest = SignedManifest("dc1", 1, 2, (SignedJobs((), (pattern,), 1, (SCRIPT,)),))
    assert manifest.covering(job_id) is None
    assert manifest.covering(f"{job_id}b") is not None
