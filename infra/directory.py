"""Where programs and people find the deployment: SSM parameters and the stack's outputs."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_ssm as ssm
from constructs import Construct

from infra.api import Api
from infra.distribution import Distribution
from infra.names import BucketName, parameter
from infra.puller_access import PullerAccess
from infra.settings import Settings, SiteSettings
from job_protocol import object_keys


class Directory(Construct):
    """The deployment's entry in the parameter store, and the stack's outputs.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        settings: the deployment's settings.
        table_name: the job table's name.
    """

    def __init__(
        self, scope: Construct, construct_id: str, *, settings: Settings, table_name: str
    ) -> None:
        super().__init__(scope, construct_id)
        self._settings = settings
        self._table_name = table_name
        self._parameter("Table", parameter(settings, "table"), table_name)
        self._parameter("Region", parameter(settings, "region"), cdk.Aws.REGION)
        self._output("TableName", table_name, "The job table")

    def add_puller_file(self, distribution: Distribution) -> None:
        """Publish where the puller's file lies in every bucket, and what it must be."""
        self._output("PullerFileKey", object_keys.PULLER_FILE, "The puller, in every bucket")
        self._output(
            "PullerFileSha256",
            distribution.sha256,
            "For `jobferry-puller install --sha256`: take it from here, never from the bucket",
        )
        self._output(
            "DistributorFunction",
            distribution.function.function.function_name,
            "Copies the puller's file into the buckets after each deployment",
        )

    def add_api(self, api: Api) -> None:
        """Publish the URLs of the HTTP API and the name of its function, for direct invocations."""
        function = api.function.function.function_name
        self._parameter("ApiFunction", parameter(self._settings, "api", "function"), function)
        self._output("ApiFunctionName", function, "The function behind the HTTP API")
        for door, http_api in api.doors.items():
            key = f"url-{door.lower()}" if door else "url"
            url = http_api.api_endpoint
            self._parameter(f"Api{door}Url", parameter(self._settings, "api", key), url)
            known_by = {"Tokens": "an API token", "Jwt": "a JSON Web Token"}.get(door, "IAM")
            self._output(f"Api{door}Url", url, f"The HTTP API for callers known by {known_by}")

    def add_site(self, site: SiteSettings, bucket: BucketName, access: PullerAccess) -> None:
        """Publish a site: its settings by site and by bucket, and what its puller needs."""
        facts = cdk.Stack.of(self).to_json_string(
            {
                "site": site.name,
                "bucket": bucket.value,
                "max_upload_files": site.max_upload_files,
                "max_upload_bytes": site.max_upload_bytes,
                "max_array_size": site.max_array_size,
                "keep_days": site.keep_days,
                "silent_after_minutes": site.silent_after_minutes,
                **({"limits": dict(site.limits)} if site.limits else {}),
                **(
                    {"submitter_limits": dict(site.submitter_limits)}
                    if site.submitter_limits
                    else {}
                ),
            }
        )
        name = site.logical_name
        self._parameter(f"Site{name}", parameter(self._settings, "sites", site.name), facts)
        self._parameter(f"Bucket{name}", parameter(self._settings, "buckets", bucket.value), facts)
        self._output(f"Bucket{name}", bucket.value, f"The bucket of site {site.name}")
        self._output(
            f"PullerPolicyArn{name}",
            access.policy.managed_policy_arn,
            f"What the puller of site {site.name} may do",
        )
        self._output(
            f"PullerRoleArn{name}",
            access.role.role_arn,
            f"A role with that policy, for the puller of site {site.name}",
        )
        if access.anywhere is not None:
            self._output(
                f"PullerAwsConfig{name}",
                access.anywhere.configuration,
                f"For ~/.aws/config of the puller of site {site.name}: name your two files in it",
            )
        self._output(
            f"PullerSettings{name}",
            f'site = "{site.name}"\n'
            f'bucket = "{bucket.value}"\n'
            f'table = "{self._table_name}"\n'
            f'region = "{cdk.Aws.REGION}"\n',
            f"For the settings file of the puller of site {site.name}",
        )

    def _parameter(self, construct_id: str, name: str, value: str) -> None:
        ssm.StringParameter(
            self, construct_id, parameter_name=name, string_value=value, simple_name=False
        )

    def _output(self, name: str, value: str, description: str) -> None:
        output = cdk.CfnOutput(self, f"{name}Output", value=value, description=description)
        output.override_logical_id(name)
