"""Reading a job file: blocks, dynamic blocks, and where the messages point."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nomad_jobs.job_file.reading import read_job_file

HOUR = 3600 * 10**9


def _job(text: str) -> dict[str, Any]:
    read = read_job_file(text, file="x.nomad")
    assert [str(problem) for problem in read.problems] == []
    assert read.job is not None
    return read.job


def _task(body: str) -> dict[str, Any]:
    text = f'job "j" {{\n group "g" {{\n task "t" {{\n{body}\n }}\n }}\n}}'
    task: dict[str, Any] = _job(text)["TaskGroups"][0]["Tasks"][0]
    return task


def _problems(text: str) -> list[str]:
    read = read_job_file(text, file="x.nomad")
    assert read.job is None
    return [str(problem) for problem in read.problems]


def test_every_block_of_a_task_becomes_nomads_json() -> None:
    assert _task(
        """
        driver       = "raw_exec"
        kill_timeout = "1m30s"
        kill_signal  = "SIGTERM"
        leader       = true
        config {
          command = "run.sh"
          args    = ["-n", 3]
          mount {
            type = "bind"
          }
          mount {
            type = "volume"
          }
        }
        env {
          THREADS = 4
          "WITH-DASH" = true
        }
        meta = { a = 1 }
        resources {
          cores  = 4
          memory = 2048
          device "nvidia/gpu" {
            count = 2
          }
        }
        artifact {
          source      = "s3::https://example.com/a"
          destination = "local/in"
          mode        = "file"
          options {
            checksum = "md5:0"
          }
        }
        template {
          data        = "x={{ env \\"A\\" }}"
          destination = "local/x"
          splay       = "1s"
        }
        dispatch_payload { file = "in.txt" }
        lifecycle {
          hook    = "prestart"
          sidecar = false
        }
        restart {
          attempts = 0
          interval = "24h"
          mode     = "fail"
        }
        logs { max_files = 3 }
        constraint {
          attribute = "${attr.kernel.name}"
          value     = "linux"
        }
        constraint {
          attribute = "${meta.rack}"
          regexp    = "r[0-9]"
        }
        constraint { distinct_hosts = true }
        constraint {
          distinct_property = "${meta.rack}"
          value             = 2
        }
        """
    ) == {
        "Name": "t",
        "Driver": "raw_exec",
        "KillTimeout": 90 * 10**9,
        "KillSignal": "SIGTERM",
        "Leader": True,
        "Config": {
            "command": "run.sh",
            "args": ["-n", 3],
            "mount": [{"type": "bind"}, {"type": "volume"}],
        },
        "Env": {"THREADS": "4", "WITH-DASH": "true"},
        "Meta": {"a": "1"},
        "Resources": {
            "Cores": 4,
            "MemoryMB": 2048,
            "Devices": [{"Name": "nvidia/gpu", "Count": 2}],
        },
        "Artifacts": [
            {
                "GetterSource": "s3::https://example.com/a",
                "RelativeDest": "local/in",
                "GetterMode": "file",
                "GetterOptions": {"checksum": "md5:0"},
            }
        ],
        "Templates": [
            {
                "EmbeddedTmpl": 'x={{ env "A" }}',
                "DestPath": "local/x",
                "ChangeMode": "restart",
                "Perms": "0644",
                "Splay": 10**9,
                "ErrMissingKey": False,
            }
        ],
        "DispatchPayload": {"File": "in.txt"},
        "Lifecycle": {"Hook": "prestart", "Sidecar": False},
        "RestartPolicy": {"Attempts": 0, "Interval": 24 * HOUR, "Mode": "fail"},
        "LogConfig": {"MaxFiles": 3},
        "Constraints": [
            {"LTarget": "${attr.kernel.name}", "RTarget": "linux", "Operand": "="},
            {"LTarget": "${meta.rack}", "RTarget": "r[0-9]", "Operand": "regexp"},
            {"Operand": "distinct_hosts"},
            {"LTarget": "${meta.rack}", "RTarget": "2", "Operand": "distinct_property"},
        ],
    }


def test_the_head_of_a_job() -> None:
    assert _job(
        """
        job "nightly/report" {
          name        = "report"
          region      = "global"
          namespace   = "default"
          type        = "batch"
          priority    = 70
          datacenters = ["dc1", "dc2"]
          node_pool   = "large"
          meta {
            owner = "ops"
          }
          parameterized {
            payload       = "optional"
            meta_required = ["a"]
            meta_optional = ["b"]
          }
          reschedule {
            attempts = 2
            interval = "1h"
          }
          group "g" {
            count = 3
            meta { k = "v" }
            ephemeral_disk { size = 500 }
            restart { attempts = 1 }
          }
        }
        """
    ) == {
        "ID": "nightly/report",
        "Name": "report",
        "Region": "global",
        "Namespace": "default",
        "Type": "batch",
        "Priority": 70,
        "Datacenters": ["dc1", "dc2"],
        "NodePool": "large",
        "Meta": {"owner": "ops"},
        "ParameterizedJob": {"Payload": "optional", "MetaRequired": ["a"], "MetaOptional": ["b"]},
        "Reschedule": {"Attempts": 2, "Interval": HOUR},
        "TaskGroups": [
            {
                "Name": "g",
                "Count": 3,
                "Meta": {"k": "v"},
                "EphemeralDisk": {"SizeMB": 500},
                "RestartPolicy": {"Attempts": 1},
            }
        ],
    }


def test_what_comes_before_a_job() -> None:
    text = (
        'job "j" {\n depends_on {\n job = "a"\n}\n depends_on {\n job = "b"\n on = "afterany"\n}\n}'
    )
    read = read_job_file(text, file="x.nomad")
    assert read.job == {
        "ID": "j",
        "Name": "j",
        "DependsOn": [{"Job": "a"}, {"Job": "b", "On": "afterany"}],
    }


def test_a_task_outside_of_a_group_gets_a_group_of_its_name_before_the_others() -> None:
    job = _job('job "j" {\n group "g" { }\n task "t" {\n driver = "exec"\n }\n}')
    assert job["TaskGroups"] == [
        {"Name": "t", "Tasks": [{"Name": "t", "Driver": "exec"}]},
        {"Name": "g"},
    ]


def test_an_unstated_resource_is_not_in_the_job() -> None:
    assert _task("resources {\n cores = 2\n memory = null\n }") == {
        "Name": "t",
        "Resources": {"Cores": 2},
    }


def test_dynamic_blocks_make_one_block_for_each_element() -> None:
    job = _job(
        """
        locals {
          steps = { one = "a.sh", two = "b.sh" }
        }
        job "j" {
          dynamic "group" {
            for_each = local.steps
            labels   = [group.key]
            content {
              dynamic "task" {
                for_each = ["x", "y"]
                iterator = each
                labels   = ["${group.key}-${each.value}"]
                content {
                  driver = "raw_exec"
                  config { command = group.value }
                }
              }
            }
          }
        }
        """
    )
    found = [
        (group["Name"], task["Name"], task["Config"]["command"])
        for group in job["TaskGroups"]
        for task in group["Tasks"]
    ]
    assert found == [
        ("one", "one-x", "a.sh"),
        ("one", "one-y", "a.sh"),
        ("two", "two-x", "b.sh"),
        ("two", "two-y", "b.sh"),
    ]


def test_json_is_taken_as_it_is() -> None:
    job = {"ID": "j", "Type": "batch"}
    assert _job(json.dumps(job)) == job
    assert _job(json.dumps({"Job": job})) == job


def test_problems_name_the_file_the_line_and_the_block_all_at_once() -> None:
    assert _problems(
        """
