"""What a site tells of itself, so that a job's constraints are judged before it is sent here."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Mapping

NAME = re.compile(r"(attr|meta|node)\.[A-Za-z0-9_.-]{1,128}")
"""Names that Nomad's constraints use, without `${` and `}`."""

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


def site_attributes(site: str, stated: Mapping[str, str]) -> dict[str, str]:
    """The site's attributes, by the name in `${...}` (docs/drivers.md).

    Only what holds for every node of a usual cluster is found out: this host is not the one that
    runs the jobs. The settings tell the rest, and go over what is found out.

    Args:
        site: its name.
        stated: those of the settings.
    """
    host = os.uname()
    found = {
        "node.datacenter": site,
        "attr.kernel.name": host.sysname.lower(),
        "attr.kernel.version": host.release,
        "attr.kernel.arch": host.machine,
        "attr.cpu.arch": _ARCHITECTURES.get(host.machine, host.machine),
    }
    try:
        release = platform.freedesktop_os_release()
    except OSError:
        release = {}
    for name, key in (("attr.os.name", "ID"), ("attr.os.version", "VERSION_ID")):
        if release.get(key):
            found[name] = release[key]
    return {**found, **stated}
