from __future__ import annotations

import os
import pwd
import subprocess
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.login_environment import (
    LoginEnvironmentUnknown,
    cleaned,
    login_environment,
    parse_environment,
)


def account(home: Path, shell: str) -> pwd.struct_passwd:
    return pwd.struct_passwd(("hanako", "x", 1000, 1000, "", str(home), shell))


def shell_or_skip(*paths: str) -> str:
    for path in paths:
        if Path(path).exists():
            return path
    pytest.skip(f"{paths[0]} is not installed")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    path = tmp_path / "home of 花子"
    path.mkdir()
    return path


def test_an_unexported_module_function_works_in_a_job(home: Path) -> None:
    (home / ".bash_profile").write_text(
        "echo noise\n_loaded() { printf 'loaded %s' \"$1\"; }\nmodule() { _loaded $2; }\n"
    )
    environment = login_environment(account(home, "/bin/bash"))
    job = subprocess.run(
        ["/bin/bash", "-c", "module load gcc"],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert job.stdout == "loaded gcc"


def test_the_environment_is_that_of_a_login_and_not_the_pullers(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    (home / ".bash_profile").write_text(
        "export PATH=/opt/site/bin:$PATH TWO='a\nb' AWS_PROFILE=p\n"
    )
    environment = login_environment(
        account(home, "/bin/bash"), language="ja_JP.UTF-8", without=("AWS_*",)
    )
    assert environment["PATH"].startswith("/opt/site/bin:")
    assert (environment["HOME"], environment["USER"]) == (str(home), "hanako")
    assert (environment["SHELL"], environment["LOGNAME"]) == ("/bin/bash", "hanako")
    assert (environment["LANG"], environment["TWO"]) == ("ja_JP.UTF-8", "a\nb")
    assert not [name for name in environment if name.startswith("AWS_")]
    assert not {"PWD", "OLDPWD", "SHLVL", "_", "LC_ALL"} & set(environment)


@pytest.mark.parametrize("paths", [("/bin/sh",), ("/bin/dash",), ("/bin/zsh", "/usr/bin/zsh")])
def test_other_shells_of_the_bourne_family_answer(home: Path, paths: tuple[str, ...]) -> None:
    for profile in (".profile", ".zprofile"):
        (home / profile).write_text("echo noise\nSITE=here; export SITE\n")
    shell = shell_or_skip(*paths)
    assert login_environment(account(home, shell))["SITE"] == "here"


def test_csh_answers(home: Path) -> None:
    (home / ".login").write_text("echo noise\nsetenv SITE here\n")
    shell = shell_or_skip("/bin/tcsh", "/usr/bin/tcsh")
    assert login_environment(account(home, shell))["SITE"] == "here"


def test_a_profile_that_becomes_another_shell_answers(home: Path) -> None:
    (home / ".bash_profile").write_text("export SITE=here\nexec /bin/sh\n")
    assert login_environment(account(home, "/bin/bash"))["SITE"] == "here"


def test_a_profile_that_asks_a_question_answers(home: Path) -> None:
    (home / ".bash_profile").write_text("read -p 'Which project? ' project\nexport SITE=here\n")
    assert login_environment(account(home, "/bin/bash"))["SITE"] == "here"


def test_a_profile_that_leaves_a_process_behind_answers_soon(home: Path) -> None:
    (home / ".bash_profile").write_text("sleep 300 &\nexport SITE=here\n")
    began = time.monotonic()
    assert login_environment(account(home, "/bin/bash"))["SITE"] == "here"
    assert time.monotonic() - began < 60


def test_a_logout_file_that_hangs_does_not_matter(home: Path) -> None:
    (home / ".bash_profile").write_text("export SITE=here\n")
    (home / ".bash_logout").write_text("sleep 300\n")
    assert login_environment(account(home, "/bin/bash"), timeout=8)["SITE"] == "here"


@pytest.mark.parametrize(
    ("profile", "shell", "why"),
    [
        ("sleep 300\n", "/bin/bash", "within 1 s"),
        ("echo go away >&2; exit 1\n", "/bin/bash", "go away"),
        ("", "/bin/no-such-shell", "No such file"),
    ],
)
def test_a_shell_that_does_not_answer_is_told(
    home: Path, profile: str, shell: str, why: str
) -> None:
    (home / ".bash_profile").write_text(profile)
    with pytest.raises(LoginEnvironmentUnknown, match=why) as told:
        login_environment(account(home, shell), timeout=1)
    assert "mend the profile" in str(told.value)


def test_a_home_that_is_missing_is_no_reason_to_fail(tmp_path: Path) -> None:
    environment = login_environment(account(tmp_path / "none", "/bin/bash"))
    assert environment["HOME"] == str(tmp_path / "none")


@given(
    st.dictionaries(
        st.text(alphabet=st.characters(exclude_characters="=\0", codec="utf-8"), min_size=1),
        st.text(alphabet=st.characters(exclude_characters="\0", codec="utf-8")),
    )
)
def test_any_environment_comes_back_whole(variables: dict[str, str]) -> None:
    content = b"".join(os.fsencode(f"{name}={value}") + b"\0" for name, value in variables.items())
    assert parse_environment(content) == variables


@given(st.binary())
def test_no_content_raises(content: bytes) -> None:
    parse_environment(content)


def test_patterns_leave_names_out() -> None:
    variables = {"AWS_PROFILE": "p", "AWSOME": "x", "PWD": "/"}
    assert cleaned(variables, ("AWS_*",)) == {"AWSOME": "x"}
