"""Nomad's commands end to end: the steps of the reference document, typed into a shell."""

from __future__ import annotations

import re
import uuid
from pathlib import Path

import pytest

from tests.conftest import DeployedStack
from tests.e2e.shell import Shell
from tests.e2e.site import Site

pytestmark = pytest.mark.emulator

BATCH = """\
variable "text" {
  default = "hello"
}
job "%s" {
  datacenters = ["dc1"]
  type        = "batch"
  group "greetings" {
    task "hello" {
      driver = "raw_exec"
      config {
        command = "/bin/echo"
        args    = [var.text]
      }
    }
  }
}
"""
TEMPLATE = """\
job "%s" {
  datacenters = ["dc1"]
  type        = "batch"
  parameterized {
    payload       = "required"
    meta_optional = ["user"]
  }
  group "encrypter" {
    task "encrypter" {
      driver = "raw_exec"
      config {
        command = "/usr/bin/wc"
        args    = ["-c", "${NOMAD_TASK_DIR}/rawtext.txt"]
      }
      dispatch_payload {
        file = "rawtext.txt"
      }
    }
  }
}
"""
PERIODIC = """\
job "%s" {
  datacenters = ["dc1"]
  type        = "batch"
  periodic {
    cron      = "0 4 29 2 *"
    time_zone = "Asia/Tokyo"
  }
  group "periodic-echo" {
    task "periodic-echo" {
      driver = "raw_exec"
      config {
        command = "/bin/echo"
        args    = ["Hi Nomad Periodic Scheduler"]
      }
    }
  }
}
"""


@pytest.fixture
def shell(deployed: DeployedStack, site: Site, tmp_path: Path) -> Shell:
    return Shell(deployed, site, tmp_path)


@pytest.fixture
def name() -> str:
    return f"job-{uuid.uuid4().hex[:8]}"


def test_a_batch_job_is_planned_run_watched_and_read(shell: Shell, name: str) -> None:
    file = shell.write(BATCH, name)
    assert shell.run("job", "validate", file) == "Job validation successful\n"
    plan = shell.run("job", "plan", "-var", "text=bye", file)
    assert plan.startswith(f'+ Job: "{name}"\n')
    assert "Job Modify Index: 0\n" in plan
    said = shell.run("job", "run", "-var", "text=bye", "-check-index", "0", file)
    found = re.fullmatch(
        r'==> Monitoring evaluation "(\w{8})"\n'
        rf'    Evaluation triggered by job "{name}"\n'
        r'    Allocation "(\w{8})" created: node "\w{8}", group "greetings"\n'
        r'    Evaluation status changed: "pending" -> "complete"\n'
        r'==> Evaluation "\1" finished with status "complete"\n',
        said,
    )
    assert found, said
    shell.finish(name)
    status = shell.run("job", "status", name)
    assert re.search(r"^Status +=  ?dead \(complete\)$", status, re.MULTILINE)
    assert re.search(r"^greetings +0 +0 +0 +0 +1 +0$", status, re.MULTILINE)
    alloc = found[2]
    assert shell.run("fs", alloc, "alloc/logs/hello.stdout.0") == "bye\n"
    assert shell.run("alloc", "logs", alloc) == "bye\n"
    assert "hello.stdout.0" in shell.run("alloc", "fs", alloc, "alloc/logs/")
    assert 'Task "hello" is "dead"' in shell.run("alloc", "status", alloc)
    assert "Finished" in shell.run("job", "history", name)
    assert shell.json("job", "inspect", name)["ID"] == name
    assert "the job is unchanged" in shell.said("job", "run", "-var", "text=bye", file)
    assert re.search(rf"^{name} +batch ", shell.run("job", "status", "-prefix", name), re.MULTILINE)


def test_what_is_wrong_with_a_job_file_is_said(shell: Shell, name: str) -> None:
    file = shell.write(BATCH.replace('"/bin/echo"', "nonsense("), name)
    assert "error" in shell.run("job", "run", file, expect=4)
    assert "validation errors" in shell.run("job", "validate", file, expect=1)
    assert "cannot be read" in shell.run("job", "run", "no-such-file", expect=2)


