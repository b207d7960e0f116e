"""The policy file: what it says, and that nothing in it is guessed."""

from __future__ import annotations

import dataclasses
import re
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import puller.trust.policy as policy_module
from puller.trust.bounds import Bounds
from puller.trust.policy import Policy, PolicyBroken, load_policy, parse_policy
from puller.trust.quotas import Quotas


def test_an_empty_policy_allows_everything() -> None:
    assert parse_policy("") == Policy()


def test_what_a_policy_says() -> None:
    policy = parse_policy(
        f"""
        signatures = "required"
        allowed_signers = "/etc/jobferry/signers"
        revoked_keys = "/etc/jobferry/revoked"
        signers = ["alice"]
        scripts = ["sha256:{"0a" * 32}"]
        """
    )
    assert policy == Policy(
        signatures_required=True,
        allowed_signers=Path("/etc/jobferry/signers"),
        revoked_keys=Path("/etc/jobferry/revoked"),
        signers=frozenset({"alice"}),
        scripts=frozenset({"0a" * 32}),
    )


def test_sizes_and_times_are_read() -> None:
    policy = parse_policy(
        """
        queues = ["a", "b"]
        drivers = ["script", "java"]
        directives = "any"
        quiet_hours = ["22:00-02:00"]
        [limits]
        memory = "2G"
        time_limit = "1d"
        [quotas]
        disk = "1G"
        bytes_out_a_day = 5
        """
    )
    assert policy.bounds == Bounds(
        memory_mb=2048, time_limit=86400, queues=("a", "b"), any_directives=True
    )
    assert policy.drivers == ("script", "java")
    assert policy.quotas == Quotas(disk=1024**3, bytes_out_a_day=5)
    assert str(policy.quiet_hours[0]) == "22:00-02:00"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("signature = 1", "signature"),
        ("signatures = true", "signatures"),
        ('signatures = "Required"', "signatures"),
        ('signatures = "required"', "allowed_signers"),
        ('allowed_signers = "signers"', "allowed_signers"),
        ('scripts = ["abc"]', "scripts"),
        ('scripts = ["sha256:abc"]', "scripts"),
        ('scripts = "sha256:abc"', "scripts"),
        ("signers = [1]", "signers"),
        ('signers = [""]', "signers"),
        ("signatures = required", "line 1"),
        ("queues = []", "queues"),
        ("limits = 3", "limits"),
        ("[limits]\nnodes = -1", "limits.nodes"),
        ("[limits]\nnodes = true", "limits.nodes"),
        ('[limits]\nmemory = "4X"', "limits.memory"),
        ('[limits]\ntime_limit = "1:30"', "limits.time_limit"),
        ("[limits]\ndisk = 1", "limits.disk"),
        ("[quotas]\ndisk = 1.5", "quotas.disk"),
        ('quiet_hours = ["8-12"]', "quiet_hours"),
        ('directives = "none"', "directives"),
    ],
)
def test_what_is_wrong_is_named(text: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        parse_policy(text)


@given(st.binary(max_size=60))
def test_whatever_lies_there_is_a_policy_or_broken(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("policy") / "dc1.toml"
    path.write_bytes(content)
    with suppress(PolicyBroken):
        assert isinstance(load_policy(path), Policy)


def test_a_policy_that_is_not_there_is_broken(tmp_path: Path) -> None:
    with pytest.raises(PolicyBroken, match="cannot be used"):
        load_policy(tmp_path / "none.toml")


def test_the_example_shows_every_key() -> None:
    example = Path(policy_module.__file__).with_name("policy.example.toml").read_text()
    assert parse_policy(example) == Policy()
    shown = re.sub(r"^#(?=[a-z_]+ = |\[)", "", example, flags=re.MULTILINE)
    policy = parse_policy(shown)
    unset = [
        field.name
        for field in dataclasses.fields(Policy)
        if getattr(policy, field.name) == getattr(Policy(), field.name)
    ]
    assert unset == []
