"""The puller's lines in a crontab: what was there stays, what was added goes."""

from __future__ import annotations

import shlex
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.administration.cron_table import CronTable, NoTable, NotInstalled
from puller.administration.own_lines import DamagedLines, block_of, with_block, without_block
from puller.administration.schedule import Schedule, cron_lines, scrontab_lines, systemd_units
from puller.administration.starters import SystemdStarter, TableStarter
from puller.errors import SettingsError

FILE = Path("/home/u/.config/jobferry/puller.toml")
SCHEDULE = Schedule(words=("/usr/bin/python3", "/home/u/jobferry-puller"), settings_file=FILE)

FAKE_CRONTAB = """\
#!/bin/sh
[ -e "$TABLE.forbidden" ] && { echo 'You (u) are not allowed to use this program' >&2; exit 1; }
case "$1" in
  -l) [ -e "$TABLE" ] || { echo "no crontab for u" >&2; exit 1; }; cat "$TABLE" ;;
  -r) rm "$TABLE" ;;
  -) cat > "$TABLE" ;;
  *) exit 2 ;;
esac
"""

tables = st.lists(
    st.binary(max_size=20).filter(lambda line: b"\n" not in line and b"jobferry" not in line),
    max_size=6,
).map(lambda lines: b"".join(line + b"\n" for line in lines))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    program = tmp_path / "bin" / "crontab"
    program.parent.mkdir()
    program.write_text(FAKE_CRONTAB)
    program.chmod(0o755)
    return tmp_path / "table"


@pytest.fixture
def environment(table: Path) -> dict[str, str]:
    return {"PATH": f"{table.parent / 'bin'}:/usr/bin:/bin", "TABLE": str(table)}


def starter(environment: dict[str, str], key: str = "k") -> TableStarter:
    return TableStarter(CronTable("crontab", environment), key, cron_lines)


@given(table=tables, lines=st.lists(st.text("ab *", max_size=9), max_size=3))
def test_removing_undoes_adding_byte_for_byte(table: bytes, lines: list[str]) -> None:
    added = with_block(table, "key", lines)
    assert added.startswith(table)
    assert without_block(added, "key") == table
    assert block_of(added, "key") == lines


@given(table=tables)
def test_adding_twice_is_adding_once(table: bytes) -> None:
    once = with_block(table, "key", ["* * * * * x"])
    assert with_block(once, "key", ["* * * * * x"]) == once


@given(before=tables, after=tables)
def test_a_block_is_replaced_in_its_place(before: bytes, after: bytes) -> None:
    table = with_block(before, "key", ["old"]) + after
    assert without_block(with_block(table, "key", ["new"]), "key") == before + after
    assert with_block(table, "key", ["new"]).endswith(after)


def test_blocks_of_two_sites_do_not_meet() -> None:
    both = with_block(with_block(b"# mine\n", "a", ["1"]), "a/b", ["2"])
    assert block_of(both, "a") == ["1"]
    assert block_of(both, "a/b") == ["2"]
    assert without_block(both, "a") == with_block(b"# mine\n", "a/b", ["2"])


def test_a_last_line_without_a_line_break_is_not_glued_to_ours() -> None:
    assert with_block(b"0 0 * * * x", "k", ["y"]).startswith(b"0 0 * * * x\n# >>>")


@pytest.mark.parametrize("lost", [0, 2])
def test_a_block_that_lost_a_mark_is_left_alone(lost: int) -> None:
    lines = with_block(b"", "k", ["* * * * * x"]).splitlines(keepends=True)
    del lines[lost]
    with pytest.raises(DamagedLines, match="by hand"):
        without_block(b"".join(lines), "k")


def test_installing_into_no_crontab_and_removing_leaves_none(
    table: Path, environment: dict[str, str]
) -> None:
    one = starter(environment)
    assert one.lines() is None
    one.put(SCHEDULE)
    assert one.lines() == one.rendered(SCHEDULE)
    assert one.remove()
    assert not table.exists()
    assert not one.remove()


def test_a_crontab_that_cannot_be_read_is_never_written(
    table: Path, environment: dict[str, str]
) -> None:
    table.write_text("precious\n")
    Path(f"{table}.forbidden").touch()
    with pytest.raises(NoTable, match="not allowed"):
        starter(environment).put(SCHEDULE)
    assert table.read_text() == "precious\n"


