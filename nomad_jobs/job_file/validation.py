"""Decides whether a job may be registered: the same rules for job files and for JSON.

Messages in Nomad's own words are those of nomad/structs/structs.go.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from job_protocol.dependency import MOST_DEPENDENCIES, On
from job_protocol.object_keys import job_id_problems
from nomad_jobs.job_file.constraint_rules import constraint_problems
from nomad_jobs.job_file.nearest import did_you_mean
from nomad_jobs.job_file.problems import MAX_FINDINGS, Finding, Path, Places
from nomad_jobs.job_file.shape import Shape
from nomad_jobs.job_file.task_rules import Report, check_task, name_problem, restart_problems

MAX_PRIORITY = 100
MOST_ACTIVE = 100
"""The most that `max_active` may be: the template's item lists the children that are active."""
PAYLOAD_WORDS = ("optional", "required", "forbidden")
_DELAY_FUNCTIONS = ("constant", "exponential", "fibonacci")
_MIN_RESCHEDULE_DELAY = 5_000_000_000
_OTHER_TYPES = {
    "service": "a service runs for ever, and a batch scheduler's jobs end",
    "system": "a system job runs on every node, and the site's scheduler chooses the nodes",
    "sysbatch": "a sysbatch job runs on every node, and the site's scheduler chooses the nodes",
    "core": "core jobs are Nomad's own",
}


@dataclass(frozen=True, slots=True)
class Clock:
    """What knows cron expressions and time zones; each raises ValueError for what is none.

    Attributes:
        parse_cron: reads a cron expression.
        time_zone: reads the name of a time zone.
    """

    parse_cron: Callable[[str], object]
    time_zone: Callable[[str], object]


@dataclass(frozen=True, slots=True)
class Admission:
    """Whether a job may be registered.

    Attributes:
        job: what is stored: what was stated and is supported; None if there are problems.
        problems: every reason why not.
        warnings: what was stated in vain.
    """

    job: dict[str, Any] | None
    problems: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def admit(job: Mapping[str, Any], clock: Clock, places: Places | None = None) -> Admission:
    """Judge a job in Nomad's JSON.

    Args:
        job: the `Job` object, from a job file or from a registration.
        clock: judges periodic jobs.
        places: the lines of the job file that it came from, if any.
    """
    shape = Shape(places)
    stated = shape.job(job)
    if not stated and shape.problems:
        return Admission(None, tuple(shape.problems), ())
    where = f'job "{stated.get("ID", "")}"'

    def problem(message: str, inside: str, path: Path) -> None:
        shape.problems.append(shape.finding(message, where + inside, path))

    def warning(message: str, inside: str, path: Path) -> None:
        shape.warnings.append(shape.finding(message, where + inside, path))

    report = Report(problem, warning)
    _check_head(stated, report)
    _check_groups(stated, report)
    _check_periodic(stated, report, clock)
    _check_parameterized(stated, report)
    _check_dependencies(stated, report)
    accepted = None if shape.problems else {**stated, "Name": stated.get("Name") or stated["ID"]}
    problems, warnings = shape.problems[:MAX_FINDINGS], shape.warnings[:MAX_FINDINGS]
    return Admission(accepted, tuple(problems), tuple(warnings))


def _check_head(job: Mapping[str, Any], report: Report) -> None:
    _check_id(job.get("ID", ""), report)
    if "\0" in job.get("Name", ""):
        report.problem("Job Name contains a null character", "", ("Name",))
    kind = job.get("Type")
    if kind is None:
        message = 'no type is set, and Nomad\'s own default is "service"; write type = "batch"'
        report.problem(message, "", ())
    elif kind in _OTHER_TYPES:
        message = f'type {kind!r} is not supported, only "batch": {_OTHER_TYPES[kind]}'
        report.problem(message, "", ("Type",))
    elif kind != "batch":
        message = f"Invalid job type: {_quoted(kind)}{did_you_mean(kind, ('batch',))}"
        report.problem(message, "", ("Type",))
    if not 1 <= job.get("Priority", 50) <= MAX_PRIORITY:
        report.problem(f"Job priority must be between [1, {MAX_PRIORITY}]", "", ("Priority",))
    if "" in job.get("Datacenters", ()):
        report.problem("Job datacenter must be non-empty string", "", ("Datacenters",))
    for key, default in (("Region", "global"), ("Namespace", "default")):
        if job.get(key, default) not in (default, ""):
            message = f"{key!r} has no effect: sites are told apart by datacenters alone"
            report.warning(message, "", (key,))
    _check_constraints(job, report, "", ())
    if "Reschedule" in job:
        _check_reschedule(job["Reschedule"], report, "", ("Reschedule",))


