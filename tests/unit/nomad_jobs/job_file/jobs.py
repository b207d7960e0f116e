"""Jobs in Nomad's JSON for these tests."""

from __future__ import annotations

from typing import Any


def task(name: str = "t", **more: Any) -> dict[str, Any]:
    """A task that runs `run.sh`; keywords are further members."""
    return {"Name": name, "Driver": "raw_exec", "Config": {"command": "run.sh"}, **more}


def group(name: str = "g", **more: Any) -> dict[str, Any]:
    """A group with one task, unless `Tasks` is given."""
    return {"Name": name, "Tasks": [task()], **more}


def job(**more: Any) -> dict[str, Any]:
    """A job with one group, unless `TaskGroups` is given."""
    return {"ID": "j", "Name": "j", "Type": "batch", "TaskGroups": [group()], **more}


def of_task(**more: Any) -> dict[str, Any]:
    """A job with one task that has these further members."""
    return job(TaskGroups=[group(Tasks=[task(**more)])])
