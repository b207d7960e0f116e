"""Compares two versions of a job: Nomad's diff of `job plan`, and whether anything changed."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from nomad_jobs.job_file.defaults import canonical

_SINGULAR = {
    "Artifacts": "Artifact",
    "Constraints": "Constraint",
    "Devices": "Device",
    "Templates": "Template",
}
_FLAT_MAPS = ("Meta", "Env")
"""Maps whose entries Nomad shows as fields of the object that they belong to: `Meta[key]`."""

_GROUPS, _TASKS = "TaskGroups", "Tasks"


def unchanged(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether two accepted jobs mean the same, defaults included."""
    return canonical(old) == canonical(new)


def job_diff(old: Mapping[str, Any] | None, new: Mapping[str, Any]) -> dict[str, Any]:
    """Nomad's `JobDiff`: what registering `new` would change.

    Args:
        old: the registered job, as it was accepted; None if there is none.
        new: the job to register, accepted.
    """
    before = canonical(old) if old is not None else {}
    after = canonical(new)
    fields, objects = _parts(before, after, skip=(_GROUPS,))
    groups = [
        _group_diff(one, other) for one, other in _paired(before.get(_GROUPS), after[_GROUPS])
    ]
    changed = bool(fields or objects or any(group["Type"] != "None" for group in groups))
    return {
        "Type": "Added" if old is None else "Edited" if changed else "None",
        "ID": after["ID"],
        "Fields": fields,
        "Objects": objects,
        "TaskGroups": groups,
    }


def _paired(old: Any, new: Any) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """The parts with the same name side by side; {} where there is none."""
    before = {each["Name"]: each for each in old or ()}
    after = {each["Name"]: each for each in new or ()}
    for name in sorted({*before, *after}):
        yield before.get(name, {}), after.get(name, {})


def _type(old: Any, new: Any, changed: bool) -> str:
    if not old and not new:
        return "None"
    if not old:
        return "Added"
    if not new:
        return "Deleted"
    return "Edited" if changed else "None"


def _group_diff(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    fields, objects = _parts(old, new, skip=(_TASKS,))
    tasks = [_task_diff(*pair) for pair in _paired(old.get(_TASKS), new.get(_TASKS))]
    changed = bool(fields or objects or any(task["Type"] != "None" for task in tasks))
    kind = _type(old, new, changed)
    count = {"Added": "create", "Deleted": "destroy", "Edited": "create/destroy update"}
    updates = {"ignore": old.get("Count", 0)} if kind == "None" else {}
    if kind != "None":
        updates = {count[kind]: (new or old).get("Count", 1)}
    return {
        "Type": kind,
        "Name": (new or old)["Name"],
        "Fields": fields,
        "Objects": objects,
        "Tasks": tasks,
        "Updates": updates,
    }


def _task_diff(old: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    fields, objects = _parts(old, new, skip=())
    return {
        "Type": _type(old, new, bool(fields or objects)),
        "Name": (new or old)["Name"],
        "Fields": fields,
        "Objects": objects,
        "Annotations": None,
    }


def _parts(
    old: Mapping[str, Any], new: Mapping[str, Any], skip: tuple[str, ...]
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The changed fields and the changed objects of two versions of one part."""
    fields: list[dict[str, Any]] = []
    objects: list[dict[str, Any]] = []
    for name in sorted({*old, *new} - set(skip)):
        before, after = old.get(name), new.get(name)
        if before == after:
            continue
        either = before if before is not None else after
        if name in _FLAT_MAPS:
            fields.extend(_fields(_flat(before, name), _flat(after, name)))
        elif isinstance(either, dict):
            objects.append(_object(name, before, after))
        elif isinstance(either, list):
            objects.extend(_listed(name, before or [], after or []))
        else:
            fields.extend(_fields({name: _shown(before)}, {name: _shown(after)}))
    return fields, objects


def _shown(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _flat(value: Any, name: str) -> dict[str, str]:
    """The leaves of a value by their path: `args[0]`, `mount[0][target]`."""
    if isinstance(value, dict):
        return {k: v for key in value for k, v in _flat(value[key], f"{name}[{key}]").items()}
    if isinstance(value, list):
        pairs = enumerate(value)
        return {k: v for index, each in pairs for k, v in _flat(each, f"{name}[{index}]").items()}
    return {} if value is None else {name: _shown(value)}


def _fields(old: Mapping[str, str], new: Mapping[str, str]) -> list[dict[str, Any]]:
    found = []
    for name in sorted({*old, *new}):
        before, after = old.get(name, ""), new.get(name, "")
        if before != after:
            kind = "Added" if not before else "Deleted" if not after else "Edited"
            found.append(
                {"Type": kind, "Name": name, "Old": before, "New": after, "Annotations": None}
            )
    return found


def _leaves(value: Any) -> dict[str, str]:
    """The leaves of an object by their path inside it."""
    return {k: v for key in value or {} for k, v in _flat(value[key], key).items()}


def _object(name: str, old: Any, new: Any) -> dict[str, Any]:
    fields = _fields(_leaves(old), _leaves(new))
    kind = "Added" if old is None else "Deleted" if new is None else "Edited"
    return {"Type": kind, "Name": name, "Fields": fields, "Objects": None}


def _listed(name: str, old: list[Any], new: list[Any]) -> Iterator[dict[str, Any]]:
    """Lists are compared as sets, as in Nomad: what came and what went."""
    before = {_identity(each): each for each in old}
    after = {_identity(each): each for each in new}
    gone = [value for key, value in before.items() if key not in after]
    come = [value for key, value in after.items() if key not in before]
    if all(isinstance(each, dict) for each in (*old, *new)):
        for each in gone:
            yield _object(_SINGULAR.get(name, name), each, None)
        for each in come:
            yield _object(_SINGULAR.get(name, name), None, each)
        return
    fields = [_entry(name, each, "") for each in gone] + [_entry(name, "", each) for each in come]
    kind = "Added" if not old else "Deleted" if not new else "Edited"
    yield {"Type": kind, "Name": name, "Fields": fields, "Objects": None}


def _entry(name: str, old: Any, new: Any) -> dict[str, Any]:
    kind = "Added" if old == "" else "Deleted"
    shown = {"Old": _shown(old), "New": _shown(new)}
    return {"Type": kind, "Name": name, **shown, "Annotations": None}


def _identity(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
