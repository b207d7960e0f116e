"""Nomad's defaults: what a job means beyond what it states. Never stored, never a scheduler's flag.

Source: Canonicalize in nomad/api/{jobs,tasks,resources}.go.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from nomad_jobs.job_file.durations import HOUR, SECOND
from nomad_jobs.job_file.shape import STATED_BY_NOBODY

DEFAULT_PRIORITY = 50
KILL_TIMEOUT = 5 * SECOND
RESTART = {
    "Attempts": 3,
    "Interval": 24 * HOUR,
    "Delay": 15 * SECOND,
    "Mode": "fail",
    "RenderTemplates": False,
}
RESCHEDULE = {
    "Attempts": 1,
    "Interval": 24 * HOUR,
    "Delay": 5 * SECOND,
    "DelayFunction": "constant",
    "MaxDelay": 0,
    "Unlimited": False,
}
_JOB = {
    "Region": "global",
    "Namespace": "default",
    "ParentID": "",
    "Type": "batch",
    "Priority": DEFAULT_PRIORITY,
    "AllAtOnce": False,
    "Datacenters": ["*"],
    "NodePool": "default",
    "Constraints": None,
    "Affinities": None,
    "Spreads": None,
    "Periodic": None,
    "ParameterizedJob": None,
    "Meta": None,
}
_GROUP = {
    "Count": 1,
    "Constraints": None,
    "Affinities": None,
    "Spreads": None,
    "Networks": None,
    "Services": None,
    "Volumes": None,
    "Scaling": None,
    "Meta": None,
    "MaxClientDisconnect": None,
    "StopAfterClientDisconnect": None,
    "PreventRescheduleOnLost": False,
    "ShutdownDelay": None,
}
_EPHEMERAL_DISK = {"Sticky": False, "Migrate": False, "SizeMB": 300}
_LOGS = {"MaxFiles": 10, "MaxFileSizeMB": 10, "Disabled": False}
_TASK = {
    "User": "",
    "Config": None,
    "Env": None,
    "Constraints": None,
    "Affinities": None,
    "Services": None,
    "Meta": None,
    "Artifacts": None,
    "Templates": None,
    "DispatchPayload": None,
    "Lifecycle": None,
    "Leader": False,
    "KillTimeout": KILL_TIMEOUT,
    "KillSignal": "",
    "ShutdownDelay": 0,
}
_RESOURCES = {
    **STATED_BY_NOBODY,
    "Cores": 0,
    "MemoryMaxMB": 0,
    "DiskMB": 0,
    "IOPS": 0,
    "Networks": None,
    "Devices": None,
}
_ARTIFACT = {
    "GetterOptions": None,
    "GetterHeaders": None,
    "GetterMode": "any",
    "GetterInsecure": False,
    "RelativeDest": "local/",
}
_TEMPLATE = {
    "SourcePath": "",
    "EmbeddedTmpl": "",
    "ChangeMode": "restart",
    "ChangeSignal": "",
    "Once": False,
    "Splay": 5 * SECOND,
    "Perms": "0644",
    "LeftDelim": "{{",
    "RightDelim": "}}",
    "Envvars": False,
    "VaultGrace": 0,
    "ErrMissingKey": False,
}
_PERIODIC = {
    "Enabled": True,
    "Spec": "",
    "Specs": [],
    "SpecType": "cron",
    "ProhibitOverlap": False,
    "TimeZone": "UTC",
}
_PARAMETERIZED = {"Payload": "optional", "MetaRequired": None, "MetaOptional": None}
_LIFECYCLE = {"Hook": "", "Sidecar": False}


def canonical(job: Mapping[str, Any]) -> dict[str, Any]:
    """The job with all of Nomad's defaults, as `GET /v1/job/:id` shows it.

    Args:
        job: as `validation.admit` accepted it.
    """
    whole = {**_JOB, "Name": job["ID"], **_stated(job)}
    for key, defaults in (("Periodic", _PERIODIC), ("ParameterizedJob", _PARAMETERIZED)):
        if whole[key] is not None:
            whole[key] = {**defaults, **whole[key]}
    reschedule = whole.pop("Reschedule", {})
    whole["TaskGroups"] = [_group(group, reschedule) for group in job.get("TaskGroups", [])]
    return deepcopy(whole)


def _stated(part: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in part.items() if value is not None}


def _group(group: Mapping[str, Any], reschedule: Mapping[str, Any]) -> dict[str, Any]:
    whole = {**_GROUP, **_stated(group)}
    whole["EphemeralDisk"] = {**_EPHEMERAL_DISK, **group.get("EphemeralDisk", {})}
    whole["RestartPolicy"] = {**RESTART, **group.get("RestartPolicy", {})}
    whole["ReschedulePolicy"] = {**RESCHEDULE, **reschedule, **group.get("ReschedulePolicy", {})}
    whole["Tasks"] = [_task(task, whole["RestartPolicy"]) for task in group.get("Tasks", [])]
    return whole


def _task(task: Mapping[str, Any], restart: Mapping[str, Any]) -> dict[str, Any]:
    whole = {**_TASK, **_stated(task)}
    whole["LogConfig"] = {**_LOGS, **task.get("LogConfig", {})}
    whole["RestartPolicy"] = {**restart, **task.get("RestartPolicy", {})}
    whole["Resources"] = resources(task)
    for key, defaults in (("Artifacts", _ARTIFACT), ("Templates", _TEMPLATE)):
        if whole[key] is not None:
            whole[key] = [{**defaults, **each} for each in task[key]]
    if whole["Lifecycle"] is not None:
        whole["Lifecycle"] = {**_LIFECYCLE, **task["Lifecycle"]}
    return whole


def resources(task: Mapping[str, Any]) -> dict[str, Any]:
    """A task's resources with Nomad's defaults: MHz of `CPU` (0 beside `Cores`), MiB."""
    stated = task.get("Resources", {})
    whole = {**_RESOURCES, **stated}
    if stated.get("Cores") and "CPU" not in stated:
        whole["CPU"] = 0
    if whole["Devices"] is not None:
        whole["Devices"] = [{"Count": 1, **device} for device in whole["Devices"]]
    return whole