def test_every_problem_is_told_with_the_file_and_the_line(shell: Shell, name: str) -> None:
    file = shell.write(BATCH.replace('"raw_exec"', '"qemu"').replace('"batch"', '"system"'), name)
    (shell.home / "more.hcl").write_text("other = 1\n")
    said = shell.run("job", "validate", file, expect=1).splitlines()
    assert said[0] == "Job validation errors:"
    assert said[1].startswith(f"* job.nomad:6: job \"{name}\": type 'system' is not supported")
    assert said[2].startswith(f'* job.nomad:9: job "{name}" > group "greetings" > task "hello": ')
    assert len(said) == 3
    assert "error: cannot read job.nomad: 2 problems" in shell.run("job", "run", file, expect=4)
    artifact = 'driver = "raw_exec"\n      artifact {\n        source = "ftp://x/y"\n      }'
    file = shell.write(BATCH.replace('driver = "raw_exec"', artifact), name)
    said = shell.run("job", "validate", file, expect=1)
    assert '* job.nomad:8: group "greetings" task "hello": an artifact can never be fetched' in said
    said = shell.run("job", "validate", "-var-file", "more.hcl", "-var", "tex=1", file, expect=1)
    assert "* more.hcl:1: the job file has no variable 'other'" in said
    assert "* -var tex: the job file has no variable 'tex'; did you mean 'text'?" in said


def test_single_values_of_variables_win_over_files(shell: Shell, name: str) -> None:
    file = shell.write(BATCH, name)
    (shell.home / "one.hcl").write_text('text = "one"\n')
    (shell.home / "two.json").write_text('{"text": "two"}')
    files = ("-var-file", "one.hcl", "-var-file", "two.json")
    for more, expected in (((), "two"), (("-var", "text=[a"), "[a")):
        plan = shell.json("job", "plan", *files, *more, file)
        (group,) = plan["Diff"]["TaskGroups"]
        values = {
            field["New"]
            for part in group["Tasks"][0]["Objects"]
            for field in part["Fields"]
            if field["Name"].startswith("args")
        }
        assert values == {expected}


def test_what_a_job_file_states_in_vain_is_told_by_name(shell: Shell, name: str) -> None:
    with_update = BATCH.replace("  type  ", "  update {\n    max_parallel = 1\n  }\n  type  ")
    file = shell.write(with_update, name)
    warning = f"Job Warnings:\njob.nomad:6: job \"{name}\": 'update' has no effect and is left out"
    assert warning in shell.said("job", "validate", file)
    assert warning in shell.run("job", "plan", file)
    assert warning in shell.said("job", "run", "-detach", file)


def test_a_constraint_that_the_site_does_not_fulfil_is_refused(shell: Shell, name: str) -> None:
    shell.site.pull()  # the puller tells what the site is
    wants = '  constraint {\n    attribute = "${attr.kernel.name}"\n    value = "%s"\n  }\n  type  '
    file = shell.write(BATCH.replace("  type  ", wants % "plan9"), name)
    for command in ("plan", "run"):
        said = shell.run("job", command, file, expect=4)
        assert "${attr.kernel.name} = plan9 is not fulfilled: the site has 'linux'" in said
    file = shell.write(BATCH.replace("  type  ", wants % "linux"), name)
    assert shell.said("job", "run", file) == ""
    shell.finish(name)


def test_a_job_waits_for_what_its_file_names(shell: Shell, name: str) -> None:
    def after(job: str, on: str) -> str:
        block = f'  depends_on {{\n    job = "{job}"\n    on = "{on}"\n  }}\n'
        return BATCH.replace("  type  ", f"{block}  type  ")

    first, second, third = (f"{name}-{n}" for n in (1, 2, 3))
    assert "there is no such job" in shell.run(
        "job", "run", shell.write(after(first, "afterok"), second), expect=4
    )
    shell.run("job", "run", shell.write(BATCH, first))
    shell.run("job", "run", shell.write(after(first, "afterok"), second))
    shell.run("job", "run", shell.write(after(second, "afternotok"), third))
    assert f"it waits for {first} (afterok)" in shell.run("job", "status", second)
    changed = after(first, "afterok").replace("/bin/echo", "/bin/true")
    assert "cannot wait for others" in shell.run(
        "job", "run", shell.write(changed, second), expect=4
    )
    shell.finish(second)
    shell.finish(third)
    assert shell.run("logs", second) == "hello\n"
    assert "dead (stopped)" in shell.run("job", "status", third)


