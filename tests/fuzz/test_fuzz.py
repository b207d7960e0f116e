"""Every parser of outside input, with inputs that are nearly right; `make fuzz` has many more."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import control_plane, site
from tests.fuzz.mutation import inputs
from tests.fuzz.target import Target

TARGETS = (*control_plane.TARGETS, *site.TARGETS)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_samples_are_read(target: Target) -> None:
    for sample in target.samples:
        target.run(sample)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(data=st.data())
def test_no_input_breaks_a_parser(target: Target, data: st.DataObject) -> None:
    target.run(data.draw(inputs(target.samples, target.words, json_too=target.is_json)))


def test_what_a_target_finds_is_reported() -> None:
    with pytest.raises(AssertionError):
        control_plane.stays_inside("a/../../b")
