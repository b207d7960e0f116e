"""Nomad's job specification: the keys in HCL and in JSON, and what is not supported here.

Sources: nomad/api/{jobs,tasks,resources,constraint}.go and the job specification in Nomad's manual.
"""

from __future__ import annotations

from typing import Any

from nomad_jobs.job_file.schema import Field, Kind, Nested, Schema, Unsupported


def _fields(kind: Kind, **names: str) -> dict[str, Field]:
    return {hcl: Field(json, kind) for hcl, json in names.items()}


def _refused(json: str, why: str) -> Unsupported:
    return Unsupported(json, why, refused=True)


def _left_out(json: str, why: str, default: Any = None) -> Unsupported:
    return Unsupported(json, why, refused=False, default=default)


_PLACEMENT = "the site's scheduler places the job; say what it needs in resources"
_NO_DEPLOYMENT = "a batch job is not deployed step by step"
_ONE_ACCOUNT = "every task runs under the site's own account"
_NO_VAULT = "there is no Vault here; put secrets where the site's account can read them"
_NO_CONSUL = "there is no Consul here"
_NO_PORTS = "no ports are handed out here, and nothing can connect to a task; remove it"
_NO_SERVICE = "a batch job on a site offers no service; remove it"
_NO_VOLUME = "there are no volumes here; use paths of the site's own file systems"
_NO_SECOND_ALLOCATION = "an allocation is never replaced while its site is silent"

