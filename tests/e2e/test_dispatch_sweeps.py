"""A dispatch with a sweep on the real stack: typed into a shell, run, fetched in part, retried."""

from __future__ import annotations

import uuid
from pathlib import Path

import pytest

from tests.conftest import DeployedStack
from tests.e2e.shell import Shell
from tests.e2e.site import Site

pytestmark = pytest.mark.emulator

STUDY = """\
job "%s" {
  datacenters = ["dc1"]
  type        = "batch"
  meta {
    label = "default"
  }
  parameterized {
    meta_required = ["who", "x"]
    meta_optional = ["label"]
  }
  group "solve" {
    reschedule {
      attempts = 0
    }
    restart {
      attempts = 0
      mode     = "fail"
    }
    task "main" {
      driver = "script"
      config {
        script = <<EOS
#!/bin/bash
echo "$NOMAD_META_x|$NOMAD_META_label|$NOMAD_META_who"
echo "$NOMAD_META_x" >seen
[ "$NOMAD_META_x" != 2 ] || [ -e "FIXED" ]
EOS
      }
    }
  }
}
"""


def test_a_swept_dispatch_its_failed_element_and_its_retry(
    deployed: DeployedStack, site: Site, tmp_path: Path
) -> None:
    shell, name = Shell(deployed, site, tmp_path), f"study-{uuid.uuid4().hex[:8]}"
    fixed = tmp_path / "fixed"
    shell.run("job", "run", shell.write(STUDY.replace("FIXED", str(fixed)), name))
    (tmp_path / "values.csv").write_text('x,label\n1,"first, one"\n2,\n3,`third`\n')
    (tmp_path / "faulty.csv").write_text("x,nonsense\n1,2\n")
    sweep = ("job", "dispatch", "-sweep", "values.csv")
    said = shell.run(*sweep, name, expect=4)
    assert "row 1: Dispatch did not provide required meta keys: [who]" in said
    said = shell.run("job", "dispatch", "-sweep", "faulty.csv", "-meta", "who=me", name, expect=4)
    assert "row 1: Dispatch request included unpermitted metadata keys: [nonsense]" in said
    assert "--max-running is for" in shell.run("job", "dispatch", "-max-running=2", name, expect=2)

    stated = ("-meta", "who=me", "-priority", "70", "-max-running", "2")
    said = shell.run(*sweep, *stated, name)
    assert said.count('created: node "') == 3
    child = said.splitlines()[0].partition("= ")[2]
    job = shell.json("job", "inspect", child)
    assert (job["Priority"], job["TaskGroups"][0]["Count"]) == (70, 3)
    assert job["Settings"]["max_running"] == 2
    shell.finish(child)
    status = shell.json("job", "status", child)
    assert status["Outcome"] == "failed", site.log
    ids = {row["Name"]: row["ID"] for row in status["Allocations"]}
    logs = [shell.run("logs", ids[f"{child}.solve[{number}]"]) for number in range(3)]
    assert logs == ["1|first, one|me\n", "2|default|me\n", "3|`third`|me\n"]
    shell.run("get", child, "--elements", "failed", "-o", "part")
    part = tmp_path / "part"
    found = {path.relative_to(part) for path in part.rglob("*") if path.is_file()}
    assert Path("elements/1/main/seen") in found
    assert not [path for path in found if path.parts[:2] in (("elements", "0"), ("elements", "2"))]

    fixed.touch()
    shell.run("retry", child, "--failed")
    shell.finish(child)
    status = shell.json("job", "status", child)
    assert (status["Outcome"], status["Priority"]) == ("complete", 70), site.log
