"""`install` and `uninstall` as an administrator calls them, with a crontab that is a file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.administration.install import suggested
from puller.administration.settings_file import edited, new_file, parsed
from puller.errors import SettingsError
from puller.lock import prepare_lock_dir
from puller.pass_lock import pass_lock
from puller.settings import Settings

CHECKOUT = Path(__file__).parents[3]
PRINTED = """\
site = "dc1"
bucket = "jobferry-prod-dc1"
table = "jobferry-JobTable"
region = "ap-northeast-1"
"""


@dataclass
class Account:
    """One account of a host, with a crontab of its own."""

    home: Path

    def __post_init__(self) -> None:
        (self.home / "bin").mkdir(parents=True)
        self.table.write_text("# mine\n")
        for name, table in (("crontab", self.table), ("scrontab", self.home / "scrontab")):
            program = self.home / "bin" / name
            program.write_text(
                f"#!/bin/sh\ncase $1 in\n-l) [ -e {table} ] || {{ echo no crontab for u >&2; "
                f"exit 1; }}; cat {table};;\n-r) rm {table};;\n*) cat > {table};;\nesac\n"
            )
            program.chmod(0o755)
        (self.home / "dc1.txt").write_text(PRINTED)

    @property
    def table(self) -> Path:
        return self.home / "table"

    @property
    def settings_file(self) -> Path:
        return self.home / ".config/jobferry/puller.toml"

    def settings(self) -> dict[str, object]:
        return tomllib.loads(self.settings_file.read_text())

    def puller(self, *arguments: str, expect: int = 0, **environment: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "puller", *arguments],
            env={
                "HOME": str(self.home),
                "PATH": f"{self.home / 'bin'}:/usr/bin:/bin",
                "PYTHONPATH": str(CHECKOUT),
                **environment,
            },
            cwd=self.home,
            stdin=(self.home / "dc1.txt").open(),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout + done.stderr

    def install(self, *arguments: str, expect: int = 0, **environment: str) -> str:
        source = ("install", "--from", "dc1.txt", "--scheduler", "local")
        return self.puller(*source, *arguments, expect=expect, **environment)


@pytest.fixture
def account(tmp_path: Path) -> Account:
    return Account(tmp_path / "home")


def test_the_lines_of_the_deployment_become_a_working_installation(account: Account) -> None:
    account.install()
    assert account.settings() == {**tomllib.loads(PRINTED), "scheduler": "local"}
    assert account.settings_file.stat().st_mode & 0o777 == 0o600
    lines = account.table.read_text().splitlines()
    assert lines[0] == "# mine"
    assert lines[2].startswith("* * * * * ")
    assert lines[2].endswith(f"-m puller --settings {account.settings_file} pass --linger 55")


def test_settings_come_from_stdin_too(account: Account) -> None:
    account.puller("install", "--from", "-", "--scheduler", "local")
    assert account.settings()["bucket"] == "jobferry-prod-dc1"


def test_installing_again_changes_nothing(account: Account) -> None:
    account.install()
    before = account.settings_file.read_text(), account.table.read_text()
    assert "nothing to do" in account.install()
    assert (account.settings_file.read_text(), account.table.read_text()) == before


def test_comments_and_other_settings_survive(account: Account) -> None:
    account.install()
    file = account.settings_file
    file.write_text(f"# by hand\nmax_active = 7\n{file.read_text()}")
    account.puller("install", "--region", "eu-west-1")
    assert file.read_text().startswith("# by hand\nmax_active = 7\n")
    assert account.settings()["region"] == "eu-west-1"
    assert account.settings()["max_active"] == 7


def test_print_touches_nothing(account: Account) -> None:
    said = account.install("--print")
    assert "* * * * *" in said
    assert 'bucket = "jobferry-prod-dc1"' in said
    assert account.table.read_text() == "# mine\n"
    assert {entry.name for entry in account.home.iterdir()} == {"bin", "table", "dc1.txt"}


def test_uninstall_removes_just_the_lines(account: Account) -> None:
    account.install()
    account.puller("uninstall")
    assert account.table.read_text() == "# mine\n"
    assert account.settings_file.exists()
    assert "Nothing starts the puller" in account.puller("uninstall")
    account.puller("uninstall", "--with-settings")
    assert not account.settings_file.exists()


def test_another_way_to_start_takes_the_place_of_the_first(account: Account) -> None:
    account.install()
    account.install("--scrontab", "--scron-option=--partition=cron")
    assert account.table.read_text() == "# mine\n"
    assert "#SCRON --partition=cron\n* * * * * " in (account.home / "scrontab").read_text()


def test_missing_settings_are_named_and_nothing_is_written(account: Account) -> None:
    said = account.puller("install", "--site", "dc1", "--scheduler", "local", expect=3)
    assert "missing settings: bucket, table, region" in said
    assert str(account.settings_file) in said
    assert account.table.read_text() == "# mine\n"
    assert not account.settings_file.exists()


def test_a_wrong_digest_stops_the_installation(account: Account) -> None:
    assert "fetch it again" in account.install("--sha256", "0" * 64, expect=3)
    assert not account.settings_file.exists()


def test_an_interval_that_cron_cannot_keep_even_is_refused(account: Account) -> None:
    account.install("--every", "7", expect=2)


def test_two_sites_of_one_user_stand_side_by_side(account: Account) -> None:
    account.install()
    osaka = PRINTED.replace("dc1", "osaka")
    (account.home / "osaka.txt").write_text(osaka)
    arguments = ("--settings", str(account.home / "osaka.toml"), "install", "--from", "osaka.txt")
    said = account.puller(*arguments, "--scheduler", "local", expect=3)
    assert "is used by site dc1" in said
    jobs = str(account.home / "osaka-jobs")
    account.puller(*arguments, "--scheduler", "local", "--jobs-dir", jobs)
    assert account.table.read_text().count("* * * * * ") == 2
    statuses = [
        json.loads(account.puller(*chosen, "status", "--json"))
        for chosen in ((), ("--settings", str(account.home / "osaka.toml")))
    ]
    assert [status["site"] for status in statuses] == ["dc1", "osaka"]
    assert statuses[0]["state_dir"] != statuses[1]["state_dir"]
    account.puller("uninstall")
    assert account.table.read_text().count("* * * * * ") == 1
    assert "osaka.toml" in account.table.read_text()


def test_two_users_of_one_host_do_not_meet(tmp_path: Path) -> None:
    for name in ("one", "two"):
        account = Account(tmp_path / name)
        account.install()
        assert str(account.home) in account.table.read_text()
        assert (account.home / "aws-job/.jobferry/site.json").exists()


def test_each_state_directory_has_a_lock_of_its_own(tmp_path: Path) -> None:
    def settings(state: str) -> Settings:
        return Settings(
            site="dc1", bucket="b", table="t", region="r", scheduler="local", state_dir=Path(state)
        )

    one, other = settings(f"{tmp_path}/one"), settings(f"{tmp_path}/other")
    assert pass_lock(one) != pass_lock(other)
    assert pass_lock(one) == pass_lock(settings(f"{tmp_path}/other/../one"))
    assert pass_lock(one).parent.name == f"jobferry-{os.getuid()}"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory to another user")
def test_the_lock_directory_of_another_user_is_refused(tmp_path: Path) -> None:
    os.chown(tmp_path, 5, 60)
    with pytest.raises(SettingsError, match="not a directory of yours"):
        prepare_lock_dir(tmp_path)


def test_what_only_the_login_shell_has_is_written_down(tmp_path: Path) -> None:
    (tmp_path / "sbatch").touch(mode=0o755)
    environment = {
        "PATH": f"{tmp_path}:/usr/bin",
        "SLURM_CONF": "/opt/slurm.conf",
        "HTTPS_PROXY": "http://proxy:8080",
        "AWS_PROFILE": "jobferry",
        "OTHER": "x",
    }
    assert suggested(environment, {"scheduler": "slurm"}, detect=lambda _: "no") == {
        "path": f"{tmp_path}:/usr/local/bin:/usr/bin:/bin",
        "scheduler_environment": {"SLURM_CONF": "/opt/slurm.conf"},
        "proxy": "http://proxy:8080",
        "profile": "jobferry",
    }


def test_what_is_set_already_is_not_overruled_by_the_shell() -> None:
    known = {"scheduler": "local", "proxy": "http://mine", "profile": "p"}
    environment = {"HTTPS_PROXY": "http://other", "AWS_PROFILE": "other"}
    assert suggested(environment, known, detect=lambda _: "no") == {}


def test_a_scheduler_that_is_not_named_is_looked_for() -> None:
    assert suggested({}, {}, detect=lambda _: "slurm") == {"scheduler": "slurm"}
    assert suggested({}, {"scheduler": "auto"}, detect=lambda _: "slurm") == {}


values = st.one_of(
    st.text(max_size=20), st.integers(0, 10**6), st.booleans(), st.lists(st.text(max_size=5))
)


@given(st.dictionaries(st.sampled_from(["site", "path", "max_active", "submit_args"]), values))
def test_edited_settings_read_as_they_were_given(given_values: dict[str, object]) -> None:
    text = edited(new_file(), given_values, "file")
    assert parsed(text, "file") == given_values
    assert edited(text, given_values, "file") == text


def test_a_setting_goes_before_the_first_table() -> None:
    text = 'site = "a"\n[scheduler_environment]\nA = "1"\n'
    changed = edited(text, {"proxy": "p", "site": "b"}, "file")
    assert parsed(changed, "file") == {
        "site": "b",
        "proxy": "p",
        "scheduler_environment": {"A": "1"},
    }


def test_a_form_that_cannot_be_edited_is_left_to_people() -> None:
    with pytest.raises(SettingsError, match="by hand"):
        edited('submit_args = [\n "a",\n]\n', {"submit_args": ["b"]}, "file")


def test_a_new_file_has_no_setting_of_the_example() -> None:
    assert parsed(new_file(), "example") == {}
    assert "#bucket = " in new_file()
