"""The text of `aws-job-run.sh` for a job: the fixed part in bash, and what the job says as data."""

from __future__ import annotations

from importlib import resources

from nomad_jobs.run_script.bash_text import call, quote
from nomad_jobs.run_script.drivers import (
    command_lines,
    directives,
    is_container,
    setup_lines,
)
from nomad_jobs.run_script.element_folders import element_folder
from nomad_jobs.run_script.specification import (
    DEFAULT_CPU,
    DEFAULT_MEMORY,
    Group,
    JobSpecification,
    Task,
    Template,
)
from nomad_jobs.run_script.template_text import KNOWN, TemplateRefused, compile_template

_FIXED = ("environment.sh", "templates.sh", "containers.sh", "tasks.sh", "group.sh", "run.sh")


def script_text(job: JobSpecification) -> str:
    """The run script. Every run of one version of a job has the same; no fact of a run is in it.

    What the renderer cannot do is noted in the job's problems (see `Reader`).
    """
    tasks = [task for group in job.groups for task in group.tasks]
    parts = ["#!/bin/bash", *directives(tasks)]
    parts += ["# Rendered by jobferry from a Nomad job; what a run knows lies in .nomad/dispatch."]
    parts += [_fixed(name) for name in _FIXED]
    parts += ["# ---- What the job says. Every quoted word is data."]
    number = 0
    for index, group in enumerate(job.groups):
        parts.append(_function(f"nomad_group_{index}", _group_lines(group, number)))
        for task in group.tasks:
            setup = [*_setup_lines(job, group, task), *_template_lines(task), *setup_lines(task)]
            parts.append(_function(f"nomad_setup_{number}", setup))
            commands = [f"{line} || return" for line in command_lines(task)]
            parts.append(_function(f"nomad_command_{number}", commands))
            number += 1
    parts += [_function("nomad_choose", _choice(job)), "nomad_main", ""]
    return "\n".join(parts)


def _fixed(name: str) -> str:
    text = resources.files("nomad_jobs.run_script").joinpath("shell", name).read_text("utf-8")
    return text.partition("\n")[2].rstrip("\n")  # the first line is for the part alone


def _function(name: str, lines: list[str]) -> str:
    # Words that go on in a next line must not be indented.
    return "\n".join([f"{name}() {{", *(lines or [":"]), "}"])


def _choice(job: JobSpecification) -> list[str]:
    """Which group an element belongs to: the elements of all groups lie one behind the other."""
    lines, first = [], 0
    for number, group in enumerate(job.groups):
        begin = [f'"$((nomad_index - {first}))"', str(group.max_run_duration or 0)]
        folder = quote(element_folder(job, group, ""))
        if job.elements > 1:
            folder += begin[0]
        lines += [
            f'if [ "$nomad_index" -lt {first + group.count} ]; then',
            f"nomad_group_{number}",
            f"nomad_begin {folder} {quote(group.name)} {' '.join(begin)}",
            "return",
            "fi",
        ]
        first += group.count
    return [*lines, f'nomad_say "there is no element $nomad_index of {first}"', "return 1"]


def _group_lines(group: Group, first: int) -> list[str]:
    lines = [f"nomad_first_task={first}"]
    for task in group.tasks:
        policy = task.restart
        lines.append(
            call(
                "nomad_task",
                task.name,
                task.hook,
                str(int(task.sidecar)),
                str(int(task.leader)),
                task.kill_signal.removeprefix("SIG"),
                str(task.kill_timeout),
                str(policy.attempts),
                str(policy.interval),
                str(policy.delay),
                policy.mode,
                "on" if task.logs else "off",
            )
        )
    return lines


def _setup_lines(job: JobSpecification, group: Group, task: Task) -> list[str]:
    """Nomad's order: identity, meta (job, dispatch, group, task), `env`, payload, templates."""
    stated = task.resources
    # Beside `cores`, Nomad tells the MHz of these cores, which only the node knows.
    cpu = stated.cpu or ("" if stated.cores else DEFAULT_CPU)
    limits = (cpu, stated.memory or DEFAULT_MEMORY)
    maximum = (str(value or "") for value in (stated.memory_max, stated.cores))
    lines = [call("nomad_identity", task.name, *map(str, limits), *maximum)]
    if is_container(task):
        lines.append("nomad_container_paths")
    lines += [call("nomad_meta", key, "") for key in job.meta_optional]
    lines += [call("nomad_meta", *pair) for pair in job.meta.items()]
    lines.append("nomad_dispatched_meta")
    lines += [call("nomad_meta", *pair) for pair in group.meta.items()]
    lines += [call("nomad_meta", *pair) for pair in task.meta.items()]
    lines += [call("nomad_env", *pair) for pair in task.env.items()]
    if task.payload_file:
        lines.append(f"{call('nomad_payload', task.payload_file)} || return")
    return lines


def _template_lines(task: Task) -> list[str]:
    lines: list[str] = []
    for template in task.templates:
        lines += _text_lines(task, template)
        write = call("nomad_write", template.destination, template.perms)
        lines.append(f'{write} "$nomad_text" || return')
        if template.env:
            lines.append("nomad_template_variables || return")
    return lines


def _text_lines(task: Task, template: Template) -> list[str]:
    if template.source:
        return [f"{call('nomad_source', template.source, template.left)} || return"]
    try:
        commands = compile_template(template.data, template.left, template.right)
    except TemplateRefused as refused:
        task.raw.refuse(
            f"the template of {template.destination!r}: {refused}",
            f"known are: {KNOWN}; what else is needed belongs into the command or an artifact",
        )
        return []
    return ["nomad_text=''", *commands]
