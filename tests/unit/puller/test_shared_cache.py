"""The cache of shared inputs: fetched once, never half, and noticed when a job changes it."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from job_protocol.job_settings import JobSettings
from job_protocol.manifest import Entry, Manifest
from puller.errors import StagingError
from puller.fetching import Source
from puller.job_directory import JobDirectory, control_directory
from puller.results import plan_results
from puller.shared_cache import CACHE, SharedCache, entry_name
from puller.staging import StagedIndex, stage
from tests.unit.puller.memory_bucket import MemoryBucket

NOW = datetime(2024, 1, 1, tzinfo=UTC)
DAY = 24 * 3600
KEY = "shared/mesh/big.h5"
CONTENT = b"\x89HDF" + b"mesh" * 1000
PATH = "mesh/big.h5"


class Killed(BaseException):
    """As if the process had been killed."""


class ASite:
    """A jobs directory with its cache, and jobs that share one object."""

    def __init__(self, jobs: Path, *, keep_days: float = 30, most_bytes: int = 1 << 40) -> None:
        self.jobs = jobs
        self.now = 1_800_000_000.0
        self.bucket = MemoryBucket()
        self.keep_days = keep_days
        self.most_bytes = most_bytes
        self.cache = self.another_process()
        self.version = self.bucket.store(KEY, CONTENT)

    def another_process(self) -> SharedCache:
        return SharedCache(
            self.jobs,
            keep_days=self.keep_days,
            most_bytes=self.most_bytes,
            clock=lambda: self.now,
        )

    def stage(
        self,
        number: int,
        entries: tuple[Entry, ...] | None = None,
        cache: SharedCache | None = None,
    ) -> StagedIndex:
        directory = JobDirectory(self.jobs, f"job{number}")
        directory.prepare(_allocation(number), NOW)
        control = control_directory(self.jobs, _allocation(number))
        wanted = entries or (self.entry(),)
        chosen = cache or self.cache
        return stage(Manifest(wanted), directory, control, self.bucket, cache=chosen, workers=4)

    def entry(self, path: str = PATH, key: str = KEY) -> Entry:
        version = self.bucket.latest[key]
        return Entry(path, version, len(self.bucket.versions[key, version].content), key)

    def file(self, number: int, path: str = PATH) -> Path:
        return self.jobs / f"job{number}" / path

    @property
    def content(self) -> Path:
        name = entry_name(self.bucket.name, Source(KEY, self.version, len(CONTENT)))
        return self.jobs / CACHE / name / "content"

    def results(self, number: int) -> list[str]:
        control = control_directory(self.jobs, _allocation(number))
        directory = JobDirectory(self.jobs, f"job{number}")
        plan = plan_results(directory, StagedIndex.load(control), JobSettings())
        assert plan.left_out == ()
        return [file.path for file in plan.files]


def _allocation(number: int) -> str:
    return f"0a1b2c3d-0000-5000-8000-{number:012d}"


@pytest.fixture
def site(tmp_path: Path) -> ASite:
    return ASite(tmp_path / "aws-job")


def test_three_jobs_fetch_it_once_and_have_it_without_a_copy(site: ASite) -> None:
    for number in range(3):
        site.stage(number)
        assert site.file(number).read_bytes() == CONTENT
    assert site.bucket.fetched == [KEY]
    assert len({site.file(number).stat().st_ino for number in range(3)}) == 1


def test_jobs_that_are_staged_at_the_same_time_fetch_it_once(site: ASite) -> None:
    all_here = threading.Barrier(6)

    def one(number: int) -> None:
        all_here.wait()
        site.stage(number)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(one, range(6)))
    assert site.bucket.fetched == [KEY]
    assert all(site.file(number).read_bytes() == CONTENT for number in range(6))


def test_one_job_may_have_it_at_two_paths(site: ASite) -> None:
    site.stage(1, (site.entry("a"), site.entry("b/c")))
    assert site.file(1, "a").read_bytes() == site.file(1, "b/c").read_bytes() == CONTENT
    assert site.bucket.fetched == [KEY]


def test_it_is_read_only_and_keeps_what_made_it_a_program(site: ASite) -> None:
    site.bucket.store("tools/solve", b"\x7fELF...", {"file-permissions": "0755"})
    site.stage(1, (site.entry(), site.entry("solve", "tools/solve")))
    assert site.file(1).stat().st_mode & 0o222 == 0
    assert site.file(1, "solve").stat().st_mode & 0o777 == 0o555


def test_two_versions_of_a_key_are_two_files(site: ASite) -> None:
    first = site.entry()
    site.bucket.store(KEY, b"later")
    site.stage(1, (first,))
    site.stage(2)
    assert site.file(1).read_bytes() == CONTENT
    assert site.file(2).read_bytes() == b"later"


def test_a_script_with_a_key_is_the_jobs_own_file(site: ASite) -> None:
    site.bucket.store("_jobferry/scripts/x", b"#!/bin/sh\n")
    site.stage(1, (site.entry("aws-job-run.sh", "_jobferry/scripts/x"),))
    status = site.file(1, "aws-job-run.sh").stat()
    assert (status.st_nlink, status.st_mode & 0o700) == (1, 0o700)
    assert site.cache.kept() == []


def test_an_empty_folder_of_a_shared_folder_is_made(site: ASite) -> None:
    version = site.bucket.store("shared/empty/", b"")
    site.stage(1, (site.entry(), Entry("data/empty/", version, 0, "shared/empty/")))
    assert site.file(1, "data/empty").is_dir()


# ---- results ----


def test_an_unchanged_one_is_no_result(site: ASite) -> None:
    site.stage(1)
    assert site.results(1) == []


def test_one_that_the_job_replaced_is_a_result_and_the_next_job_has_the_original(
    site: ASite,
) -> None:
    site.stage(1)
    new = site.file(1, "new")
    new.write_bytes(b"refined")
    new.replace(site.file(1))
    site.stage(2)
    assert site.results(1) == [PATH]
    assert site.file(2).read_bytes() == CONTENT
    assert site.bucket.fetched == [KEY]


def test_a_mode_that_another_job_changed_makes_it_no_result(site: ASite) -> None:
    site.stage(1)
    site.stage(2)
    site.file(2).chmod(0o644)
    assert site.results(1) == []
    site.stage(3)
    assert site.file(3).stat().st_mode & 0o222 == 0
    assert site.bucket.fetched == [KEY]


# ---- what a job does to it ----


def _write_into(file: Path) -> None:
    file.chmod(0o600)
    with file.open("r+b") as opened:
        opened.write(b"X")


def _append_to(file: Path) -> None:
    file.chmod(0o600)
    with file.open("ab") as opened:
        opened.write(b"X")


def _cut(file: Path) -> None:
    file.chmod(0o600)
    os.truncate(file, 3)


def _write_and_hide_the_mode(file: Path) -> None:
    mode = file.stat().st_mode
    _write_into(file)
    file.chmod(mode)


@pytest.mark.parametrize("spoil", [_write_into, _append_to, _cut, _write_and_hide_the_mode])
def test_one_that_a_job_changed_in_place_is_fetched_again(
    site: ASite, spoil: Callable[[Path], None], caplog: pytest.LogCaptureFixture
) -> None:
    site.stage(1)
    spoil(site.file(1))
    site.stage(2)
    assert site.file(2).read_bytes() == CONTENT
    assert site.bucket.fetched == [KEY, KEY]
    assert "was changed" in caplog.text
    assert site.results(1) == [PATH]
    site.stage(3)
    assert site.bucket.fetched == [KEY, KEY]


@pytest.mark.parametrize("name", ["content", "facts.json"])
@pytest.mark.parametrize("how", ["gone", "empty", "a link"])
def test_a_spoilt_cache_is_repaired(site: ASite, name: str, how: str) -> None:
    site.stage(1)
    victim = site.content.with_name(name)
    victim.unlink()
    if how == "empty":
        victim.touch()
    elif how == "a link":
        victim.symlink_to("/etc/passwd")
    site.stage(2)
    assert site.file(2).read_bytes() == CONTENT
    assert not site.file(2).is_symlink()
    assert site.bucket.fetched == [KEY, KEY]


# ---- crashes ----

_STEPS = ("rename", "fsync", "write", "fchmod", "utime", "mkdir", "link", "unlink", "rmdir")


@given(st.integers(0, 80))
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=80
)
def test_after_a_crash_at_any_step_nothing_is_half_and_the_next_pass_completes(
    tmp_path_factory: pytest.TempPathFactory, step: int
) -> None:
    site = ASite(tmp_path_factory.mktemp("crash") / "aws-job", most_bytes=0)
    site.bucket.store("shared/old", b"old")
    site.stage(9, (site.entry("old", "shared/old"),))
    site.file(9, "old").unlink()  # so that the sweep has something to evict
    steps = 0

    def dies(name: str) -> Callable[..., object]:
        real = getattr(os, name)

        def call(*args: object, **kwargs: object) -> object:
            nonlocal steps
            steps += 1
            if steps > step:
                raise Killed
            return real(*args, **kwargs)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in _STEPS:
            patch.setattr(os, name, dies(name))
        with suppress(Killed):
            site.stage(1)
    if site.content.exists():
        assert site.content.read_bytes() == CONTENT
    site.stage(1, cache=site.another_process())
    site.stage(2, cache=site.another_process())
    for number in (1, 2):
        assert site.file(number).read_bytes() == CONTENT
        assert site.results(number) == []
        control = control_directory(site.jobs, _allocation(number))
        assert not (control.path / "parts").exists()
    assert site.bucket.fetched.count(KEY) <= 2


@pytest.mark.parametrize("dying", ["link", "rename"])
def test_what_was_fetched_before_a_crash_is_not_fetched_again(site: ASite, dying: str) -> None:
    """A crash between download and link, and one between link and the place in the job."""
    real = getattr(os, dying)

    def dies(source: str, *arguments: object, **options: object) -> object:
        if dying == "link" or (source == "0" and site.content.exists()):
            raise Killed
        return real(source, *arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, dying, dies)
        with suppress(Killed):
            site.stage(1)
    assert not site.file(1).exists()
    site.stage(1, cache=site.another_process())
    assert site.file(1).read_bytes() == CONTENT
    assert site.bucket.fetched == [KEY]


def test_a_full_disk_leaves_no_half_file(site: ASite) -> None:
    def full(_key: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    site.bucket.before_fetch = full
    with pytest.raises(StagingError, match="the disk is full") as caught:
        site.stage(1)
    assert caught.value.final is False
    assert not site.content.exists()
    site.bucket.before_fetch = lambda _key: None
    site.stage(1)
    assert site.file(1).read_bytes() == CONTENT


def test_on_a_full_disk_what_no_job_has_makes_room(site: ASite) -> None:
    site.bucket.store("shared/held", b"held")
    site.stage(1)
    site.stage(2, (site.entry("held", "shared/held"),))
    site.file(1).unlink()
    own = Entry("own.dat", site.bucket.store("job3/own.dat", b"own"), 3)

    def full_until_there_is_room(key: str) -> None:
        if key == "job3/own.dat" and site.content.exists():
            raise OSError(errno.ENOSPC, "No space left on device")

    site.bucket.before_fetch = full_until_there_is_room
    with pytest.raises(StagingError, match="the disk is full"):
        site.stage(3, (own,))
    site.stage(3, (own,))
    assert site.file(3, "own.dat").read_bytes() == b"own"
    assert [file.size for file in site.cache.kept()] == [4], "a job directory has the other"


@pytest.mark.parametrize("code", [errno.EXDEV, errno.EMLINK, errno.EPERM])
def test_where_there_are_no_hard_links_it_is_copied(
    site: ASite, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refused(*_arguments: object, **_options: object) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "link", refused)
    site.stage(1)
    site.stage(2)
    assert site.file(2).read_bytes() == CONTENT
    assert site.file(1).stat().st_ino != site.file(2).stat().st_ino
    assert site.bucket.fetched == [KEY]
    assert site.results(1) == []


def test_a_link_whose_answer_was_lost_is_a_link(
    site: ASite, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.link

    def made_twice(*arguments: Any, **options: Any) -> None:
        real(*arguments, **options)
        real(*arguments, **options)

    monkeypatch.setattr(os, "link", made_twice)
    site.stage(1)
    assert site.file(1).samefile(site.content)


def test_two_pullers_that_overlap_spoil_nothing_for_each_other(site: ASite) -> None:
    both_here = threading.Barrier(2)

    def pass_of(number: int) -> None:
        cache = site.another_process()
        both_here.wait()
        for _ in range(5):
            with suppress(StagingError):  # the next pass tries again
                site.stage(number, cache=cache)
                return

    with ThreadPoolExecutor(2) as pool:
        list(pool.map(pass_of, (1, 2)))
    site.stage(3)
    for number in (1, 2, 3):
        assert site.file(number).read_bytes() == CONTENT
    assert site.content.read_bytes() == CONTENT


def test_a_version_that_is_gone_is_final_and_names_the_key(site: ASite) -> None:
    with pytest.raises(StagingError, match=KEY) as caught:
        site.stage(1, (Entry(PATH, "gone", 1, KEY),))
    assert caught.value.final is True


# ---- eviction ----


def test_what_no_job_has_goes_when_it_is_old(site: ASite) -> None:
    site.stage(1)
    site.now += 31 * DAY
    site.cache.sweep_if_due()
    assert len(site.cache.kept()) == 1, "a job directory has it"
    site.file(1).unlink()
    site.cache.sweep_if_due()
    assert len(site.cache.kept()) == 1, "it was swept a moment ago"
    site.now += DAY
    site.cache.sweep_if_due()
    assert site.cache.kept() == []


def test_use_keeps_it(site: ASite) -> None:
    for number in range(4):
        site.stage(number)
        site.file(number).unlink()
        site.now += 20 * DAY
        site.cache.sweep_if_due()
    assert site.bucket.fetched == [KEY]


def test_room_is_made_for_what_comes(tmp_path: Path) -> None:
    site = ASite(tmp_path / "aws-job", most_bytes=len(CONTENT) + 10)
    site.stage(1)
    site.file(1).unlink()
    site.bucket.store("shared/other", b"x" * 20)
    site.stage(2, (site.entry("other", "shared/other"),))
    assert [file.size for file in site.cache.kept()] == [20]


def test_what_is_being_placed_is_not_evicted(tmp_path: Path) -> None:
    site = ASite(tmp_path / "aws-job", most_bytes=0, keep_days=0)
    real = os.link

    def swept_before(*arguments: Any, **options: Any) -> None:
        site.now += DAY
        site.cache.sweep()
        real(*arguments, **options)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "link", swept_before)
        site.stage(1)
    assert site.file(1).read_bytes() == CONTENT
    assert site.bucket.fetched == [KEY]


def test_a_cache_that_was_never_used_is_not_made(site: ASite) -> None:
    site.cache.sweep_if_due()
    assert not (site.jobs / CACHE).exists()
    assert site.cache.kept() == []


def test_a_rest_of_an_eviction_that_died_goes(site: ASite) -> None:
    site.stage(1)
    site.content.unlink()
    site.cache.sweep()
    assert site.cache.kept() == []