job "x" {
  typ = "batch"
  group "y" {
    servce { }
    count = "many"
    task "t" {
      driver = upper(1, 2)
      resources = {}
      resources {
        cpu = 1
        memory { }
      }
      artifact "label" { }
      service {
        name = "web"
      }
    }
  }
}
"""
    ) == [
        """x.nomad:3: job "x": unknown attribute 'typ'; did you mean 'type'?""",
        """x.nomad:6: job "x" > group "y": count: a number is needed here, not a string: 'many'""",
        """x.nomad:5: job "x" > group "y": unknown block 'servce'; did you mean 'service'?""",
        """x.nomad:8: job "x" > group "y" > task "t": driver: upper(): takes 1 arguments, not 2""",
        """x.nomad:9: job "x" > group "y" > task "t": 'resources' is a block: """
        "write resources { ... }",
        """x.nomad:12: job "x" > group "y" > task "t" > resources: 'memory' is no block: """
        "write memory = ...",
        """x.nomad:14: job "x" > group "y" > task "t": the block 'artifact' has no label""",
        """x.nomad:15: job "x" > group "y" > task "t": 'service' is not supported: """
        "a batch job on a site offers no service; remove it",
    ]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", 'x.nomad:1: there is no job: job "name" { ... }'),
        ("job { }", 'x.nomad:1: a job has one label, its id: job "name" { ... }'),
        ('job "a" { }\njob "b" { }', "x.nomad:2: a file has one job; the first is on line 1"),
        ('jbo "a" { }\njob "b" { }', "x.nomad:1: unknown block 'jbo'; did you mean 'job'?"),
        ('a = 1\njob "b" { }', "x.nomad:1: 'a' stands outside of every block"),
        (
            'job "a" {\n',
            "x.nomad:2: expected an attribute, a block or '}', found the end of the file",
        ),
        ('job "a" {\n type = "batch" meta { }\n}', "x.nomad:2: expected a new line, found 'meta'"),
        (
            'job "a" {\n type = "x"\n type = "y"\n}',
            "x.nomad:3: 'type' is set a second time; it was set on line 2",
        ),
        (
            'job "a" {\n periodic { }\n periodic { }\n}',
            """x.nomad:3: job "a": only one block 'periodic' is allowed; the first is on line 2""",
        ),
        ('job "a" {\n/* never closed', "x.nomad:2: this comment is not closed with */"),
        (
            'job "${a}" { }',
            "x.nomad:1: a label or a name is plain text, without ${...}",
        ),
        ('{"job": {"a": {}}}', "x.nomad:1: JSON job files have the form of Nomad's API"),
        ("{", "x.nomad:1: this is no JSON: "),
        ('{"ID": NaN}', "x.nomad:1: this is no JSON: NaN is no number"),
        ('{"Job": 1}', "x.nomad:1: 'Job' must be an object"),
    ],
)
def test_what_is_no_job_file_is_refused_where_it_ends_to_make_sense(
    text: str, problem: str
) -> None:
    (found,) = _problems(text)
    assert found.startswith(problem)


@pytest.mark.parametrize("name", ["update", "migrate", "spread", "affinity", "ui"])
def test_a_block_without_a_meaning_here_is_warned_about_and_left_out(name: str) -> None:
    read = read_job_file(f'job "j" {{\n {name} {{ }}\n}}', file="x.nomad")
    assert read.job == {"ID": "j", "Name": "j"}
    (warning,) = map(str, read.warnings)
    assert warning.startswith(f"x.nomad:2: job \"j\": '{name}' has no effect and is left out: ")


@pytest.mark.parametrize("name", ["multiregion", "vault", "consul"])
def test_a_block_that_the_job_needs_and_that_is_not_here_is_refused(name: str) -> None:
    (problem,) = _problems(f'job "j" {{\n {name} {{ }}\n}}')
    assert problem.startswith(f"x.nomad:2: job \"j\": '{name}' is not supported: ")


_WORDS = st.sampled_from(
    [
        *("job", '"x"', "group", "task", "{", "}", "=", "\n", "[", "]", "(", ")", ",", ".", "..."),
        *('"', "${", "%{if true}", "%{endif}", "<<EOF\n", "EOF\n", "for", "in", ":", "?", "=>"),
        *("1", "-", "!", "&&", "var.x", "locals", "dynamic", "content", "for_each", "\\", "~", "#"),
        *("range(9)", "[*]", ".*", "null", "é", "\x00", "meta", "config", "variable", "type"),
    ]
)


@given(st.one_of(st.text(), st.lists(_WORDS, max_size=60).map(" ".join)))
def test_any_text_gives_a_job_or_clean_problems(text: str) -> None:
    read = read_job_file(text, file="x.nomad")
    assert (read.job is None) == bool(read.problems)
    for problem in read.problems:
        assert problem.message
        assert str(problem).startswith("x.nomad")


_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


def _written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quoted(k)} = {_written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_written, value)) + "]"
    return _quoted(value) if isinstance(value, str) else json.dumps(value)


def _quoted(text: str) -> str:
    escaped = json.dumps(text, ensure_ascii=False)[1:-1].replace("\\b", "\\u0008")
    escaped = escaped.replace("\\f", "\\u000c").replace("\x7f", "\\u007f")
    return '"' + escaped.replace("${", "$${").replace("%{", "%%{") + '"'


@given(st.dictionaries(st.from_regex(r"[a-z]{1,6}", fullmatch=True), _VALUES, max_size=4))
def test_a_value_that_was_written_as_hcl_comes_back(config: dict[str, Any]) -> None:
    lines = "\n".join(f"{key} = {_written(value)}" for key, value in config.items())
    assert _task(f"config {{\n{lines}\n}}")["Config"] == config
