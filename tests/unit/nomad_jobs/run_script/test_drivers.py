"""Drivers: how a command is found, and what a driver's options become."""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nomad_jobs.run_script.render import JobRefused, render_script
from tests.unit.nomad_jobs.run_script.rendered import RECORDER, Run, job, place

STUB = f"#!{sys.executable} -S\nimport sys\nsys.argv[1:1] = ['record']\n{RECORDER}"


def driven(driver: str, **config: Any) -> dict[str, Any]:
    return {"Name": "main", "Driver": driver, "Config": config}


@pytest.fixture
def run_of(tmp_path: Path) -> Any:
    def make(one: dict[str, Any], *stubs: str, **group: Any) -> Run:
        programs = tmp_path / "bin"
        programs.mkdir()
        for stub in stubs:
            (programs / stub).write_text(STUB)
            (programs / stub).chmod(0o755)
        run = place(tmp_path / "計算 job", job(one, **group))
        run.environment = {"PATH": f"{programs}:/usr/bin:/bin"}
        return run

    return make


def program(run: Run, path: str, says: str) -> None:
    file = run.root / "main" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho {says}\n")
    file.chmod(0o644)


@pytest.mark.parametrize("driver", ["raw_exec", "exec"])
def test_a_command_is_looked_up_in_local_then_the_task_then_path(run_of: Any, driver: str) -> None:
    run = run_of(driven(driver, command="prog"), "prog")
    program(run, "prog", "task")
    program(run, "local/prog", "local")
    assert run.run() == (0, "")
    (run.root / "main/local/prog").unlink()
    assert run.run() == (0, "")
    assert run.log() == "local\ntask\n"
    (run.root / "main/prog").unlink()
    assert run.run() == (0, "")
    assert run.record()[0] == []


def test_a_path_in_the_task_and_an_absolute_one(run_of: Any) -> None:
    run = run_of(driven("exec", command="local/a=b c.sh", args=["x"]))
    program(run, "local/a=b c.sh", "$0 $1")
    assert run.run() == (0, "")
    assert run.log().strip().endswith("local/a=b c.sh x")


def test_work_dir_is_where_a_command_runs(run_of: Any) -> None:
    run = run_of(driven("raw_exec", command="/bin/pwd", work_dir="${NOMAD_TASK_DIR}"))
    assert run.run() == (0, "")
    assert run.log() == f"{run.root}/main/local\n"


def test_java_gets_what_nomad_would_give_it(run_of: Any) -> None:
    config = {
        "jar_path": "local/a b.jar",
        "class": "Main",
        "class_path": "${NOMAD_TASK_DIR}/x:y",
        "jvm_options": ["-Xmx1g", "-Da=b c"],
        "args": ["$(x)", "--n"],
    }
    run = run_of(driven("java", **config), "java")
    assert run.run() == (0, "")
    assert [a.decode() for a in run.record()[0]] == [
        *("-Xmx1g", "-Da=b c", "-cp", f"{run.root}/main/local/x:y", "-jar", "local/a b.jar"),
        *("Main", "$(x)", "--n"),
    ]


@pytest.mark.skipif(shutil.which("java") is None, reason="there is no Java on this machine")
def test_a_real_jvm_runs_a_real_class(tmp_path: Path) -> None:
    config = {"class": "local/Hello.java", "args": ["a b"]}
    source = "class Hello { public static void main(String[] a) { System.out.println(a[0]); } }"
    template = {"EmbeddedTmpl": source, "DestPath": "local/Hello.java"}
    one = {**driven("java", **config), "Templates": [template]}
    run = place(tmp_path / "job", job(one))
    code, said = run.run()
    assert (code, said, run.log()) == (0, "", "a b\n"), run.log(kind="stderr")


def test_java_that_is_not_there_is_told(run_of: Any) -> None:
    run = run_of(driven("java", jar_path="x.jar"))
    code, said = run.run(PATH="/nowhere:" + os.fspath(_few_tools(run)))
    assert (code, "java is not in PATH" in said) == (127, True)


