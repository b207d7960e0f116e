"""What a job file or a dispatch says arrives in the task as it stands, and is never evaluated."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nomad_jobs.run_script.render import JobRefused, render_run, render_script
from tests.unit.nomad_jobs.run_script.rendered import (
    ALLOCATION,
    Run,
    facts,
    job,
    place,
    recording,
    shell,
)

HOSTILE = [
    "",
    " ",
    "a b",
    "it's",
    'say "x"',
    "$(touch evil)",
    "`touch evil`",
    "$HOME ${HOME} ${1} $1 $@ ${x:-$(touch evil)}",
    "a\nb\n\n",
    "\n#$ -l evil\n#SBATCH --evil",
    "\r\n\t\x01\x7f",
    "back\\slash \\n \\",
    "*.? [a-z] {a,b} ~ !x",
    "; touch evil & | > evil",
    "計算 ジョブ 日本語",
    "-n",
    "--",
    "=",
    "${",
    "${}",
    "${NOMAD_",
    "$${NOMAD_JOB_ID",
    "}",
    "%s%d%n",
    "é" * 300,
]

_texts = st.text(
    st.one_of(
        st.sampled_from("$`'\"\\{}()[]*?~!#&|;<> \n\r\t=-%@é日"),
        st.characters(exclude_categories=("Cs",), exclude_characters="\0"),
    ),
    max_size=30,
).filter(lambda text: not re.search(r"\$\{([A-Za-z0-9_.-]+|env\[)", text))
_names = st.from_regex(r"X_[A-Za-z0-9_.-]{0,8}", fullmatch=True)
_keys = st.from_regex(r"k[a-z0-9_.-]{0,8}", fullmatch=True)


@pytest.mark.parametrize(
    "name", ["job0001", "a b", "it's $(x)", "計算 ジョブ", "a=b", "-n", "a${HOME}b"]
)
def test_hostile_values_arrive_byte_for_byte(tmp_path: Path, name: str) -> None:
    env = {f"X_{n}": text for n, text in enumerate(HOSTILE)}
    static = {f"s{n}": text for n, text in enumerate(HOSTILE)}
    sent = {f"d{n}": text for n, text in enumerate(HOSTILE)}
    specification = job(recording(*HOSTILE, Env=env, Meta=static))
    run = place(tmp_path / name, specification, facts(meta=sent))
    assert run.run() == (0, "")
    arguments, variables = run.record()
    assert arguments == [text.encode() for text in HOSTILE]
    for n, text in enumerate(HOSTILE):
        for key in (f"X_{n}", f"NOMAD_META_s{n}", f"NOMAD_META_S{n}", f"NOMAD_META_d{n}"):
            assert variables[key.encode()] == text.encode(), key
    assert not list(tmp_path.rglob("evil"))


@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    arguments=st.lists(_texts, max_size=30),
    env=st.dictionaries(_names, _texts, max_size=30),
    meta=st.dictionaries(_keys, _texts, max_size=30),
    sent=st.dictionaries(_keys, _texts, max_size=30),
)
def test_any_text_arrives_byte_for_byte(
    tmp_path_factory: pytest.TempPathFactory,
    arguments: list[str],
    env: dict[str, str],
    meta: dict[str, str],
    sent: dict[str, str],
) -> None:
    root = tmp_path_factory.mktemp("any") / "job"
    run = place(root, job(recording(*arguments, Env=env)) | {"Meta": meta}, facts(meta=sent))
    assert run.run() == (0, "")
    got, variables = run.record()
    assert got == [text.encode() for text in arguments]
    for name, text in env.items():
        assert variables[name.encode()] == text.encode()
    expected: dict[str, str] = {}
    for key, text in [*sorted(meta.items()), *sorted(sent.items())]:  # a dispatch goes over the job
        for spelling in (key.upper(), key):
            expected["NOMAD_META_" + re.sub("[^A-Za-z0-9_.]", "_", spelling)] = text
    for name, text in expected.items():
        assert variables[name.encode()] == text.encode()


def test_the_script_is_the_same_for_every_run(tmp_path: Path) -> None:
    specification = job(shell("true", DispatchPayload={"File": "in.txt"}))
    one = render_run(specification, facts(meta={"a": "1"}, payload=b"x", parent_id="job0001"))
    other = render_run(specification, facts(job_id="other", site="dc2"))
    assert one.script == other.script == render_script(specification)
    assert one.files[".nomad/payload"] == b"x"
    assert set(other.files) == {".nomad/dispatch"}


def test_no_line_of_the_script_begins_with_a_users_directive() -> None:
    text = "\n".join(["#$ -l x", "#SBATCH -x", "#PBS -x", "#BSUB -x", "#PJM -x", "#!/bin/sh\r"])
    script = render_script(job(shell(text, Env={"X": text}, Meta={"m": text}))).decode()
    assert not re.search(r"^#(\$|SBATCH|PBS|BSUB|PJM)", script, re.MULTILINE)
    assert "\r" not in script


@pytest.mark.parametrize("where", ["Env", "Meta"])
def test_nul_in_a_job_is_refused(where: str) -> None:
    with pytest.raises(JobRefused, match="NUL"):
        render_script(job(shell("true", **{where: {"K": "a\0b"}})))


def test_nul_or_half_a_character_in_a_dispatch_is_refused() -> None:
    for bad in ("a\0b", "\ud800"):
        with pytest.raises(JobRefused, match=r"meta\.k"):
            render_run(job(shell("true")), facts(meta={"k": bad}))


@pytest.fixture
def described(tmp_path: Path) -> Any:
    def run(env: dict[str, str], **more: str) -> dict[str, str]:
        made: Run = place(tmp_path / "job", job(recording(Env=env)), facts(meta={"who": "it"}))
        assert made.run(**more) == (0, "")
        return {k.decode(): v.decode() for k, v in made.record()[1].items()}

    return run


def test_references_are_put_in_once_and_unknown_ones_stay(described: Any) -> None:
    got = described(
        {
            "A_JOB": "<${NOMAD_JOB_ID}>${NOMAD_META_who}$",
            "B_UNKNOWN": "${nothing.here} ${NOMAD_NOTHING} $NOMAD_JOB_ID ${RANDOM} ${nomad_root}",
            "C_ONCE": "${INHERITED}",
            "D_HCL": '${env["INHERITED"]}|${env.INHERITED}|${env["NONE"]}',
            "E_NODE": "${attr.kernel.name} ${node.datacenter} ${node.region}",
            "F_EARLIER": "${A_JOB}",
        },
        INHERITED="${NOMAD_JOB_ID} $(touch evil)",
    )
    assert got["A_JOB"] == "<job0001>it$"
    assert got["B_UNKNOWN"] == (
        "${nothing.here} ${NOMAD_NOTHING} $NOMAD_JOB_ID ${RANDOM} ${nomad_root}"
    )
    assert got["C_ONCE"] == "${NOMAD_JOB_ID} $(touch evil)"
    assert got["D_HCL"] == "|".join(["${NOMAD_JOB_ID} $(touch evil)"] * 2 + ['${env["NONE"]}'])
    assert got["E_NODE"] == "linux dc1 global"
    assert got["F_EARLIER"] == got["A_JOB"]


def allowed_cores() -> str:
    status = Path("/proc/self/status").read_text()
    found = re.search(r"^Cpus_allowed_list:\s*(\S+)$", status, re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_environment_that_a_task_has(tmp_path: Path) -> None:
    given_ = facts(job_id="p/dispatch-1-abcdefab", parent_id="p", name="p/dispatch-1-abcdefab")
    one = recording(Resources={"CPU": 500, "MemoryMB": 256, "Cores": 2, "MemoryMaxMB": 512})
    run = place(tmp_path / "p" / "dispatch-1-abcdefab", job(one), given_)
    assert run.run() == (0, "")
    variables = {k.decode(): v.decode() for k, v in run.record()[1].items()}
    assert {k: v for k, v in variables.items() if k.startswith("NOMAD_")} == {
        "NOMAD_ALLOC_DIR": f"{run.root}/alloc",
        "NOMAD_TASK_DIR": f"{run.root}/main/local",
        "NOMAD_SECRETS_DIR": f"{run.root}/main/secrets",
        "NOMAD_ALLOC_ID": ALLOCATION,
        "NOMAD_SHORT_ALLOC_ID": ALLOCATION[:8],
        "NOMAD_ALLOC_NAME": "p/dispatch-1-abcdefab.work[0]",
        "NOMAD_ALLOC_INDEX": "0",
        "NOMAD_TASK_NAME": "main",
        "NOMAD_GROUP_NAME": "work",
        "NOMAD_JOB_ID": "p/dispatch-1-abcdefab",
        "NOMAD_JOB_NAME": "p/dispatch-1-abcdefab",
        "NOMAD_JOB_PARENT_ID": "p",
        "NOMAD_DC": "dc1",
        "NOMAD_REGION": "global",
        "NOMAD_NAMESPACE": "default",
        "NOMAD_CPU_LIMIT": "500",
        "NOMAD_CPU_CORES": allowed_cores(),
        "NOMAD_MEMORY_LIMIT": "256",
        "NOMAD_MEMORY_MAX_LIMIT": "512",
    }


def test_beside_cores_no_wrong_limit_is_told(tmp_path: Path) -> None:
    run = place(tmp_path / "job", job(recording(Resources={"Cores": 1})))
    assert run.run() == (0, "")
    assert b"NOMAD_CPU_LIMIT" not in run.record()[1]
    assert run.record()[1][b"NOMAD_CPU_CORES"].decode() == allowed_cores()


def test_meta_of_a_task_goes_over_its_group_over_the_dispatch_over_the_job(tmp_path: Path) -> None:
    keys = {"job": "abcd", "sent": "bcd", "group": "cd", "task": "d"}
    meta = {level: {f"k{key}": level for key in of} for level, of in keys.items()}
    specification = job(recording(Meta=meta["task"]), Meta=meta["group"]) | {
        "Meta": meta["job"],
        "ParameterizedJob": {"MetaOptional": ["unsent", "kb"]},
    }
    run = place(tmp_path / "job", specification, facts(meta=meta["sent"]))
    assert run.run() == (0, "")
    variables = run.record()[1]
    told = [variables[f"NOMAD_META_k{key}".encode()].decode() for key in "abcd"]
    assert told == ["job", "sent", "group", "task"]
    assert variables[b"NOMAD_META_unsent"] == variables[b"NOMAD_META_UNSENT"] == b""


def test_the_mark_of_the_directory_names_the_allocation(tmp_path: Path) -> None:
    run = place(tmp_path / "job", job(recording()))
    later = "11111111-2222-3333-4444-555555555555"
    (run.root / "aws-job-allocation.json").write_text(
        f'{{"allocation": "{later}", "job": "job0001"}}\n'
    )
    assert run.run() == (0, "")
    assert run.record()[1][b"NOMAD_ALLOC_ID"].decode() == later
