"""Settings: which source wins, and errors that name the source and the setting."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from pathlib import Path

import pytest

import puller.settings
from puller.errors import SettingsError
from puller.settings import Settings, load_settings

MINIMAL = 'site = "dc1"\nbucket = "b"\ntable = "t"\nregion = "r"\nscheduler = "slurm"\n'
EXAMPLE = Path(puller.settings.__file__).with_name("settings.example.toml")


def load(tmp_path: Path, text: str = "", **sources: dict[str, object]) -> Settings:
    file = tmp_path / "puller.toml"
    file.write_text(MINIMAL + text)
    environment = {k: str(v) for k, v in sources.get("environment", {}).items()}
    return load_settings(file, environment, sources.get("flags", {}))


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    environment: dict[str, object] = {"JOBFERRY_PULLER_SITE": "two"}
    assert load(tmp_path).site == "dc1"
    assert load(tmp_path, environment=environment).site == "two"
    assert load(tmp_path, environment=environment, flags={"site": "three"}).site == "three"
    assert load(tmp_path, environment=environment, flags={"site": None}).site == "two"


def test_defaults(tmp_path: Path) -> None:
    settings = load(tmp_path)
    assert (settings.lost_after, settings.resubmit_after, settings.max_active) == (120, 30, 50)
    assert settings.state.parts[-2:] == ("jobferry", "dc1")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("max_active = 0", "max_active = 0: at least 1"),
        ('max_active = "many"', "max_active = 'many'"),
        ("lost_after = 119", "lost_after = 119: at least 120"),
        ("resubmit_after = 0", "resubmit_after = 0: at least 1"),
        ("command_timeout = 0", "command_timeout = 0: at least 1"),
        ("linger_interval = 0", "linger_interval = 0: at least 0.1"),
        ('jobs_dir = "relative"', "jobs_dir = 'relative': write an absolute path"),
        ("jobs_dir = 5", "jobs_dir = 5: write it in quotes"),
        ('umask = "9"', "umask = '9'"),
        ('log_level = "LOUD"', "log_level = 'LOUD': one of"),
        ("submit_args = [1]", "submit_args = [1]: write it in quotes"),
        ("lost_after = nan", "lost_after = nan"),
        ("command_timeout = inf", "command_timeout = inf"),
        ('attributes = {"gpu" = "1"}', "'gpu' must begin with attr., meta. or node."),
        ('attributes = {"meta.gpu" = 1}', "write it in quotes"),
        ("max_active = true", "max_active = True"),
        ("max_active = 2.5", "max_active = 2.5"),
    ],
)
def test_a_wrong_value_names_the_file_and_the_setting(
    tmp_path: Path, line: str, message: str
) -> None:
    with pytest.raises(SettingsError, match=re.escape(message)) as raised:
        load(tmp_path, line)
    assert str(raised.value).startswith(str(tmp_path / "puller.toml"))


def test_a_wrong_value_in_the_environment_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^environment JOBFERRY_PULLER_MAX_ACTIVE: max_active"):
        load(tmp_path, environment={"JOBFERRY_PULLER_MAX_ACTIVE": "x"})


def test_a_wrong_flag_names_the_command_line(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"^the command line: jobs_dir = 'x'"):
        load(tmp_path, flags={"jobs_dir": "x"})


def test_an_unknown_setting_is_told_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="unknown setting 'sit'; known are artifact_hosts"):
        load(tmp_path, "sit = 1")


def test_a_file_that_is_no_toml_is_told(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"puller\.toml cannot be read"):
        load(tmp_path, "site =")


def test_missing_settings_are_all_named(tmp_path: Path) -> None:
    file = tmp_path / "empty.toml"
    file.touch()
    with pytest.raises(SettingsError, match="site, bucket, table, region, scheduler"):
        load_settings(file, {}, {})


def test_a_named_file_must_exist(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml does not exist"):
        load_settings(tmp_path / "none.toml", {}, {})


def test_the_example_file_shows_every_setting_with_its_default() -> None:
    text = EXAMPLE.read_text()
    names = {field.name for field in dataclasses.fields(Settings)}
    shown = set(re.findall(r"^#?\[?([a-z_]+)(?:\]| =)", text, re.MULTILINE))
    assert names <= shown
    stated = tomllib.loads(re.sub(r"^#([a-z_]+ = )", r"\1", text, flags=re.MULTILINE))
    fields = {field.name: field for field in dataclasses.fields(Settings)}
    for name in ("lost_after", "resubmit_after", "max_active", "umask", "command_timeout"):
        assert stated[name] == fields[name].default, name


def test_artifact_hosts_are_none_by_default_and_checked_when_read(tmp_path: Path) -> None:
    assert load(tmp_path).artifact_hosts == ()
    listed = load(tmp_path, 'artifact_hosts = ["*.example.org", "10.1.0.0/16", "s3://data"]')
    assert listed.artifact_hosts == ("*.example.org", "10.1.0.0/16", "s3://data")
    with pytest.raises(SettingsError, match=r"artifact_hosts.*'x\.org/a' is no host"):
        load(tmp_path, 'artifact_hosts = ["x.org/a"]')