def _few_tools(run: Run) -> Path:
    tools = run.root.parent / "tools"
    tools.mkdir()
    for name in ("mkdir", "mkfifo", "mktemp", "chmod", "rm", "cp", "ps", "uname", "tr", "getconf"):
        (tools / name).symlink_to(str(shutil.which(name)))
    return tools


SCRIPT = """#!/bin/bash
#SBATCH --nodes=2
# a comment
#$ -pe mpi 4
#PBS -l select=1
#BSUB -n 2
#PJM -L node=1

echo "$1 ran in $PWD"
#SBATCH --late
"""


def test_a_scheduler_script_keeps_its_directives_and_runs_as_it_stands(run_of: Any) -> None:
    run = run_of(driven("script", script=SCRIPT, args=["it"]))
    assert run.run() == (0, "")
    assert run.log() == f"it ran in {run.root}/main\n"
    assert (run.root / "main/script").read_text() == SCRIPT
    head = run.rendered.script.decode().splitlines()[:7]
    assert head[:6] == ["#!/bin/bash", *(SCRIPT.splitlines()[n] for n in (1, 3, 4, 5, 6))]
    assert b"\n#SBATCH --late" not in run.rendered.script


CONTAINER = {
    "image": "example/tool:1",
    "command": "solve",
    "args": ["$(x)", "${NOMAD_TASK_DIR}/in"],
    "work_dir": "/local",
    "volumes": ["data:/data:ro", "${NOMAD_ALLOC_DIR}/data:/shared"],
    "mount": [{"type": "bind", "source": "/opt", "target": "/opt", "readonly": True}],
}


def mounts(run: Run) -> list[str]:
    own = [f"{run.root}/alloc:/alloc:rw", f"{run.root}/main/local:/local:rw"]
    return [
        *own,
        f"{run.root}/main/secrets:/secrets:rw",
        f"{run.root}/main/data:/data:ro",
        f"{run.root}/alloc/data:/shared:rw",
        "/opt:/opt:ro",
    ]


@pytest.mark.parametrize("driver", ["docker", "podman", "container"])
@pytest.mark.parametrize(
    ("runtime", "prefix"), [("apptainer", b"APPTAINERENV_"), ("singularity", b"SINGULARITYENV_")]
)
def test_a_container_runs_through_apptainer(
    run_of: Any, driver: str, runtime: str, prefix: bytes
) -> None:
    run = run_of({**driven(driver, **CONTAINER), "Env": {"X": "a\n,b"}}, runtime, "podman")
    assert run.run() == (0, "")
    words, variables = run.record()
    binds = [word for mount in mounts(run) for word in ("--bind", mount)]
    assert [word.decode() for word in words] == [
        *("run", "--cleanenv", *binds, "--pwd", "/local", "docker://example/tool:1"),
        *("solve", "$(x)", "/local/in"),
    ]
    assert variables[prefix + b"X"] == b"a\n,b"
    assert variables[prefix + b"NOMAD_TASK_DIR"] == b"/local"


@pytest.mark.parametrize("runtime", ["podman", "docker"])
def test_a_container_runs_through_podman(run_of: Any, runtime: str) -> None:
    run = run_of({**driven("docker", **CONTAINER), "Env": {"X": "a\n,b"}}, runtime)
    run.environment = {"PATH": f"{run.root.parent}/bin:{_few_tools(run)}"}
    assert run.run() == (0, "")
    words = [word.decode() for word in run.record()[0]]
    assert words[:2] == ["run", "--rm"]
    assert [b for a, b in itertools.pairwise(words) if a == "--volume"] == mounts(run)
    assert "X" in [b for a, b in itertools.pairwise(words) if a == "--env"]
    assert words[-6:] == ["--workdir", "/local", "example/tool:1", "solve", "$(x)", "/local/in"]
    assert run.record()[1][b"X"] == b"a\n,b"


