"""Templates: the subset that is rendered, and the rest that is refused by name."""

from __future__ import annotations

import contextlib
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_jobs.run_script.bash_text import quote
from nomad_jobs.run_script.render import JobRefused, render_script
from nomad_jobs.run_script.template_text import TemplateRefused, compile_template
from tests.unit.nomad_jobs.run_script.rendered import Run, job, place, recording, shell


def templated(root: Path, *templates: dict[str, Any], **more: Any) -> Run:
    full = [{"DestPath": f"local/out{n}", **one} for n, one in enumerate(templates)]
    return place(root / "job", job(recording(Templates=full, **more)))


CASES = [
    ("plain $(touch evil) ${NOMAD_JOB_ID} 'x' \\ %s\n", None),
    ('{{ env "X" }}|{{env "NONE"}}|', "a $(b) {{ c }}é||"),
    ('{{ env "HOST" | toUpper }} {{ "AbC" | toLower }}', "INHERITED abc"),
    ('a\n  {{- /* gone */ -}}  \n b {{- " c " | trimSpace -}}\n', "ab" + "c"),
    ('{{ envOrDefault "NONE" "d\\"e" }}{{ envOrDefault "HOST" "d" }}', 'd"einherited'),
    ("{{ `raw }} text` }}", "raw }} text"),
    ('{{ mustEnv "NOMAD_JOB_ID" }}', "job0001"),
    ('{{ toUpper "x" }}', "X"),
    ("no newline at the end, tab\t, CR\r\n\n\n", None),
]


def test_the_subset_renders_as_consul_template_would(tmp_path: Path) -> None:
    run = templated(
        tmp_path,
        *({"EmbeddedTmpl": data} for data, _ in CASES),
        Env={"X": "a $(b) {{ c }}é"},
    )
    assert run.run(HOST="inherited") == (0, "")
    for n, (data, expected) in enumerate(CASES):
        want = data if expected is None else expected
        assert (run.root / f"main/local/out{n}").read_bytes() == want.encode(), data
    assert not list(tmp_path.rglob("evil"))


