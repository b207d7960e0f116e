"""From where this site fetches artifacts: the hosts, addresses and buckets that its settings list.

A job's author chooses the URL, the site's administrator where it may lead: without this rule every
submitter could reach what this computer reaches, the campus network included. Nothing is listed by
default.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)

from puller.errors import ArtifactRefused

Address = IPv4Address | IPv6Address

PORTS = (443, 80)
"""Open for an entry that names no port."""

_NAME = re.compile(r"(\*\.)?[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?(\.[a-z0-9_]([a-z0-9_-]*[a-z0-9_])?)*")
_BUCKET = "s3://"
_NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True, slots=True)
class _Host:
    name: str
    port: int | None

    def covers(self, host: str, port: int) -> bool:
        """Whether the entry is about this host and port."""
        if self.name.startswith("*."):
            named = host.endswith(self.name[1:]) and len(host) > len(self.name) - 1
        else:
            named = host == self.name
        return named and _open(self.port, port)


@dataclass(frozen=True, slots=True)
class _Network:
    network: IPv4Network | IPv6Network
    port: int | None

    def covers(self, address: Address, port: int) -> bool:
        """Whether the entry is about this address and port."""
        return address in self.network and _open(self.port, port)


def _open(stated: int | None, port: int) -> bool:
    return port in PORTS if stated is None else port == stated


@dataclass(frozen=True, slots=True)
class ArtifactHosts:
    """The rule of one site."""

    hosts: tuple[_Host, ...] = ()
    networks: tuple[_Network, ...] = ()
    buckets: frozenset[str] = frozenset()

    @staticmethod
    def of(entries: Iterable[str]) -> ArtifactHosts:
        """The rule that the setting `artifact_hosts` states.

        Raises:
            ValueError: an entry is none.
        """
        hosts: list[_Host] = []
        networks: list[_Network] = []
        buckets: set[str] = set()
        for entry in entries:
            if entry.startswith(_BUCKET):
                buckets.add(entry.removeprefix(_BUCKET).rstrip("/"))
                continue
            text, port = _without_port(entry)
            network = _network(text)
            if network is not None:
                networks.append(_Network(network, port))
            elif _NAME.fullmatch(text.lower().rstrip(".")) and not _looks_like_address(text):
                hosts.append(_Host(text.lower().rstrip("."), port))
            else:
                raise ValueError(
                    f"{entry!r} is no host (data.example.org, *.example.org), address "
                    "(10.1.2.3, 10.1.0.0/16) or bucket (s3://BUCKET)"
                )
        return ArtifactHosts(tuple(hosts), tuple(networks), frozenset(buckets))

    def check_host(self, host: str, port: int) -> None:
        """Refuse a host, or a literal address, that is not listed.

        Args:
            host: as the URL has it.
            port: TCP port.

        Raises:
            ArtifactRefused: it is not listed.
        """
        if (address := _literal(host)) is not None:
            listed = any(entry.covers(address, port) for entry in self.networks)
        else:
            name = host.lower().rstrip(".")
            listed = any(entry.covers(name, port) for entry in self.hosts)
        if not listed:
            entry = host if port in PORTS else f"{host}:{port}"
            raise ArtifactRefused(
                f"this site does not fetch from {host} port {port}; ask its administrator to add "
                f'"{entry}" to artifact_hosts, or upload the file with the job'
            )

    def usable(self, host: str, port: int, addresses: Iterable[str]) -> list[str]:
        """The addresses of a listed host that may be connected to.

        Args:
            host: what `check_host` let pass.
            port: TCP port.
            addresses: what its name resolved to, just now.

        Raises:
            ArtifactRefused: none of them.
        """
        found = list(addresses)
        usable = [text for text in found if self._may_connect(text, port)]
        if found and not usable:
            raise ArtifactRefused(
                f"{host} leads to {', '.join(sorted(set(found)))}, which is not an address of the "
                "public internet; where that is meant, the site's administrator lists the address "
                "in artifact_hosts beside the name"
            )
        return usable

    def _may_connect(self, text: str, port: int) -> bool:
        address = ip_address(text.partition("%")[0])
        return is_public(address) or any(entry.covers(address, port) for entry in self.networks)

    def check_bucket(self, bucket: str) -> None:
        """Refuse a bucket that is not listed.

        Raises:
            ArtifactRefused: it is not listed.
        """
        if bucket not in self.buckets:
            raise ArtifactRefused(
                f"this site does not fetch from the bucket {bucket}; ask its administrator to add "
                f'"{_BUCKET}{bucket}" to artifact_hosts, or copy the object under the job\'s prefix'
            )


def is_public(address: Address) -> bool:
    """Whether an address belongs to the public internet, also inside an address that wraps one."""
    if isinstance(address, IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
        if address.teredo is not None or address.is_site_local:
            return False
    return address.is_global and not address.is_multicast


def _without_port(entry: str) -> tuple[str, int | None]:
    if (bracketed := re.fullmatch(r"\[(.+)\](?::([0-9]{1,5}))?", entry)) is not None:
        return bracketed[1], _port(entry, bracketed[2])
    if entry.count(":") == 1:
        text, _, port = entry.partition(":")
        return text, _port(entry, port)
    return entry, None


def _port(entry: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError(f"{entry!r}: a port is a number from 1 to 65535")
    return int(text)


def _network(text: str) -> IPv4Network | IPv6Network | None:
    try:
        return ip_network(text)
    except ValueError:
        return None


def _literal(host: str) -> Address | None:
    try:
        return ip_address(host)
    except ValueError:
        return None


def _looks_like_address(text: str) -> bool:
    """Whether resolvers might read a name as a number: 127.1, 0x7f.1, 2130706433."""
    last = text.rstrip(".").rpartition(".")[2]
    return re.fullmatch(r"[0-9]+|0[xX][0-9a-fA-F]*", last) is not None