def test_a_task_that_is_a_script_has_its_own_log(shell: Shell, name: str) -> None:
    script = BATCH.replace('"raw_exec"', '"script"').replace(
        'command = "/bin/echo"', 'script = "#!/bin/sh\\necho it says $1\\n"'
    )
    shell.run("job", "run", shell.write(script, name))
    shell.finish(name)
    assert shell.run("logs", name) == "it says hello\n"


def test_an_empty_folder_of_a_task_is_listed(shell: Shell, name: str) -> None:
    made = BATCH.replace("/bin/echo", "/bin/mkdir").replace('"hello"\n}', '"local/empty"\n}')
    shell.run("job", "run", shell.write(made, name))
    shell.finish(name)
    (alloc,) = shell.json("job", "status", name)["Allocations"]
    assert "empty/" in shell.run("fs", alloc["ID"], "hello/local")
    assert shell.run("fs", alloc["ID"], "hello/local/empty").startswith("Mode ")
    assert "file not found" in shell.run("fs", alloc["ID"], "alloc/data", expect=4)


def test_a_parameterized_job_is_dispatched_with_payloads_of_any_size(
    shell: Shell, name: str
) -> None:
    assert shell.run("job", "run", shell.write(TEMPLATE, name)) == "Job registration successful\n"
    status = shell.run("job", "status", name)
    assert "Payload           = required\n" in status
    assert status.endswith("Dispatched Jobs\n")
    said = shell.run("job", "dispatch", "-meta", "user=ann", name, "-", stdin="a raw text!!\n")
    found = re.match(rf"Dispatched Job ID = ({name}/dispatch-\d+-\w{{8}})\n", said)
    assert found, said
    assert f'    Evaluation triggered by job "{found[1]}"\n' in said
    (shell.home / "large").write_bytes(b"x" * 100_000)
    large = shell.json("job", "dispatch", "-payload-file", "large", name)["DispatchedJobID"]
    assert "once" in shell.run("job", "dispatch", "-payload-file", "large", name, "-", expect=2)
    assert "required" in shell.run("job", "dispatch", name, expect=4)
    for child, size in ((found[1], 13), (large, 100_000)):
        shell.finish(child)
        (alloc,) = shell.json("job", "status", child)["Allocations"]
        assert shell.run("logs", alloc["ID"]).startswith(f"{size} ")
        path = "encrypter/local/rawtext.txt"
        assert len(shell.run("fs", alloc["ID"], path)) == size
    listed = shell.run("job", "status", name)
    assert re.search(rf"^{re.escape(large)}  dead \(complete\)$", listed, re.MULTILINE)
    shell.run("job", "stop", "-detach", name)
    assert "(stopped)" in shell.run("job", "status", "-short", name)


def test_a_periodic_job_tells_its_launches_and_is_forced(shell: Shell, name: str) -> None:
    file = shell.write(PERIODIC, name)
    assert "next periodic launch would be at " in shell.run("job", "plan", file)
    said = shell.run("job", "run", file)
    assert re.fullmatch(
        r"Job registration successful\n"
        r"Approximate next launch time: \d{4}-02-29T04:00:00\+09:00 \(\d+h\d+m\d+s from now\)\n",
        said,
    )
    assert re.search(
        r"^Next Periodic Launch = \d{4}-02-29T04:00:00\+09:00 \(",
        shell.run("job", "status", name),
        re.MULTILINE,
    )
    assert "Evaluation triggered by job" in shell.run("job", "periodic", "force", name)
    (child,) = shell.json("job", "status", name)["Children"]
    shell.finish(child["ID"])
    verbose = shell.run("job", "status", "-verbose", child["ID"])
    assert "\n\nEvaluations\nID " in verbose
    alloc = shell.json("job", "status", child["ID"])["Allocations"][0]["ID"]
    log = shell.run("fs", alloc, "alloc/logs/periodic-echo.stdout.0")
    assert log == "Hi Nomad Periodic Scheduler\n"
    shell.run("job", "stop", name)
    assert "Next Periodic Launch = none (job stopped)" in shell.run("job", "status", name)
