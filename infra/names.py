"""Names that must be known before the resources exist: buckets and parameters."""

from __future__ import annotations

from dataclasses import dataclass

from aws_cdk import Aws

from infra.settings import Settings, SiteSettings
from job_protocol import object_keys

MANIFEST_OBJECTS = object_keys.input_manifest_key("*").removesuffix(".json")
"""Matches the keys of manifests that were too large for the job table."""

REGISTERED_OBJECTS = (
    object_keys.specification_key("*", "").removesuffix("/.json"),
    object_keys.template_input_key("*", "").removesuffix("/.sh"),
)
"""Match the keys of registered jobs' versions, and of the scripts that templates run."""


@dataclass(frozen=True, slots=True)
class BucketName:
    """The name of a site's bucket.

    It is put together from account and region instead of read from the bucket: the bucket needs
    the intake function (its notification), and the function's rights need the bucket's name.
    """

    value: str

    @property
    def arn(self) -> str:
        """The bucket's ARN."""
        return f"arn:{Aws.PARTITION}:s3:::{self.value}"

    def objects(self, pattern: str = "*") -> str:
        """The ARN of the objects whose keys match a pattern."""
        return f"{self.arn}/{pattern}"


def bucket_name(settings: Settings, site: SiteSettings) -> BucketName:
    """The name of the site's bucket, unique in the world."""
    return BucketName(
        f"jobferry-{settings.stage}-{site.name}-{Aws.ACCOUNT_ID}-{Aws.REGION}",
    )


def parameter(settings: Settings, *path: str) -> str:
    """The name of a parameter of this deployment."""
    return "/".join(("", "jobferry", settings.stack_name, *path))