def _check_id(job_id: str, report: Report) -> None:
    if not job_id:
        report.problem("Missing job ID", "", ("ID",))
    elif " " in job_id:
        report.problem("Job ID contains a space", "", ("ID",))
    elif "\0" in job_id:
        report.problem("Job ID contains a null character", "", ("ID",))
    else:
        for wrong in job_id_problems(job_id):
            report.problem(f"{wrong.problem}; {wrong.remedy}", "", ("ID",))


def _quoted(text: str) -> str:
    return f'"{text}"'


def _check_groups(job: Mapping[str, Any], report: Report) -> None:
    groups = job.get("TaskGroups", [])
    if not groups:
        report.problem("Missing job task groups", "", ())
    seen: dict[str, int] = {}
    for index, group in enumerate(groups):
        path: Path = ("TaskGroups", index)
        name = group.get("Name", "")
        if not name:
            report.problem(f"Job task group {index + 1} missing name", "", path)
        elif name in seen:
            message = f"Job task group {index + 1} redefines '{name}' from group {seen[name] + 1}"
            report.problem(message, "", path)
        elif (wrong := name_problem(name)) is not None:
            report.problem(f"the group name {name!r} {wrong}", "", path)
        seen.setdefault(name, index)
        _check_group(group, report, f' > group "{name}"', path, "ParameterizedJob" in job)
    if groups and not any(group.get("Count", 1) for group in groups):
        report.problem("every group has count 0, so nothing would run", "", ("TaskGroups",))


def _check_group(
    group: Mapping[str, Any], report: Report, where: str, path: Path, dispatched: bool
) -> None:
    _check_constraints(group, report, where, path)
    if group.get("Count", 1) < 0:
        report.problem("Task group count can't be negative", where, (*path, "Count"))
    if "RestartPolicy" in group:
        restart: Path = (*path, "RestartPolicy")
        for message in restart_problems(group["RestartPolicy"], group.get("Name", "")):
            report.problem(message, f"{where} > restart", restart)
    if "ReschedulePolicy" in group:
        inside: Path = (*path, "ReschedulePolicy")
        _check_reschedule(group["ReschedulePolicy"], report, where, inside)
    tasks = group.get("Tasks", [])
    if not tasks:
        report.problem("Missing tasks for task group", where, path)
    seen: dict[str, int] = {}
    for index, task in enumerate(tasks):
        place: Path = (*path, "Tasks", index)
        name = task.get("Name", "")
        if not name:
            report.problem(f"Task {index + 1} missing name", where, place)
        elif name in seen:
            message = f"Task {index + 1} redefines '{name}' from task {seen[name] + 1}"
            report.problem(message, where, place)
        seen.setdefault(name, index)
        _check_constraints(task, report, f'{where} > task "{name}"', place)
        check_task(task, report, f'{where} > task "{name}"', place, dispatched)
    if sum(bool(task.get("Leader")) for task in tasks) > 1:
        report.problem("Only one task may be marked as leader", where, path)


def _check_constraints(of: Mapping[str, Any], report: Report, where: str, path: Path) -> None:
    for message in constraint_problems(of.get("Constraints", [])):
        report.problem(message, where, (*path, "Constraints"))