CONSTRAINT = Schema(
    fields=_fields("text", attribute="LTarget", value="RTarget", operator="Operand"),
)
RESTART = Schema(
    fields={
        **_fields("duration", interval="Interval", delay="Delay"),
        **_fields("whole", attempts="Attempts"),
        **_fields("text", mode="Mode"),
        **_fields("truth", render_templates="RenderTemplates"),
    },
    no_effect={"RenderTemplates": ("templates are rendered once", False)},
)
RESCHEDULE = Schema(
    fields={
        **_fields("duration", interval="Interval", delay="Delay", max_delay="MaxDelay"),
        **_fields("whole", attempts="Attempts"),
        **_fields("text", delay_function="DelayFunction"),
        **_fields("truth", unlimited="Unlimited"),
    }
)
DEVICE = Schema(
    fields={**_fields("text", name="Name"), **_fields("whole", count="Count")},
    unsupported={
        "constraint": _left_out("Constraints", _PLACEMENT),
        "affinity": _left_out("Affinities", _PLACEMENT),
    },
)
RESOURCES = Schema(
    fields=_fields(
        "whole",
        cpu="CPU",
        cores="Cores",
        memory="MemoryMB",
        memory_max="MemoryMaxMB",
        disk="DiskMB",
        iops="IOPS",
        secrets="SecretsMB",
    ),
    blocks={"device": Nested("Devices", DEVICE, many=True, labelled=True)},
    unsupported={
        "network": _refused("Networks", _NO_PORTS),
        "numa": _left_out("NUMA", _PLACEMENT, {"Affinity": "none"}),
    },
    no_effect={
        "DiskMB": ("the site's own quotas apply", 300),
        "IOPS": ("the site's scheduler does not limit it", 0),
        "SecretsMB": ("the secrets directory is an ordinary one", 0),
    },
)
ARTIFACT = Schema(
    fields={
        **_fields("text", source="GetterSource", mode="GetterMode", destination="RelativeDest"),
        **_fields("text_map", options="GetterOptions", headers="GetterHeaders"),
        **_fields("truth", insecure="GetterInsecure", chown="Chown"),
    }
)
TEMPLATE = Schema(
    fields={
        **_fields(
            "text",
            source="SourcePath",
            destination="DestPath",
            data="EmbeddedTmpl",
            change_mode="ChangeMode",
            change_signal="ChangeSignal",
            perms="Perms",
            left_delimiter="LeftDelim",
            right_delimiter="RightDelim",
        ),
        **_fields("duration", splay="Splay", vault_grace="VaultGrace"),
        **_fields("truth", env="Envvars", error_on_missing_key="ErrMissingKey", once="Once"),
        **_fields("whole", uid="Uid", gid="Gid"),
    },
    unsupported={
        "change_script": _left_out("ChangeScript", "templates are rendered once and never change"),
        "wait": _left_out("Wait", "templates are rendered once and never change"),
    },
    no_effect={"Uid": (_ONE_ACCOUNT, -1), "Gid": (_ONE_ACCOUNT, -1)},
)
LOGS = Schema(
    fields={
        **_fields("whole", max_files="MaxFiles", max_file_size="MaxFileSizeMB"),
        **_fields("truth", enabled="Enabled", disabled="Disabled"),
    },
    no_effect={
        "MaxFiles": ("logs are kept whole", 10),
        "MaxFileSizeMB": ("logs are kept whole", 10),
    },
)
DISPATCH_PAYLOAD = Schema(fields=_fields("text", file="File"))
LIFECYCLE = Schema(fields={**_fields("text", hook="Hook"), **_fields("truth", sidecar="Sidecar")})
TASK = Schema(
    fields={
        **_fields("text", driver="Driver", kill_signal="KillSignal", name="Name"),
        **_fields("duration", kill_timeout="KillTimeout", shutdown_delay="ShutdownDelay"),
        **_fields("truth", leader="Leader"),
        **_fields("any_map", config="Config"),
        **_fields("text_map", env="Env", meta="Meta"),
    },
    blocks={
        "constraint": Nested("Constraints", CONSTRAINT, many=True),
        "resources": Nested("Resources", RESOURCES),
        "artifact": Nested("Artifacts", ARTIFACT, many=True),
        "template": Nested("Templates", TEMPLATE, many=True),
        "dispatch_payload": Nested("DispatchPayload", DISPATCH_PAYLOAD),
        "lifecycle": Nested("Lifecycle", LIFECYCLE),
        "logs": Nested("LogConfig", LOGS),
        "restart": Nested("RestartPolicy", RESTART),
    },
    unsupported={
        "affinity": _left_out("Affinities", _PLACEMENT),
        "scaling": _left_out("ScalingPolicies", "there is no autoscaler here"),
        "action": _left_out("Actions", "nothing can connect to a running task"),
        "identity": _left_out("Identities", "there are no workload identities here"),
        "default_identity": _left_out("Identity", "there are no workload identities here"),
        "user": _refused("User", f"{_ONE_ACCOUNT}; remove it"),
        "service": _refused("Services", _NO_SERVICE),
        "vault": _refused("Vault", _NO_VAULT),
        "consul": _refused("Consul", _NO_CONSUL),
        "secret": _refused("Secrets", _NO_VAULT),
        "volume_mount": _refused("VolumeMounts", _NO_VOLUME),
        "csi_plugin": _refused("CSIPluginConfig", _NO_VOLUME),
        "schedule": _refused("Schedule", "a task has no schedule of its own; use periodic"),
        "kind": _refused("Kind", _NO_CONSUL),
    },
    no_effect={
        "ShutdownDelay": ("a batch job has no service to take out of a catalog first", 0),
    },
)
EPHEMERAL_DISK = Schema(
    fields={
        **_fields("truth", sticky="Sticky", migrate="Migrate"),
        **_fields("whole", size="SizeMB"),
    }
)
GROUP = Schema(
    fields={
        **_fields("text", name="Name"),
        **_fields("whole", count="Count"),
        **_fields("text_map", meta="Meta"),
        **_fields(
            "duration",
            max_client_disconnect="MaxClientDisconnect",
            stop_after_client_disconnect="StopAfterClientDisconnect",
            shutdown_delay="ShutdownDelay",
            max_run_duration="MaxRunDuration",
        ),
        **_fields("truth", prevent_reschedule_on_lost="PreventRescheduleOnLost"),
    },
    blocks={
        "constraint": Nested("Constraints", CONSTRAINT, many=True),
        "task": Nested("Tasks", TASK, many=True, labelled=True),
        "restart": Nested("RestartPolicy", RESTART),
        "reschedule": Nested("ReschedulePolicy", RESCHEDULE),
        "ephemeral_disk": Nested("EphemeralDisk", EPHEMERAL_DISK),
    },
    unsupported={
        "update": _left_out("Update", _NO_DEPLOYMENT),
        "migrate": _left_out("Migrate", _NO_DEPLOYMENT),
        "spread": _left_out("Spreads", _PLACEMENT),
        "affinity": _left_out("Affinities", _PLACEMENT),
        "scaling": _left_out("Scaling", "there is no autoscaler here"),
        "disconnect": _left_out("Disconnect", _NO_SECOND_ALLOCATION),
        "network": _refused("Networks", _NO_PORTS),
        "service": _refused("Services", _NO_SERVICE),
        "volume": _refused("Volumes", _NO_VOLUME),
        "consul": _refused("Consul", _NO_CONSUL),
        "vault": _refused("Vault", _NO_VAULT),
    },
    no_effect={
        "EphemeralDisk": (
            "an allocation's directory lies on the site's file system",
            {"Sticky": False, "Migrate": False, "SizeMB": 300},
        ),
        "MaxClientDisconnect": (_NO_SECOND_ALLOCATION, None),
        "StopAfterClientDisconnect": (_NO_SECOND_ALLOCATION, None),
        "PreventRescheduleOnLost": (_NO_SECOND_ALLOCATION, False),
        "ShutdownDelay": ("a batch job has no service to take out of a catalog first", 0),
    },
)
PERIODIC = Schema(
    fields={
        **_fields("truth", enabled="Enabled", prohibit_overlap="ProhibitOverlap"),
        **_fields("text", cron="Spec", time_zone="TimeZone", spec_type="SpecType"),
        **_fields("texts", crons="Specs"),
    }
)
PARAMETERIZED = Schema(
    fields={
        **_fields("text", payload="Payload"),
        **_fields("texts", meta_required="MetaRequired", meta_optional="MetaOptional"),
        **_fields("whole", max_active="MaxActive"),
    }
)
OF_A_VIEW = frozenset(
    {
        *("AllocID", "ExitCode", "ExpectedStart", "Finished", "Message", "NextPeriodicLaunch"),
        *("Note", "Outcome", "Reasons", "Run", "SchedulerID", "Settings", "Site", "Submitted"),
        *("Submitter", "Waiting", "WaitingOn", "Word"),
    }
)
"""What `GET /v1/job/:id` tells beside Nomad's members: who reads a job, changes it and registers it
sends it back."""

