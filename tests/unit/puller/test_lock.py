"""Locks end with the process that holds them, and an orphan holds on."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from puller.errors import HeldElsewhere, SettingsError
from puller.lock import exclusive_lock, inheritable_lock, prepare_lock_dir


def test_a_second_pass_finds_the_first_at_work(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with exclusive_lock(path), pytest.raises(HeldElsewhere), exclusive_lock(path):
        pass
    with exclusive_lock(path):
        pass


def test_a_lock_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    program = (
        "import os, signal; from pathlib import Path; from puller.lock import exclusive_lock\n"
        f"with exclusive_lock(Path({str(path)!r})): os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert path.exists()
    with exclusive_lock(path):
        pass


def test_a_child_does_not_hold_the_lock_of_a_pass(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with exclusive_lock(path):
        child = subprocess.Popen(["sleep", "30"], close_fds=False)
    try:
        with exclusive_lock(path):
            pass
    finally:
        child.kill()
        child.wait()


def test_an_orphaned_submission_holds_its_lock_until_it_ends(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with inheritable_lock(path) as descriptor:
        child = subprocess.Popen(["sleep", "30"], pass_fds=(descriptor,))
    try:
        with pytest.raises(HeldElsewhere, match="still under way"), inheritable_lock(path):
            pass
    finally:
        child.kill()
        child.wait()
    with inheritable_lock(path):
        pass


def test_a_link_in_the_lock_s_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic links"), exclusive_lock(tmp_path / "lock"):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_the_lock_directory_is_made_for_this_user_alone(tmp_path: Path) -> None:
    prepare_lock_dir(tmp_path / "a/b")
    assert (tmp_path / "a/b").stat().st_mode & 0o777 == 0o700
    prepare_lock_dir(tmp_path / "a/b")


def test_a_lock_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    with pytest.raises(SettingsError, match="set lock_dir to another one"):
        prepare_lock_dir(tmp_path / "link")


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a directory away")
def test_a_lock_directory_of_somebody_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", 12345, 12345)
    with pytest.raises(SettingsError, match="not a directory of yours"):
        prepare_lock_dir(tmp_path / "theirs")
