"""What a task must be: its name, driver, resources, artifacts, templates and policies."""

from __future__ import annotations

import posixpath
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from nomad_jobs.job_file.durations import HOUR, SECOND, written
from nomad_jobs.job_file.nearest import did_you_mean
from nomad_jobs.job_file.problems import Path

_PROCESS = {"command": "text", "args": "texts", "work_dir": "text"}
_CONTAINER = {
    "image": "text",
    "command": "text",
    "args": "texts",
    "entrypoint": "texts",
    "work_dir": "text",
    "volumes": "texts",
    "mount": "any",
    "mounts": "any",
    "force_pull": "any",
    "image_pull_timeout": "any",
    "labels": "any",
}
DRIVERS: dict[str, dict[str, str]] = {
    "raw_exec": _PROCESS,
    "exec": _PROCESS,
    "java": {
        "class": "text",
        "class_path": "text",
        "jar_path": "text",
        "jvm_options": "texts",
        "args": "texts",
        "work_dir": "text",
    },
    "script": {**_PROCESS, "script": "text"},
    "docker": _CONTAINER,
    "podman": _CONTAINER,
    "container": _CONTAINER,
}
"""The drivers, and the keys of their config that can work here."""

_OTHER_DRIVERS = {
    "containerd": "use the driver container: the site chooses how to run the image",
    "containerd-driver": "use the driver container: the site chooses how to run the image",
    "exec2": "use exec",
    "qemu": "there are no virtual machines here",
    "rkt": "use the driver container: the site chooses how to run the image",
}
_MAX_NAME = 255
_MIN_MEMORY = 10
_MIN_INTERVAL = 5 * SECOND
_HOOKS = ("prestart", "poststart", "poststop")
_MODES = ("any", "file", "dir")


@dataclass(frozen=True, slots=True)
class Report:
    """Takes findings: message, the block below the job, the path in the JSON."""

    problem: Callable[[str, str, Path], None]
    warning: Callable[[str, str, Path], None]


def name_problem(name: str) -> str | None:
    """Why a name cannot be a folder's name on the site, or None."""
    if "/" in name:
        return "cannot include slashes"
    if name in (".", ".."):
        return "is no name of a folder"
    if len(name.encode("utf-8", "surrogatepass")) > _MAX_NAME:
        return f"has more than {_MAX_NAME} bytes"
    if any(unicodedata.category(char) in ("Cc", "Cs", "Zl", "Zp") for char in name):
        return "contains a control character"
    return None


def check_task(
    task: Mapping[str, Any], report: Report, where: str, path: Path, dispatched: bool
) -> None:
    """Report what is wrong with a task.

    Args:
        task: as in the JSON.
        report: takes the findings.
        where: the block.
        path: its place.
        dispatched: whether the job is parameterized.
    """
    name = task.get("Name", "")
    if (wrong := _task_name_problem(name)) is not None:
        report.problem(wrong, where, path)
    _check_driver(task, report, where, path)
    if task.get("KillTimeout", 0) < 0:
        report.problem("KillTimeout must be a positive value", where, (*path, "KillTimeout"))
    parts: dict[str, Callable[[Mapping[str, Any]], Iterator[str]]] = {
        "Resources": _resources,
        "Lifecycle": _lifecycle,
        "DispatchPayload": _dispatch_payload,
        "RestartPolicy": lambda policy: restart_problems(policy, name),
    }
    for key, problems in parts.items():
        for message in problems(task[key]) if key in task else ():
            report.problem(message, f"{where} > {_WORDS[key]}", (*path, key))
    for key, problems in (("Artifacts", _artifact), ("Templates", _template)):
        for index, each in enumerate(task.get(key, ())):
            for message in problems(each):
                report.problem(message, f"{where} > {_WORDS[key]}", (*path, key, index))
    if "DispatchPayload" in task and not dispatched:
        message = "no payload ever comes, because the job is not parameterized"
        report.warning(message, f"{where} > dispatch_payload", (*path, "DispatchPayload"))


def _task_name_problem(name: str) -> str | None:
    if name == "alloc":
        return "a task cannot be named 'alloc': the allocation's shared directory has that name"
    if name.startswith("aws-job-"):
        return "names that begin with 'aws-job-' are the protocol's"
    wrong = name_problem(name)
    return f"Task name {wrong}" if wrong is not None else None


_WORDS = {
    "Resources": "resources",
    "Lifecycle": "lifecycle",
    "DispatchPayload": "dispatch_payload",
    "RestartPolicy": "restart",
    "Artifacts": "artifact",
    "Templates": "template",
}


def _check_driver(task: Mapping[str, Any], report: Report, where: str, path: Path) -> None:
    driver, config = task.get("Driver", ""), task.get("Config", {})
    inside: Path = (*path, "Driver")
    if not driver:
        report.problem("Missing task driver", where, path)
    elif driver in _OTHER_DRIVERS:
        message = f"the driver {driver!r} is not supported: {_OTHER_DRIVERS[driver]}"
        report.problem(message, where, inside)
    elif driver not in DRIVERS:
        hint = did_you_mean(driver, DRIVERS) or f"; there are: {', '.join(DRIVERS)}"
        report.problem(f"the driver {driver!r} is not known{hint}", where, inside)
    else:
        for message in _config_problems(driver, config):
            report.problem(message, f"{where} > config", (*path, "Config"))


