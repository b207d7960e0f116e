"""Items about a whole site: the puller's sign of life and the operator's word."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from job_protocol.items import SCHEMA_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """The sign of life of one installation of the puller.

    Attributes:
        site, installation: whose it is.
        host: the host on which the installation runs.
        at: when it was written, in seconds since the epoch.
        until: until when no other host may run this installation, in seconds since the epoch.
        lingering: whether the puller keeps passing until the next cron tick.
        version: the puller's version.
        active: how many allocations it holds.
        problem: why it cannot claim anything although it is alive, a sentence.
        attributes: what constraints of jobs are judged by, such as `attr.cpu.arch`; empty from a
            puller that does not tell them.
    """

    site: str
    installation: str
    host: str
    at: int
    until: int
    lingering: bool = False
    version: str = ""
    active: int = 0
    problem: str | None = None
    attributes: Mapping[str, str] = field(default_factory=dict)
    v: int = SCHEMA_VERSION


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteControl:
    """What an operator wants of a whole site.

    Attributes:
        site: whose it is.
        drain: nothing new is claimed.
        least_puller_version: an older puller stops with a message.
    """

    site: str
    drain: bool = False
    least_puller_version: str | None = None
    v: int = SCHEMA_VERSION
