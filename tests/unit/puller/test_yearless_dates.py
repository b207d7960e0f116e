from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.schedulers.yearless_dates import epoch_of


def test_an_expected_start_may_lie_in_the_next_year() -> None:
    def local(text: str) -> int:
        return int(time.mktime(time.strptime(text, "%Y-%m-%d %H:%M")))

    now, half_a_year = local("2026-12-30 12:00"), 180 * 86400.0
    assert epoch_of("(01/02 10:00)", now, ahead=half_a_year) == local("2027-01-02 10:00")
    assert epoch_of("(12/29 10:00)", now, ahead=half_a_year) == local("2026-12-29 10:00")
    assert epoch_of("(01/02 10:00)", now) == local("2026-01-02 10:00")


def local(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    return int(time.mktime((year, month, day, hour, minute, second, 0, 0, -1)))


NOW = local(2026, 1, 2, 12, 0, 0)


@pytest.mark.parametrize(
    ("shown", "moment"),
    [
        ("Jan  2 11:59", (2026, 1, 2, 11, 59, 0)),
        ("Fri Jan  2 11:59:30", (2026, 1, 2, 11, 59, 30)),
        ("Fri Jan  3 11:59:30 2020", (2020, 1, 3, 11, 59, 30)),
        ("Dec 28 19:56 L", (2025, 12, 28, 19, 56, 0)),
        ("12/31 23:59:59", (2025, 12, 31, 23, 59, 59)),
        ("(01/02 13:00)", (2026, 1, 2, 13, 0, 0)),
        ("2024/02/29 00:00:00", (2024, 2, 29, 0, 0, 0)),
        ("02/29 00:00:00", (2024, 2, 29, 0, 0, 0)),
        ("01/02 12:00:00<", (2026, 1, 2, 12, 0, 0)),
    ],
)
def test_a_date_is_the_latest_that_it_can_be(
    shown: str, moment: tuple[int, int, int, int, int, int]
) -> None:
    assert epoch_of(shown, NOW) == local(*moment)


@pytest.mark.parametrize("shown", ["", "-", "13/01 00:00", "02/30 00:00:00", "Foo 1 00:00", "1:2"])
def test_what_is_no_date_has_no_moment(shown: str) -> None:
    assert epoch_of(shown, NOW) is None


@given(st.text() | st.from_regex(r"[A-Z][a-z]{2} [0-9]{1,2} [0-9]{2}:[0-9]{2}( [0-9]{4})?"))
def test_no_text_breaks_it(shown: str) -> None:
    found = epoch_of(shown, NOW)
    assert found is None or isinstance(found, int)