STUBBORN = """#!/bin/bash
if [ "$1" != run ]; then echo "$@" >>"$KILLED"; exit; fi
while [ "$1" != --cidfile ]; do shift; done
echo c0ffee >"$2"
trap '' TERM
echo up >up
while :; do sleep 0.05; done
"""


def test_a_container_that_outlives_its_client_is_killed_by_its_id(run_of: Any) -> None:
    one = {**driven("podman", image="x"), "KillTimeout": "1s"}
    run = run_of(one, "podman")
    (run.root.parent / "bin/podman").write_text(STUBBORN)
    killed = run.root.parent / "killed"
    tools = _few_tools(run)
    (tools / "sleep").symlink_to("/bin/sleep")
    process = run.start(PATH=f"{run.root.parent}/bin:{tools}", KILLED=str(killed))
    run.wait_for_text("main/up")
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert (process.returncode, killed.read_text()) == (143, "kill c0ffee\nrm -f c0ffee\n")


@pytest.mark.parametrize(
    ("runtime", "option"), [("apptainer", "--nv"), ("podman", "--device"), ("docker", "--gpus")]
)
def test_stated_gpus_are_there_in_the_container(run_of: Any, runtime: str, option: str) -> None:
    gpu = {"Devices": [{"Name": "nvidia/gpu"}]}
    run = run_of({**driven("docker", image="x"), "Resources": gpu}, runtime)
    run.environment = {"PATH": f"{run.root.parent}/bin:{_few_tools(run)}"}
    assert run.run() == (0, "")
    assert option.encode() in run.record()[0]


def test_an_entrypoint_goes_over_the_images(run_of: Any) -> None:
    run = run_of(
        driven("docker", image="local/a.sif", entrypoint=["sh", "-c"], args=["x"]), "apptainer"
    )
    assert run.run() == (0, "")
    words = [word.decode() for word in run.record()[0]]
    assert words[0] == "exec"
    assert words[-4:] == [f"{run.root}/main/local/a.sif", "sh", "-c", "x"]


def test_a_node_without_containers_says_so(run_of: Any) -> None:
    run = run_of(driven("docker", image="x"))
    run.environment = {"PATH": str(_few_tools(run))}
    code, said = run.run()
    assert (code, "no apptainer, singularity, podman or docker" in said) == (127, True)


@pytest.mark.parametrize(
    ("one", "why"),
    [
        (driven("qemu"), "the driver 'qemu' is not known"),
        (driven("exec"), "the command is missing"),
        (driven("exec", command="x", cap_add=["sys_time"]), "the option 'cap_add' cannot work"),
        (driven("java", args=["x"]), "neither jar_path nor class"),
        (driven("script"), "either script"),
        (driven("script", script="echo"), "no shebang"),
        (driven("docker", command="x"), "the image is missing"),
        (driven("docker", image="x", privileged=True), "the option 'privileged' cannot work"),
        (driven("docker", image="x", ports=["http"]), "the option 'ports' cannot work"),
        (driven("docker", image="x", volumes=["data"]), "the volume 'data' cannot work"),
        (driven("docker", image="x", mount=[{"type": "tmpfs"}]), "only mounts of type bind"),
        (driven("exec", command=["x"]), "command: a string was expected"),
        (driven("exec", command="x", args="y"), "args: a list of strings was expected"),
    ],
)
def test_what_cannot_work_is_refused_by_name(one: dict[str, Any], why: str) -> None:
    with pytest.raises(JobRefused, match=why):
        render_script(job(one))


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="shellcheck is not installed")
def test_shellcheck_has_nothing_against_a_rendered_script(tmp_path: Path) -> None:
    tasks = [
        {**driven("docker", **CONTAINER), "Env": {"X": "it's\n$(x)"}},
        {**driven("script", script=SCRIPT), "Name": "second"},
    ]
    script = tmp_path / "aws-job-run.sh"
    script.write_bytes(render_script(job(*tasks)))
    done = subprocess.run(
        ["shellcheck", "--severity=warning", script], capture_output=True, text=True, check=False
    )
    assert done.stdout == ""
