"""A rendered script where it will be: inside the puller's wrapper, and on the reference's jobs."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from job_protocol.object_keys import SCRIPT, STDERR, STDOUT
from job_protocol.script_rules import script_problems
from puller.exit_file import read_records
from puller.wrapper import render_wrapper, split_script
from tests.unit.nomad_jobs.run_script.rendered import Run, facts, job, place, shell


def wrapped(run: Run) -> subprocess.Popen[str]:
    control = run.root.parent / "control"
    control.mkdir()
    text = (run.root / SCRIPT).read_text()
    wrapper = render_wrapper(
        split_script(text, ("#SBATCH",)), scheduler="slurm", job_dir=run.root, control_dir=control
    )
    (control / "wrapper.sh").write_text(wrapper)
    return subprocess.Popen(
        ["/bin/bash", str(control / "wrapper.sh")],
        cwd="/",
        env={"PATH": "/usr/bin:/bin", "SLURM_JOB_ID": "17", "TMPDIR": str(run.root.parent)},
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )


def test_the_wrapper_records_the_tasks_exit_code(tmp_path: Path) -> None:
    run = place(tmp_path / "a job", job(shell("echo out; exit 6")))
    assert wrapped(run).wait(timeout=60) == 6
    record = read_records(tmp_path / "control").exit
    assert record is not None
    assert record.code == 6
    assert (run.root / STDOUT).read_text() == (run.root / STDERR).read_text() == ""
    assert run.log() == "out\n"


def test_a_cancellation_reaches_the_task_as_nomads_default_signal(tmp_path: Path) -> None:
    run = place(tmp_path / "job", job(shell("echo x >up; exec sleep 1000", KillTimeout="600s")))
    process = wrapped(run)
    run.wait_for_text("main/up")
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 143
    states = (run.root / "alloc/task-states").read_text()
    assert "Terminated\tmain\texit_code=130\n" in states  # SIGINT, and no KILL after 600 s


def test_the_intake_and_the_schedulers_take_it(tmp_path: Path) -> None:
    text = "#$ -l evil\n#SBATCH --evil\r\n#PBS -evil"
    run = place(tmp_path / "job", job(shell(text), Meta={"a": text}))
    assert script_problems(SCRIPT, run.rendered.script) == []
    for prefix in ("#$", "#SBATCH", "#PBS"):
        script = split_script(run.rendered.script.decode(), (prefix,), anywhere=True)
        assert script.directives == ()


def test_hostile_meta_keys_do_nothing(tmp_path: Path) -> None:
    keys = ["a]b", "$(touch evil)", "a'b", 'a"b', "@", "*", "a b", "`touch evil`", "é", "x[0]"]
    specification = job(shell("env", Meta=dict.fromkeys(keys, "static")))
    run = place(tmp_path / "job", specification, facts(meta={f"d{key}": "sent" for key in keys}))
    code, said = run.run()
    assert (code, said) == (0, "")
    assert "NOMAD_META_a_b=static" in run.log()
    assert "NOMAD_META_d_=sent" in run.log()
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_the_references_parameterized_encrypter(tmp_path: Path) -> None:
    out = tmp_path / "encrypted.txt"
    openssl = str(shutil.which("openssl"))
    args = ["aes-256-cbc", "-e", "-in", "${NOMAD_TASK_DIR}/rawtext.txt", "-out", str(out)]
    encrypter: dict[str, Any] = {
        "Name": "encrypter",
        "Driver": "raw_exec",
        "Config": {"command": openssl, "args": [*args, "-pass", "file:local/pass.txt"]},
        "DispatchPayload": {"File": "rawtext.txt"},
        "Artifacts": [{"GetterSource": "https://example.org/pass.txt"}],
    }
    child = "parameterized-encrypter/dispatch-1580613031-6b384981"
    payload = b'"this is a raw text!!"\n'
    sent = facts(job_id=child, parent_id="parameterized-encrypter", payload=payload)
    run = place(tmp_path / child, job(encrypter), sent)
    assert run.rendered.settings.artifacts[0].destination == "encrypter/local/"
    (run.root / "encrypter/local").mkdir(parents=True)
    (run.root / "encrypter/local/pass.txt").write_text("password")  # as the puller fetches it
    assert run.run() == (0, "")
    assert (run.root / "encrypter/local/rawtext.txt").read_bytes() == payload
    decrypt = [openssl, "aes-256-cbc", "-d", "-in", str(out), "-pass", "pass:password"]
    assert subprocess.run(decrypt, capture_output=True, check=True).stdout == payload


def test_the_references_periodic_task(tmp_path: Path) -> None:
    one = {"Name": "echo", "Driver": "raw_exec", "Config": {"command": "local/periodic-task.sh"}}
    run = place(tmp_path / "periodic-echo" / "periodic-1580616420", job(one))
    (run.root / "echo/local").mkdir(parents=True)
    script = run.root / "echo/local/periodic-task.sh"
    script.write_text("#!/bin/bash\necho Hi Nomad Periodic Scheduler\n")
    script.chmod(0o644)  # an artifact has no mode
    assert run.run() == (0, "")
    assert run.log("echo") == "Hi Nomad Periodic Scheduler\n"
