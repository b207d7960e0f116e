"""The HTTP API: its function, its rights, and one door for each way to say who one is."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import aws_cdk as cdk
from aws_cdk import aws_apigatewayv2 as apigatewayv2
from aws_cdk import aws_apigatewayv2_authorizers as authorizers
from aws_cdk import aws_apigatewayv2_integrations as integrations
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.acknowledgements import acknowledge_wildcards
from infra.function import RETENTION, ControlPlaneFunction, FunctionBasis
from infra.names import BucketName
from infra.settings import ApiSettings
from job_protocol import object_keys, table_keys

TIMEOUT_SECONDS = 29
"""API Gateway ends a request after 30 s (quotas of HTTP APIs)."""

REQUESTS_PER_SECOND = 50
BURST = 100

_METHODS = (
    apigatewayv2.HttpMethod.GET,
    apigatewayv2.HttpMethod.POST,
    apigatewayv2.HttpMethod.PUT,
    apigatewayv2.HttpMethod.DELETE,
)
_ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "method": "$context.httpMethod",
    "path": "$context.path",
    "status": "$context.status",
    "bytes": "$context.responseLength",
    "milliseconds": "$context.responseLatency",
    "ip": "$context.identity.sourceIp",
    "caller": "$context.identity.userArn",
    "error": "$context.error.message",
    "authorizer_error": "$context.authorizer.error",
}
"""What is logged of a request: none of its headers, where secrets are."""


class Api(Construct):
    """The function that answers, and the doors that lead to it.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        basis: what it shares with the other functions.
        table: the job table.
        buckets: the bucket of each site, by the site's name.
        sites_parameter: the parameter path under which each site's settings lie.
        settings: which doors there are beside that of IAM.
        purges: the queue of jobs that the purger has to work on.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        basis: FunctionBasis,
        table: dynamodb.Table,
        buckets: Mapping[str, BucketName],
        sites_parameter: str,
        settings: ApiSettings,
        purges: sqs.Queue,
    ) -> None:
        super().__init__(scope, construct_id)
        self._retention = RETENTION[basis.log_retention_days]
        parameters = cdk.Stack.of(self).format_arn(
            service="ssm", resource="parameter", resource_name=f"{sites_parameter[1:]}/*"
        )
        self.function = ControlPlaneFunction(
            self,
            "Api",
            basis=basis,
            service="api",
            description="Answers the HTTP API and direct invocations",
            environment={
                "TABLE_NAME": table.table_name,
                "SITES_PARAMETER": sites_parameter,
                "SITES": " ".join(buckets),
                "PURGE_QUEUE_URL": purges.queue_url,
            },
            timeout=cdk.Duration.seconds(TIMEOUT_SECONDS),
            rights=_rights(table, list(buckets.values()), parameters, purges),
        )
        acknowledge_wildcards(
            self.function.role,
            {
                parameters: "Every site of this deployment has its parameter under this path.",
                **{
                    b.objects(): "Users choose the keys of inputs and results."
                    for b in buckets.values()
                },
            },
        )
        self.doors: dict[str, apigatewayv2.HttpApi] = {
            "": self._door("Iam", authorizers.HttpIamAuthorizer())
        }
        self.authorizer: ControlPlaneFunction | None = None
        if settings.tokens:
            self.authorizer = self._authorizer(basis, table)
            self.doors["Tokens"] = self._door(
                "Tokens",
                authorizers.HttpLambdaAuthorizer(
                    "Tokens",
                    self.authorizer.function,
                    # A token may come in either of two headers; a source names one that must be
                    # there. Without a source nothing is cached, and a revoked token ends at once.
                    identity_source=[],
                    results_cache_ttl=cdk.Duration.seconds(0),
                    response_types=[authorizers.HttpLambdaResponseType.SIMPLE],
                ),
            )
        if settings.jwt is not None:
            self.doors["Jwt"] = self._door(
                "Jwt",
                authorizers.HttpJwtAuthorizer(
                    "Jwt", settings.jwt.issuer, jwt_audience=list(settings.jwt.audience)
                ),
            )

    def _authorizer(self, basis: FunctionBasis, table: dynamodb.Table) -> ControlPlaneFunction:
        return ControlPlaneFunction(
            self,
            "Authorizer",
            basis=basis,
            service="authorizer",
            description="Tells API Gateway who the bearer of an API token is",
            environment={"TABLE_NAME": table.table_name},
            timeout=cdk.Duration.seconds(10),
            rights=[
                iam.PolicyStatement(
                    sid="Tokens",
                    actions=["dynamodb:GetItem"],
                    resources=[table.table_arn],
                    conditions=_leading_keys(table_keys.api_token("*").pk),
                )
            ],
        )

    def _door(
        self, name: str, authorizer: apigatewayv2.IHttpRouteAuthorizer
    ) -> apigatewayv2.HttpApi:
        api = apigatewayv2.HttpApi(
            self,
            name,
            description=f"jobferry's API, callers known by: {name}",
            create_default_stage=False,
            default_authorizer=authorizer,
        )
        api.add_routes(
            path="/v1/{path+}",
            methods=list(_METHODS),
            integration=integrations.HttpLambdaIntegration(
                "Function",
                self.function.function,
                payload_format_version=apigatewayv2.PayloadFormatVersion.VERSION_2_0,
            ),
        )
        stage = apigatewayv2.HttpStage(
            self,
            f"{name}Stage",
            http_api=api,
            stage_name="$default",
            auto_deploy=True,
            throttle=apigatewayv2.ThrottleSettings(
                rate_limit=REQUESTS_PER_SECOND, burst_limit=BURST
            ),
        )
        self._log(name, stage)
        return api

    def _log(self, name: str, stage: apigatewayv2.HttpStage) -> None:
        """An access log, by the resource's own property: the construct's is for TypeScript."""
        group = logs.LogGroup(
            self,
            f"{name}AccessLogs",
            retention=self._retention,
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        resource = stage.node.default_child
        if not isinstance(resource, apigatewayv2.CfnStage):
            raise TypeError(f"{stage.node.path} is no stage")
        resource.access_log_settings = apigatewayv2.CfnStage.AccessLogSettingsProperty(
            destination_arn=group.log_group_arn, format=json.dumps(_ACCESS_LOG)
        )


def _leading_keys(*patterns: str) -> dict[str, object]:
    return {
        "ForAllValues:StringLike": {"dynamodb:LeadingKeys": list(patterns)},
        "Null": {"dynamodb:LeadingKeys": "false"},
    }


def _rights(
    table: dynamodb.Table, buckets: Sequence[BucketName], parameters: str, purges: sqs.Queue
) -> list[iam.PolicyStatement]:
    of_others = [
        bucket.objects(pattern)
        for bucket in buckets
        for pattern in (
            *(f"*{name}" for name in sorted(object_keys.STATUS_NAMES)),
            object_keys.PULLER_FILE,
        )
    ]
    return [
        iam.PolicyStatement(
            sid="Jobs",
            actions=[
                "dynamodb:BatchGetItem",
                "dynamodb:GetItem",
                "dynamodb:PutItem",
                "dynamodb:Query",
                "dynamodb:UpdateItem",
            ],
            resources=[table.table_arn],
        ),
        iam.PolicyStatement(
            sid="WhatEnds",  # revoked tokens, refused requests, and drains of sites
            actions=["dynamodb:DeleteItem"],
            resources=[table.table_arn],
            conditions=_leading_keys(
                table_keys.api_token("*").pk,
                table_keys.control("*").pk,
                table_keys.idempotency_partition("*"),
            ),
        ),
        iam.PolicyStatement(
            sid="ListsAndQueues",
            actions=["dynamodb:Query"],
            resources=[
                f"{table.table_arn}/index/{table_keys.LIST_INDEX}",
                f"{table.table_arn}/index/{table_keys.QUEUE_INDEX}",
            ],
        ),
        iam.PolicyStatement(
            sid="WhatIsThere",
            actions=["s3:ListBucket", "s3:ListBucketVersions"],
            resources=[bucket.arn for bucket in buckets],
        ),
        iam.PolicyStatement(
            sid="ResultsAndInputs",
            actions=[
                "s3:AbortMultipartUpload",
                "s3:GetObject",
                "s3:GetObjectVersion",
                "s3:ListMultipartUploadParts",
                "s3:PutObject",
            ],
            resources=[bucket.objects() for bucket in buckets],
        ),
        iam.PolicyStatement(
            sid="NotWhatOthersWrite",
            effect=iam.Effect.DENY,
            actions=["s3:PutObject"],
            resources=of_others,
        ),
        iam.PolicyStatement(
            sid="Purges", actions=["sqs:SendMessage"], resources=[purges.queue_arn]
        ),
        iam.PolicyStatement(
            sid="SiteSettings", actions=["ssm:GetParameter"], resources=[parameters]
        ),
    ]