DEPENDS_ON = Schema(fields=_fields("text", job="Job", on="On", site="Site"))
"""jobferry's own, as `max_active` is: Nomad has no dependencies between jobs."""
JOB = Schema(
    fields={
        **_fields("text", region="Region", namespace="Namespace", id="ID", name="Name"),
        **_fields("text", type="Type", node_pool="NodePool"),
        **_fields("whole", priority="Priority"),
        **_fields("texts", datacenters="Datacenters"),
        **_fields("text_map", meta="Meta"),
    },
    blocks={
        "constraint": Nested("Constraints", CONSTRAINT, many=True),
        "depends_on": Nested("DependsOn", DEPENDS_ON, many=True),
        "group": Nested("TaskGroups", GROUP, many=True, labelled=True),
        "periodic": Nested("Periodic", PERIODIC),
        "parameterized": Nested("ParameterizedJob", PARAMETERIZED),
        "reschedule": Nested("Reschedule", RESCHEDULE),
    },
    unsupported={
        "all_at_once": _left_out("AllAtOnce", "the site's scheduler starts what it can"),
        "update": _left_out("Update", _NO_DEPLOYMENT),
        "migrate": _left_out("Migrate", _NO_DEPLOYMENT),
        "spread": _left_out("Spreads", _PLACEMENT),
        "affinity": _left_out("Affinities", _PLACEMENT),
        "ui": _left_out("UI", "there is no web interface"),
        "multiregion": _refused("Multiregion", "there are no regions; submit to each site"),
        "vault": _refused("Vault", _NO_VAULT),
        "consul": _refused("Consul", _NO_CONSUL),
        "consul_token": _refused("ConsulToken", _NO_CONSUL),
        "consul_namespace": _refused("ConsulNamespace", _NO_CONSUL),
        "vault_token": _refused("VaultToken", _NO_VAULT),
        "vault_namespace": _refused("VaultNamespace", _NO_VAULT),
    },
    set_by_server=OF_A_VIEW
    | frozenset(
        {
            "CreateIndex",
            "DispatchIdempotencyToken",
            "Dispatched",
            "JobModifyIndex",
            "ModifyIndex",
            "NomadTokenID",
            "ParentID",
            "Payload",
            "Stable",
            "Warnings",
            "Status",
            "StatusDescription",
            "Stop",
            "SubmitTime",
            "Version",
            "VersionTag",
        }
    ),
)
CONSTRAINT_SHORTHANDS: dict[str, str | None] = {
    **dict.fromkeys(("version", "semver", "regexp"), "RTarget"),
    **dict.fromkeys(("set_contains", "set_contains_all", "set_contains_any"), "RTarget"),
    "distinct_property": "LTarget",
    "distinct_hosts": None,
    "is_set": None,
    "is_not_set": None,
}
"""In a constraint `regexp = "x"` means `operator = "regexp"` and `value = "x"`; of a switch such as
`distinct_hosts = true` only the operator remains."""
