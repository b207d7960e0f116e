"""What a policy changes in the steps of a pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from puller.cloud.written import Written
from puller.journal import Phase
from puller.lifecycle import Lifecycle
from puller.policy_guard import PolicyGuard
from tests.unit.puller.trust.signed_site import SignedSite


@pytest.mark.parametrize("phase", [Phase.SUBMITTING, Phase.SUBMITTED])
def test_an_end_that_this_site_has_not_seen_keeps_its_directory(
    site: SignedSite, phase: Phase
) -> None:
    lifecycle = Lifecycle(site.place())
    record = lifecycle.place.journal.write(replace(site.record(), phase=phase))
    after = lifecycle.after(record, Written.ENDED)
    assert after is not None
    assert after.phase is Phase.FENCED
    assert lifecycle.place.journal.find(record.id) == after


def test_an_end_of_its_own_is_believed(site: SignedSite) -> None:
    site.settings.jobs_dir.mkdir()
    lifecycle = Lifecycle(site.place())
    record = lifecycle.place.journal.write(replace(site.record(), phase=Phase.ENDED))
    assert lifecycle.after(record, Written.ENDED) is None
    assert lifecycle.place.journal.find(record.id) is None


def test_a_broken_policy_is_a_problem_and_lets_results_leave(site: SignedSite) -> None:
    guard = PolicyGuard(site.place())
    assert guard.problem() is None
    assert guard.why_results_wait() is None
    assert not guard.audit_objects
    (site.home / "policy.toml").write_text("[quotas]\nbytes_out_a_day = 0\n")
    assert "bytes_out_a_day" in str(guard.why_results_wait())
    (site.home / "policy.toml").unlink()
    assert "nothing is submitted" in str(guard.problem())
    assert guard.why_results_wait() is None
    assert guard.audit_objects
