"""From where a site fetches: what is not listed is refused, and so is what leads inside."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from puller.artifact_hosts import ArtifactHosts, is_public
from puller.errors import ArtifactRefused


def allows(entries: list[str], host: str, port: int = 443) -> bool:
    try:
        ArtifactHosts.of(entries).check_host(host, port)
    except ArtifactRefused:
        return False
    return True


@pytest.mark.parametrize(
    ("entry", "host", "port", "expected"),
    [
        ("x.org", "x.org", 443, True),
        ("x.org", "X.ORG.", 80, True),
        ("X.org.", "x.org", 443, True),
        ("x.org", "x.org", 8443, False),
        ("x.org:8443", "x.org", 8443, True),
        ("x.org:8443", "x.org", 443, False),
        ("x.org", "a.x.org", 443, False),
        ("x.org", "x.org.evil.com", 443, False),
        ("x.org", "evilx.org", 443, False),
        ("*.x.org", "a.x.org", 443, True),
        ("*.x.org", "a.b.x.org", 443, True),
        ("*.x.org", "x.org", 443, False),
        ("*.x.org", ".x.org", 443, False),
        ("*.x.org", "evilx.org", 443, False),
        ("10.1.2.3", "10.1.2.3", 443, True),
        ("10.1.0.0/16", "10.1.2.3", 443, True),
        ("10.1.0.0/16", "10.2.2.3", 443, False),
        ("127.0.0.1:8000", "127.0.0.1", 8000, True),
        ("[::1]:8000", "::1", 8000, True),
        ("2001:db8::/32", "2001:db8::1", 443, True),
        ("93.184.0.0/16", "93.184.216.34", 443, True),
        ("x.org", "93.184.216.34", 443, False),
        ("x.org", "127.1", 443, False),
        ("x.org", "0x7f000001", 443, False),
        ("x.org", "2130706433", 443, False),
    ],
)
def test_an_entry(entry: str, host: str, port: int, expected: bool) -> None:
    assert allows([entry], host, port) is expected
    assert not allows([], host, port)


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "*",
        "*.",
        "x.*",
        "a b",
        "http://x.org",
        "x.org/a",
        "x.org:",
        "x.org:0",
        "x.org:70000",
        "10.1.2.3/16",
        "10.1.2",
        "127.1",
        "0x7f.1",
        "[::1",
        "-x",
    ],
)
def test_an_entry_that_is_none(entry: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        ArtifactHosts.of([entry])


INSIDE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "0.1.2.3",
    "100.64.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "198.18.0.1",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fec0::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
    "2002:a00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
]


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_inside_is_refused_even_for_a_listed_name(address: str) -> None:
    hosts = ArtifactHosts.of(["x.org"])
    with pytest.raises(ArtifactRefused, match=r"x\.org leads to"):
        hosts.usable("x.org", 443, [address])
    assert hosts.usable("x.org", 443, [address, "93.184.216.34"]) == ["93.184.216.34"]


def test_an_address_inside_that_is_listed_beside_the_name() -> None:
    hosts = ArtifactHosts.of(["x.org", "10.1.0.0/16"])
    assert hosts.usable("x.org", 443, ["10.1.2.3"]) == ["10.1.2.3"]
    with pytest.raises(ArtifactRefused):
        hosts.usable("x.org", 443, ["10.2.2.3"])


@pytest.mark.parametrize(
    "address", ["93.184.216.34", "2606:4700::1", "::ffff:8.8.8.8", "64:ff9b::808:808"]
)
def test_an_address_of_the_public_internet(address: str) -> None:
    assert ArtifactHosts.of(["x.org"]).usable("x.org", 443, [address]) == [address]


@given(st.ip_addresses(v=4))
def test_an_address_that_wraps_another_is_judged_by_it(inner: object) -> None:
    from ipaddress import IPv4Address, IPv6Address

    assert isinstance(inner, IPv4Address)
    for wrapped in (f"::ffff:{inner}", f"64:ff9b::{inner}"):
        assert is_public(IPv6Address(wrapped)) == is_public(inner)


def test_a_bucket_must_be_listed() -> None:
    hosts = ArtifactHosts.of(["s3://data/", "x.org"])
    hosts.check_bucket("data")
    with pytest.raises(ArtifactRefused, match='"s3://other" to artifact_hosts'):
        hosts.check_bucket("other")


def test_a_refusal_says_what_to_list() -> None:
    with pytest.raises(ArtifactRefused, match=r'add "x\.org:8443" to artifact_hosts'):
        ArtifactHosts.of([]).check_host("x.org", 8443)