def test_timestamps_are_utc(tmp_path: Path) -> None:
    data = '{{ timestamp }} {{ timestamp "unix" }}'
    run = templated(tmp_path, {"EmbeddedTmpl": data})
    before = int(time.time())
    assert run.run(TZ="Asia/Tokyo") == (0, "")
    stamp, unix = (run.root / "main/local/out0").read_text().split()
    told = datetime.strptime(stamp, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    assert before <= int(told.timestamp()) <= int(unix) <= time.time()


def test_delimiters_destination_and_perms(tmp_path: Path) -> None:
    one = {
        "EmbeddedTmpl": '{{ env "X" }} << env "X" >>',
        "DestPath": "${NOMAD_SECRETS_DIR}/deep/${NOMAD_TASK_NAME}.txt",
        "LeftDelim": "<<",
        "RightDelim": ">>",
        "Perms": "640",
    }
    run = templated(tmp_path, one, Env={"X": "y"})
    assert run.run() == (0, "")
    file = run.root / "main/secrets/deep/main.txt"
    assert file.read_text() == '{{ env "X" }} y'
    assert file.stat().st_mode & 0o777 == 0o640


def test_a_template_can_set_variables(tmp_path: Path) -> None:
    data = """
# comment
PLAIN=a b  # not this
 export EXPORTED = x
SINGLE='a "b" $(c) # d'
DOUBLE="a\\nb \\"c\\" \\\\ \\$d"
EMPTY=
LATER={{ env "PLAIN" }}
spring.name=v=w
"""
    data = data.replace("EXPORTED = x", "EXPORTED=x")
    run = templated(tmp_path, {"EmbeddedTmpl": data, "Envvars": True}, Env={"PLAIN": "old"})
    assert run.run() == (0, "")
    variables = {k.decode(): v.decode() for k, v in run.record()[1].items()}
    assert {name: variables.get(name) for name in ("PLAIN", "EXPORTED", "SINGLE", "DOUBLE")} == {
        "PLAIN": "a b",
        "EXPORTED": "x",
        "SINGLE": 'a "b" $(c) # d',
        "DOUBLE": 'a\nb "c" \\ $d',
    }
    assert (variables["EMPTY"], variables["LATER"]) == ("", "old")
    assert variables["spring.name"] == "v=w"


@pytest.mark.parametrize(
    "line", ["no equals sign", "1X=y", 'X="open', "X='a'b'", 'X="\\q"', "X=a'b"]
)
def test_lines_that_are_no_variables_fail_the_task(tmp_path: Path, line: str) -> None:
    run = templated(tmp_path, {"EmbeddedTmpl": f"OK=1\n{line}\n", "Envvars": True})
    code, said = run.run()
    assert (code, "line 2 of a template" in said) == (1, True)
    assert run.events() == ["Received", "Setup Failure", "Dead"]


def test_a_source_is_copied_as_it_stands_and_refused_if_it_has_actions(tmp_path: Path) -> None:
    prepare = "printf 'a\\n\\n' >../main/local/good; printf '{{ key }}' >../main/local/bad"
    before = shell(prepare, "before", Lifecycle={"Hook": "prestart"})
    for name, code in (("good", 0), ("bad", 1)):
        template = {"SourcePath": f"local/{name}", "DestPath": "local/out"}
        run = place(tmp_path / name, job(before, recording(Templates=[template])))
        assert run.run()[0] == code
        assert (run.root / "main/local/out").exists() is (name == "good")
    assert (tmp_path / "good/main/local/out").read_bytes() == b"a\n\n"


def test_upper_case_of_what_is_not_ascii_is_refused_rather_than_wrong(tmp_path: Path) -> None:
    run = templated(tmp_path, {"EmbeddedTmpl": '{{ env "X" | toUpper }}'}, Env={"X": "straße"})
    code, said = run.run()
    assert (code, "toUpper in a template takes ASCII only" in said) == (1, True)


def test_a_destination_outside_fails_the_task(tmp_path: Path) -> None:
    template = {"EmbeddedTmpl": "x", "DestPath": "${NOMAD_META_to}/evil"}
    specification = job(recording(Templates=[template])) | {"Meta": {"to": "../../.."}}
    run = place(tmp_path / "a/b/job", specification)
    code, said = run.run()
    assert (code, "leads out" in said) == (1, True)
    assert not list(tmp_path.rglob("evil"))


@pytest.mark.parametrize(
    ("data", "word"),
    [
        ('{{ key "a/b" }}', "'key'"),
        ('{{ with secret "x" }}{{ end }}', "'with'"),
        ('{{ range service "web" }}', "'range'"),
        ('{{ if env "X" }}', "'if'"),
        ('{{ nomadVar "x" }}', "'nomadVar'"),
        ("{{ .Data }}", "'.Data'"),
        ("{{ $x }}", r"'\$x'"),
        ('{{ env "X" | base64Encode }}', "'base64Encode'"),
        ('{{ env "X" | toUpper | split "," }}', "'split'"),
        ("{{ env X }}", "must be strings"),
        ('{{ env "X" "Y" }}', "does not take these arguments"),
        ('{{ timestamp "2006" }}', "does not take these arguments"),
        ('{{ env "X"', "not closed"),
        ("{{ }}", "no call of a function"),
        ('{{ "\\q" }}', "an escape that is not known"),
        ("{{ /* open }}", "templates have no"),
    ],
)
def test_the_rest_of_the_language_is_refused_by_name(data: str, word: str) -> None:
    with pytest.raises(JobRefused, match=word):
        render_script(job(shell("true", Templates=[{"EmbeddedTmpl": data, "DestPath": "local/x"}])))


@given(st.text(st.sampled_from('{}-/*"`| \nenvX.'), max_size=40))
def test_any_text_is_rendered_or_refused(data: str) -> None:
    commands = []
    with contextlib.suppress(TemplateRefused):
        commands = compile_template(data, "{{", "}}")
    assert "{{" in data or commands == ([f"nomad_text+={quote(data)}"] if data else [])