def _check_reschedule(policy: Mapping[str, Any], report: Report, where: str, path: Path) -> None:
    inside = f"{where} > reschedule"
    if policy.get("Attempts", 0) < 0:
        report.problem("Reschedule attempts can't be negative", inside, path)
    delay = policy.get("Delay", _MIN_RESCHEDULE_DELAY)
    wanted = policy.get("Unlimited") or policy.get("Attempts", 1)
    if wanted and delay < _MIN_RESCHEDULE_DELAY:
        report.problem("Delay cannot be less than 5s", inside, path)
    function = policy.get("DelayFunction", "constant")
    if function not in _DELAY_FUNCTIONS:
        words = " ".join(map(_quoted, _DELAY_FUNCTIONS))
        message = f"Invalid delay function {_quoted(function)}, must be one of [{words}]"
        report.problem(message, inside, path)
    if policy.get("Attempts", 0) > 0 and policy.get("Interval", 1) <= 0:
        report.problem("Interval must be a non-zero value if Attempts > 0", inside, path)


def _check_periodic(job: Mapping[str, Any], report: Report, clock: Clock) -> None:
    if (periodic := job.get("Periodic")) is None:
        return
    where, path = " > periodic", ("Periodic",)
    if job.get("Type") not in (None, "batch"):
        message = 'Periodic can only be used with "batch" or "sysbatch" scheduler'
        report.problem(message, where, path)
    if "ParameterizedJob" in job:
        message = "a job is either periodic or parameterized here, not both; register two jobs"
        report.problem(message, where, path)
    spec, specs = periodic.get("Spec"), periodic.get("Specs", [])
    if spec and specs:
        report.problem("Only cron or crons may be used", where, path)
    elif not spec and not specs:
        report.problem("Must specify a spec", where, path)
    if (kind := periodic.get("SpecType", "cron")) not in ("cron", ""):
        message = f"Unknown periodic specification type {_quoted(kind)}"
        report.problem(message, where, (*path, "SpecType"))
    for each in [spec] if spec else specs:
        _ask(clock.parse_cron, each, "cron spec", report, (*path, "Spec" if spec else "Specs"))
    _ask(clock.time_zone, periodic.get("TimeZone", ""), "time zone", report, (*path, "TimeZone"))


def _ask(read: Callable[[str], object], text: str, what: str, report: Report, path: Path) -> None:
    try:
        read(text)
    except ValueError as error:
        message = f"Invalid {what} {_quoted(text[:200])}: {error}"
        report.problem(message, " > periodic", path)


def _check_parameterized(job: Mapping[str, Any], report: Report) -> None:
    if (parameterized := job.get("ParameterizedJob")) is None:
        return
    where, path = " > parameterized", ("ParameterizedJob",)
    if job.get("Type") not in (None, "batch"):
        message = 'Parameterized job can only be used with "batch" or "sysbatch" scheduler'
        report.problem(message, where, path)
    payload = parameterized.get("Payload", "") or "optional"
    if payload not in PAYLOAD_WORDS:
        message = f"Unknown payload requirement: {_quoted(payload)}"
        report.problem(f"{message}{did_you_mean(payload, PAYLOAD_WORDS)}", where, path)
    most = parameterized.get("MaxActive")
    if most is not None and not 1 <= most <= MOST_ACTIVE:
        message = f"max_active is {most}; it must be between 1 and {MOST_ACTIVE}"
        report.problem(message, where, path)
    both = set(parameterized.get("MetaRequired", ())) & set(parameterized.get("MetaOptional", ()))
    if both:
        message = (
            "Required and optional meta keys should be disjoint. "
            f"Following keys exist in both: [{' '.join(sorted(both))}]"
        )
        report.problem(message, where, path)


def _check_dependencies(job: Mapping[str, Any], report: Report) -> None:
    rows, words = job.get("DependsOn", ()), [one.value for one in On]
    if rows and ("Periodic" in job or "ParameterizedJob" in job):
        message = "children of a template wait for nothing: depends_on is for jobs that run once"
        report.problem(message, "", ("DependsOn",))
    if len(rows) > MOST_DEPENDENCIES:
        message = f"{len(rows)} blocks depends_on; a job has at most {MOST_DEPENDENCIES}"
        report.problem(message, "", ("DependsOn",))
    for index, row in enumerate(rows):
        where, path = " > depends_on", ("DependsOn", index)
        if not row.get("Job"):
            report.problem('no job is named: write job = "ID"', where, path)
        if row.get("On", words[0]) not in words:
            hint = did_you_mean(row["On"], words) or f"; it must be one of {', '.join(words)}"
            report.problem(f"on is {_quoted(row['On'])}{hint}", where, path)