_NEEDED = {
    "raw_exec": (("command",), "missing command"),
    "exec": (("command",), "missing command"),
    "java": (("jar_path", "class"), "jar_path or class must be specified"),
    "script": (("script", "command"), "script or command must be specified"),
    **dict.fromkeys(("docker", "podman", "container"), (("image",), "missing image")),
}


def _config_problems(driver: str, config: Mapping[str, Any]) -> Iterator[str]:
    known = DRIVERS[driver]
    needed, message = _NEEDED[driver]
    if not any(config.get(key) for key in needed):
        yield message
    for key, value in config.items():
        kind = known.get(key)
        if kind is None:
            hint = did_you_mean(key, known) or f"; it has: {', '.join(known)}"
            yield f"the driver {driver!r} has no option {key!r} here{hint}"
        elif kind == "text" and not isinstance(value, str):
            yield f"{key} must be a string"
        elif kind == "texts" and not _is_texts(value):
            yield f"{key} must be a list of strings"


def _is_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, str | int | float) for item in value)


def _resources(resources: Mapping[str, Any]) -> Iterator[str]:
    cpu, cores = resources.get("CPU"), resources.get("Cores", 0)
    memory, most = resources.get("MemoryMB"), resources.get("MemoryMaxMB", 0)
    if cores < 0:
        yield f"minimum cores value is 1; got {cores}"
    if cpu and cores:
        yield "Task can only ask for 'cpu' or 'cores' resource, not both."
    elif cpu is not None and cpu < 1:
        yield f"minimum CPU value is 1; got {cpu}"
    if memory is not None and memory < _MIN_MEMORY:
        yield f"minimum MemoryMB value is {_MIN_MEMORY}; got {memory}"
    if most and most < (memory or 0):
        yield f"MemoryMaxMB value ({most}) should be larger than MemoryMB value ({memory})"
    for device in resources.get("Devices", ()):
        if not device.get("Name"):
            yield (
                "device name must be given as one of the following: type, vendor/type, or "
                "vendor/type/name"
            )
        if device.get("Count", 1) < 1:
            yield f"device count must be at least 1; got {device.get('Count')}"


def _lifecycle(lifecycle: Mapping[str, Any]) -> Iterator[str]:
    hook = lifecycle.get("Hook", "")
    if not hook:
        yield "no lifecycle hook provided"
    elif hook not in _HOOKS:
        yield f"invalid hook: {hook}{did_you_mean(hook, _HOOKS)}"


def _escapes(path: str, below: str) -> bool:
    """Whether a path leaves the allocation's directory (Nomad's PathEscapesAllocDir)."""
    joined = posixpath.normpath(posixpath.join(below, path.lstrip("/")))
    return joined == ".." or joined.startswith("../")


def _dispatch_payload(payload: Mapping[str, Any]) -> Iterator[str]:
    file = payload.get("File", "")
    if not file or file.endswith("/"):
        yield "dispatch_payload needs the name of a file"
    elif "\0" in file:
        yield "invalid destination path: it contains a null character"
    elif _escapes(file, "task/local/"):
        yield "destination escapes allocation directory"


def _artifact(artifact: Mapping[str, Any]) -> Iterator[str]:
    if not artifact.get("GetterSource"):
        yield "source must be specified"
    if _escapes(artifact.get("RelativeDest", ""), "task/"):
        yield "destination escapes allocation directory"
    mode = artifact.get("GetterMode") or "any"
    if mode not in _MODES:
        yield f"invalid artifact mode {mode!r}; it must be one of: {', '.join(_MODES)}"


def _template(template: Mapping[str, Any]) -> Iterator[str]:
    if not template.get("SourcePath") and not template.get("EmbeddedTmpl"):
        yield "Must specify a source path or have an embedded template"
    destination = template.get("DestPath", "")
    if not destination:
        yield "Must specify a destination for the template"
    elif _escapes(destination, "task/"):
        yield "template destination escapes allocation directory"
    perms = template.get("Perms", "")
    if perms and (not perms.isascii() or set(perms) - set("01234567") or len(perms) > 4):
        yield f'Failed to parse "{perms}" as octal'


def restart_problems(policy: Mapping[str, Any], name: str) -> Iterator[str]:
    """What is wrong with a restart policy of a group or a task of this name."""
    mode = policy.get("Mode", "fail")
    if mode not in ("fail", "delay"):
        yield f'Unsupported restart mode: "{mode}"'
    attempts, delay = policy.get("Attempts", 3), policy.get("Delay", 15 * SECOND)
    interval = policy.get("Interval", 24 * HOUR)
    if attempts < 0 or delay < 0:
        yield "restart attempts and delay cannot be negative"
    elif attempts == 0 and mode != "fail":
        yield f'Restart policy "{mode}" with {attempts} attempts is ambiguous'
    elif interval < _MIN_INTERVAL:
        yield f"Interval can not be less than {written(_MIN_INTERVAL)} (got {written(interval)})"
    elif attempts * delay > interval:
        yield (
            f"Nomad can't restart the TaskGroup {name} {attempts} times in an interval of "
            f"{written(interval)} with a delay of {written(delay)}"
        )