def test_a_crontab_that_changes_meanwhile_is_not_overwritten(
    table: Path, environment: dict[str, str]
) -> None:
    table.write_text("theirs\n")
    with pytest.raises(NoTable, match="changed meanwhile"):
        CronTable("crontab", environment).write(b"earlier\n", b"mine\n")
    assert table.read_text() == "theirs\n"


def test_without_cron_the_other_ways_are_named() -> None:
    with pytest.raises(NotInstalled, match="--systemd"):
        CronTable("crontab", {"PATH": "/nonexistent"}).read()


def test_other_bytes_survive_installation(table: Path, environment: dict[str, str]) -> None:
    content = "# Grüße\r\n\n\tMAILTO=x\n0 0 * * * a\\%b\n".encode() + b"# \xff\xfe\n"
    table.write_bytes(content)
    one = starter(environment)
    one.put(SCHEDULE)
    one.put(SCHEDULE)
    assert table.read_bytes().startswith(content)
    one.remove()
    assert table.read_bytes() == content


@pytest.mark.parametrize("bad", ["100%", "a\nb", "tab\tbed"])
def test_a_path_that_would_break_the_line_is_refused(bad: str) -> None:
    with pytest.raises(SettingsError, match=r"contains (%|a control character)"):
        Schedule(words=("/usr/bin/python3", f"/home/{bad}/jobferry-puller"), settings_file=FILE)


@given(st.text(st.characters(codec="utf-8", exclude_characters="%"), min_size=1, max_size=9))
def test_a_shell_reads_the_same_words_from_the_line(name: str) -> None:
    if not name.isprintable():
        return
    schedule = Schedule(words=("/usr/bin/python3", f"/x/{name}"), settings_file=FILE)
    (line,) = cron_lines(schedule)
    assert tuple(shlex.split(line.removeprefix("* * * * * "))) == schedule.command


@pytest.mark.parametrize(
    ("every", "minutes", "calendar"), [(1, "*", "*:*"), (5, "*/5", "*:0/5"), (60, "0", "*:0")]
)
def test_how_often_in_crontab_and_systemd(every: int, minutes: str, calendar: str) -> None:
    schedule = Schedule(words=("/p",), settings_file=FILE, every=every, linger=0)
    assert cron_lines(schedule) == [f"{minutes} * * * * /p --settings {FILE} pass"]
    assert (
        f"\nOnCalendar={calendar}\n" in systemd_units(schedule, "dc1")["jobferry-puller-dc1.timer"]
    )


def test_scrontab_options_stand_before_the_one_entry() -> None:
    *options, entry = scrontab_lines(SCHEDULE, ["--partition=cron"])
    assert all(line.startswith("#SCRON --") for line in options)
    assert "#SCRON --partition=cron" in options
    assert entry.startswith("* * * * * ")


def test_systemd_spares_the_jobs_that_a_pass_has_started() -> None:
    words = ("/usr/bin/python3", '/home/a "b" $c\\/puller')
    schedule = Schedule(words=words, settings_file=FILE)
    service = systemd_units(schedule, "dc1")["jobferry-puller-dc1.service"]
    assert "\nKillMode=process\n" in service
    assert '"/home/a \\"b\\" $$c\\\\/puller"' in service


def fake_systemctl(tmp_path: Path) -> dict[str, str]:
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir(exist_ok=True)
    program.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n')
    program.chmod(0o755)
    return {"PATH": f"{program.parent}:/usr/bin:/bin"}


def test_a_systemd_timer_is_installed_and_removed(tmp_path: Path) -> None:
    folder = tmp_path / "units"
    one = SystemdStarter(folder, "dc1", FILE, fake_systemctl(tmp_path))
    one.put(SCHEDULE)
    assert one.lines() == one.rendered(SCHEDULE)
    assert stat.S_IMODE((folder / "jobferry-puller-dc1.timer").stat().st_mode) == 0o644
    assert one.remove()
    assert list(folder.iterdir()) == []
    assert (tmp_path / "calls").read_text().splitlines() == [
        "--user daemon-reload",
        "--user enable --now jobferry-puller-dc1.timer",
        "--user disable --now jobferry-puller-dc1.timer",
        "--user daemon-reload",
    ]


def test_a_systemd_unit_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    folder = tmp_path / "units"
    environment = fake_systemctl(tmp_path)
    SystemdStarter(folder, "dc1", FILE, environment).put(SCHEDULE)
    other = SystemdStarter(folder, "dc1", Path("/other.toml"), environment)
    with pytest.raises(NoTable, match="is not of this installation"):
        other.put(SCHEDULE)
    assert not other.remove()
    assert len(list(folder.iterdir())) == 2
