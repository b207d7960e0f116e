"""What a site tells of itself."""

from __future__ import annotations

import subprocess

from puller.site_attributes import site_attributes


def test_what_is_found_out_is_what_uname_says() -> None:
    told = site_attributes("dc1", {})
    said = subprocess.run(["uname", "-srm"], capture_output=True, text=True, check=True)
    kernel, release, machine = said.stdout.split()
    assert told["attr.kernel.name"] == kernel.lower()
    assert told["attr.kernel.version"] == release
    assert told["attr.kernel.arch"] == machine
    assert told["node.datacenter"] == "dc1"


def test_settings_add_to_it_and_go_over_it() -> None:
    told = site_attributes("dc1", {"attr.kernel.name": "plan9", "meta.net": "infiniband"})
    assert (told["attr.kernel.name"], told["meta.net"]) == ("plan9", "infiniband")
