"""Short-lived credentials for a site's puller by a certificate: IAM Roles Anywhere."""

from __future__ import annotations

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_rolesanywhere as rolesanywhere
from constructs import Construct

from infra.roles_anywhere_settings import RolesAnywhereSettings

SESSION_SECONDS = 3600
"""The signing helper renews credentials by itself; a stolen one is good for an hour at most."""


class RolesAnywhere(Construct):
    """A trust anchor, a role with the puller's policy, and the profile that joins them.

    The role is one of its own: that of `PullerAccess` trusts principals of AWS, this one the
    certificates of one authority and one subject.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        site: the site's name.
        policy: what the site's puller may do.
        settings: whose certificates are taken.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        site: str,
        policy: iam.ManagedPolicy,
        settings: RolesAnywhereSettings,
    ) -> None:
        super().__init__(scope, construct_id)
        name = f"{cdk.Stack.of(self).stack_name}-{site}"
        self.trust_anchor = rolesanywhere.CfnTrustAnchor(
            self,
            "TrustAnchor",
            name=name,
            enabled=True,
            source=rolesanywhere.CfnTrustAnchor.SourceProperty(
                source_type="AWS_ACM_PCA" if settings.acm_pca_arn else "CERTIFICATE_BUNDLE",
                source_data=rolesanywhere.CfnTrustAnchor.SourceDataProperty(
                    acm_pca_arn=settings.acm_pca_arn,
                    x509_certificate_data=settings.ca_certificate,
                ),
            ),
        )
        anchor_arn = self.trust_anchor.attr_trust_anchor_arn
        subject = {
            f"aws:PrincipalTag/x509Subject/{part}": value for part, value in settings.subject
        }
        trusted = iam.ServicePrincipal(
            "rolesanywhere.amazonaws.com",
            conditions={"StringEquals": subject, "ArnEquals": {"aws:SourceArn": anchor_arn}},
        )
        self.role = iam.Role(
            self,
            "Role",
            description=f"For jobferry's puller of site {site}, by its certificate",
            assumed_by=iam.SessionTagsPrincipal(trusted),
            managed_policies=[policy],
            max_session_duration=cdk.Duration.seconds(SESSION_SECONDS),
        )
        if self.role.assume_role_policy is None:
            raise TypeError(f"{self.role.node.path} has no trust policy")
        self.role.assume_role_policy.add_statements(
            iam.PolicyStatement(actions=["sts:SetSourceIdentity"], principals=[trusted])
        )
        self.profile = rolesanywhere.CfnProfile(
            self,
            "Profile",
            name=name,
            enabled=True,
            role_arns=[self.role.role_arn],
            duration_seconds=SESSION_SECONDS,
        )

    @property
    def configuration(self) -> str:
        """A profile for `~/.aws/config` on the site; the two files are the site's."""
        return (
            "[profile jobferry]\n"
            f"region = {cdk.Aws.REGION}\n"
            "credential_process = aws_signing_helper credential-process"
            " --certificate /PATH/TO/puller.pem --private-key /PATH/TO/puller.key"
            f" --trust-anchor-arn {self.trust_anchor.attr_trust_anchor_arn}"
            f" --profile-arn {self.profile.attr_profile_arn}"
            f" --role-arn {self.role.role_arn}\n"
        )
