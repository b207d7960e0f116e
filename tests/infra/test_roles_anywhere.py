"""Certificates that lead to a puller's rights."""

from __future__ import annotations

from typing import Any

import pytest

from infra.roles_anywhere_settings import RolesAnywhereSettings, read_roles_anywhere
from infra.settings import SettingsError, settings_from_context
from tests.infra.synthesized import Synthesized, as_list, synthesized

PEM = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmg\nAwIBAgIU==\n-----END CERTIFICATE-----\n"
AUTHORITY = (
    "arn:aws:acm-pca:ap-northeast-1:123456789012:certificate-authority/"
    "12345678-1234-1234-1234-123456789012"
)
BY_BUNDLE = {"ca_certificate": PEM, "subject": {"CN": "dc1-puller", "OU": "HPC"}}
DESCRIPTION = "For jobferry's puller of site dc1, by its certificate"


@pytest.fixture(scope="module")
def template() -> Synthesized:
    return synthesized(sites={"dc1": {"roles_anywhere": BY_BUNDLE}, "osaka": {}})


def test_a_site_without_it_has_nothing_of_it() -> None:
    plain = synthesized()
    assert not [kind for kind in map(_kind, plain.template["Resources"].values()) if "Any" in kind]


def _kind(resource: dict[str, Any]) -> str:
    return str(resource["Type"])


def test_only_the_site_that_asks_has_an_anchor(template: Synthesized) -> None:
    anchor = template.only("AWS::RolesAnywhere::TrustAnchor")
    assert (anchor["Name"], anchor["Enabled"]) == ("jobferry-dc1", True)
    assert anchor["Source"] == {
        "SourceType": "CERTIFICATE_BUNDLE",
        "SourceData": {"X509CertificateData": PEM},
    }


def test_an_authority_of_aws_is_named_by_its_arn() -> None:
    settings = {"acm_pca_arn": AUTHORITY, "subject": {"CN": "a"}}
    template = synthesized(sites={"dc1": {"roles_anywhere": settings}})
    assert template.only("AWS::RolesAnywhere::TrustAnchor")["Source"] == {
        "SourceType": "AWS_ACM_PCA",
        "SourceData": {"AcmPcaArn": AUTHORITY},
    }


def test_the_role_trusts_that_subject_of_that_anchor_alone(template: Synthesized) -> None:
    (anchor,) = template.of_type("AWS::RolesAnywhere::TrustAnchor")
    role = template.only("AWS::IAM::Role", Description=DESCRIPTION)
    statements = role["AssumeRolePolicyDocument"]["Statement"]
    actions = {action for row in statements for action in as_list(row["Action"])}
    assert actions == {"sts:AssumeRole", "sts:TagSession", "sts:SetSourceIdentity"}
    for statement in statements:
        assert statement["Effect"] == "Allow"
        assert statement["Principal"] == {"Service": "rolesanywhere.amazonaws.com"}
        assert statement["Condition"] == {
            "StringEquals": {
                "aws:PrincipalTag/x509Subject/CN": "dc1-puller",
                "aws:PrincipalTag/x509Subject/OU": "HPC",
            },
            "ArnEquals": {"aws:SourceArn": f"<{anchor}.TrustAnchorArn>"},
        }


def test_the_role_has_the_pullers_policy_and_no_other(template: Synthesized) -> None:
    role = template.only("AWS::IAM::Role", Description=DESCRIPTION)
    (policy,) = role["ManagedPolicyArns"]
    assert policy.startswith("<SiteDc1PullerPolicy")
    assert "Policies" not in role
    assert template.statements("SiteDc1PullerPolicy")


def test_sessions_end_within_the_hour(template: Synthesized) -> None:
    profile = template.only("AWS::RolesAnywhere::Profile")
    role = template.only("AWS::IAM::Role", Description=DESCRIPTION)
    assert profile["DurationSeconds"] == role["MaxSessionDuration"] == 3600
    assert len(profile["RoleArns"]) == 1


def test_the_lines_for_the_site_are_an_output(template: Synthesized) -> None:
    lines = template.outputs()["PullerAwsConfigDc1"]
    assert lines.startswith("[profile jobferry]\n")
    assert lines.count("\n") == 3
    for word in ("--trust-anchor-arn <", "--profile-arn <", "--role-arn <"):
        assert word in lines
    assert "PullerAwsConfigOsaka" not in template.outputs()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ([], "must be an object with"),
        ({"subject": {"CN": "a"}}, "either ca_certificate or acm_pca_arn"),
        (BY_BUNDLE | {"acm_pca_arn": AUTHORITY}, "either ca_certificate or acm_pca_arn"),
        (BY_BUNDLE | {"anchor": 1}, "must be an object with"),
        (BY_BUNDLE | {"ca_certificate": "ca.pem"}, "PEM text"),
        (BY_BUNDLE | {"ca_certificate": PEM.replace("CERTIFICATE", "PRIVATE KEY")}, "PEM text"),
        ({"acm_pca_arn": "arn:aws:iam::1:root", "subject": {"CN": "a"}}, "no ARN"),
        (BY_BUNDLE | {"subject": {}}, "every certificate of the authority"),
        (BY_BUNDLE | {"subject": {"CN": "*"}}, r"CN of subject is '\*'"),
        (BY_BUNDLE | {"subject": {"CN": ""}}, "CN of subject is ''"),
        (BY_BUNDLE | {"subject": {"CN": "a", "DC": "b"}}, "subject must be an object"),
    ],
)
def test_what_is_wrong_is_named_with_its_site(given: object, message: str) -> None:
    context = {"sites": {"dc1": {"roles_anywhere": given}}}
    with pytest.raises(SettingsError, match=f"roles_anywhere of site 'dc1': .*{message}"):
        settings_from_context(context.get)


def test_a_bundle_may_hold_several_certificates() -> None:
    given = {"ca_certificate": PEM + PEM, "subject": {"CN": "a"}}
    assert read_roles_anywhere(given) == RolesAnywhereSettings(
        ca_certificate=PEM + PEM, subject=(("CN", "a"),)
    )
