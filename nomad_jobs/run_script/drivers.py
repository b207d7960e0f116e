"""Task drivers: what a driver's `config` becomes in the script, and which options cannot work."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Iterable

from nomad_jobs.run_script.bash_text import call, quote
from nomad_jobs.run_script.json_reader import Reader
from nomad_jobs.run_script.specification import CONTAINER_DRIVERS, Task

SCRIPT_FILE = "script"
"""In the task's directory: the text of a `script` driver's `script`."""

_DIRECTIVE = re.compile(r"#(?:SBATCH|PBS|\$|BSUB|PJM)(?=[ \t\-]|\Z).*")
_COMMAND_OPTIONS = ("command", "args", "work_dir")
_JAVA_OPTIONS = ("jar_path", "class", "class_path", "jvm_options", "args", "work_dir")
_SCRIPT_OPTIONS = ("command", "script", "args", "work_dir")
_CONTAINER_OPTIONS = (
    *("image", "command", "args", "entrypoint", "work_dir", "volumes", "mount", "mounts"),
    *("force_pull", "image_pull_timeout", "labels"),
)
_MOUNT_OPTIONS = ("type", "source", "target", "readonly", "bind_options")


def command_lines(task: Task) -> list[str]:
    """The body of the function that says what runs; each line fails the task if it fails.

    What cannot work is noted in the task's problems (see `Reader`).
    """
    if is_container(task):
        return _container(task.config, gpus=task.resources.gpus is not None)
    driver = _DRIVERS.get(task.driver)
    if driver is None:
        known = ", ".join(sorted((*_DRIVERS, *CONTAINER_DRIVERS)))
        task.raw.refuse(f"the driver {task.driver!r} is not known", f"use one of: {known}")
        return []
    return driver(task.config)


def setup_lines(task: Task) -> list[str]:
    """What a driver needs before the first start."""
    if task.driver == "script" and (text := task.config.text("script")):
        return [
            f'{call("nomad_place", SCRIPT_FILE)} && printf %s {quote(text)} >"$REPLY" || return'
        ]
    return []


def is_container(task: Task) -> bool:
    """Whether the task sees its folders at the short names that containers have."""
    return task.driver in CONTAINER_DRIVERS


def directives(tasks: Iterable[Task]) -> list[str]:
    """The schedulers' directives in the leading comments of `script` texts, in order."""
    found: list[str] = []
    for task in tasks:
        if task.driver != "script":
            continue
        for line in task.config.text("script").split("\n"):
            if line.strip() and not line.startswith("#"):
                break
            if _DIRECTIVE.fullmatch(line.rstrip("\r")):
                found.append(line.rstrip("\r"))
    return found


def _only(config: Reader, known: tuple[str, ...]) -> None:
    for name in config.names():
        if name not in known and config.stated(name):
            config.refuse(f"the option {name!r} cannot work here", f"known: {', '.join(known)}")


def _work_dir(config: Reader) -> list[str]:
    if not (folder := config.text("work_dir")):
        return []
    return [f'{call("nomad_expand", folder)} && nomad_outside "$REPLY" && nomad_work_dir=$REPLY']


def _command(config: Reader) -> list[str]:
    _only(config, _COMMAND_OPTIONS)
    if not config.stated("command"):
        config.refuse("the command is missing", "state config { command = ... }")
    return [
        *_work_dir(config),
        call("nomad_program", config.text("command")),
        *_words(config.texts("args")),
    ]


def _java(config: Reader) -> list[str]:
    _only(config, _JAVA_OPTIONS)
    jar, main = config.text("jar_path"), config.text("class")
    if not jar and not main:
        config.refuse("neither jar_path nor class is stated", "state which program Java runs")
    words = list(config.texts("jvm_options"))
    if class_path := config.text("class_path"):
        words += ["-cp", class_path]
    if jar:
        words += ["-jar", jar]
    if main:
        words.append(main)
    return [
        *_work_dir(config),
        call("nomad_from_path", "java"),
        *_words([*words, *config.texts("args")]),
    ]


def _script(config: Reader) -> list[str]:
    _only(config, _SCRIPT_OPTIONS)
    text, command = config.text("script"), config.text("command")
    if bool(text) == bool(command):
        config.refuse("state either script (its text) or command (a file)", "state one of them")
    if text and not text.startswith("#!"):
        config.refuse("the script has no shebang", "make its first line name the interpreter")
    if "\r\n" in text:
        config.refuse("the script has Windows line ends (CRLF)", "convert it")
    start = call("nomad_program", command) if command else _own_script()
    return [*_work_dir(config), start, *_words(config.texts("args"))]


def _own_script() -> str:
    return f'nomad_command=("$nomad_task_dir/{SCRIPT_FILE}") && chmod +x -- "${{nomad_command[0]}}"'


def _container(config: Reader, *, gpus: bool) -> list[str]:
    _only(config, _CONTAINER_OPTIONS)
    if not config.stated("image"):
        config.refuse("the image is missing", "state config { image = ... }")
    command = [config.text("command")] if config.stated("command") else []
    words = [*command, *config.texts("args")]
    return [
        f"nomad_image={quote(config.text('image'))}",
        f"nomad_container_dir={quote(config.text('work_dir'))}",
        f"nomad_gpus={'yes' if gpus else quote('')}",
        f"nomad_entrypoint=({' '.join(map(quote, config.texts('entrypoint')))})",
        f"nomad_container_words=({' '.join(map(quote, words))})",
        "nomad_mount_own",
        *_mounts(config),
        "nomad_container",
    ]


def _mounts(config: Reader) -> list[str]:
    lines = []
    for volume in config.texts("volumes"):
        source, _, rest = volume.partition(":")
        target, _, mode = rest.partition(":")
        if not target.startswith(("/", "${")) or mode not in ("", "ro", "rw"):
            config.refuse(f"the volume {volume!r} cannot work here", "write HOST:CONTAINER[:ro]")
        lines.append(call("nomad_mount", source, target, mode or "rw"))
    for mount in (*config.objects("mount"), *config.objects("mounts")):
        _only(mount, _MOUNT_OPTIONS)
        if mount.text("type", "volume") != "bind":
            mount.refuse("only mounts of type bind work here", 'state type = "bind"')
        if not posixpath.isabs(mount.text("target")):
            mount.refuse("the target is no absolute path", "state where it is in the container")
        mode = "ro" if mount.flag("readonly") else "rw"
        lines.append(call("nomad_mount", mount.text("source"), mount.text("target"), mode))
    return lines


def _words(words: Iterable[str]) -> list[str]:
    listed = list(words)
    return [call("nomad_words", *listed)] if listed else []


_DRIVERS: dict[str, Callable[[Reader], list[str]]] = {
    "raw_exec": _command,
    "exec": _command,
    "java": _java,
    "script": _script,
}
