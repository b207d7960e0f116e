"""A Lambda function of the control plane with its own role, its log group and their rights."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.acknowledgements import acknowledge
from infra.lambda_code import Target

METRICS_NAMESPACE = "jobferry"

RETENTION = {
    1: logs.RetentionDays.ONE_DAY,
    3: logs.RetentionDays.THREE_DAYS,
    5: logs.RetentionDays.FIVE_DAYS,
    7: logs.RetentionDays.ONE_WEEK,
    14: logs.RetentionDays.TWO_WEEKS,
    30: logs.RetentionDays.ONE_MONTH,
    60: logs.RetentionDays.TWO_MONTHS,
    90: logs.RetentionDays.THREE_MONTHS,
    120: logs.RetentionDays.FOUR_MONTHS,
    150: logs.RetentionDays.FIVE_MONTHS,
    180: logs.RetentionDays.SIX_MONTHS,
    365: logs.RetentionDays.ONE_YEAR,
    400: logs.RetentionDays.THIRTEEN_MONTHS,
    545: logs.RetentionDays.EIGHTEEN_MONTHS,
    731: logs.RetentionDays.TWO_YEARS,
    1827: logs.RetentionDays.FIVE_YEARS,
    3653: logs.RetentionDays.TEN_YEARS,
}

_RESOURCES_OF_A_STATEMENT = 16
"""With more sites a statement is written in parts. IAM takes 6,144 characters in a managed policy,
and the CDK moves whole statements of a policy that grows too long into further ones."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionBasis:
    """What all functions of a deployment have in common.

    Attributes:
        code: the bundle that holds every handler.
        target: what they run on.
        log_retention_days: how long their logs are kept, in days.
    """

    code: lambda_.Code
    target: Target
    log_retention_days: int


class ControlPlaneFunction(Construct):
    """One Lambda function, with a role that may write its own logs and what `rights` say.

    Args:
        scope: the construct that it belongs to.
        construct_id: its name there.
        basis: what it shares with the other functions.
        service: its name in logs and metrics; its handler is `lambdas.SERVICE.handler`.
        description: what it does, a sentence.
        environment: its settings, beside those for logs and metrics.
        rights: what it may do.
        timeout: after how long AWS ends it.
        dead_letter_queue: where events go that it failed on, if S3 or the like call it.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        basis: FunctionBasis,
        service: str,
        description: str,
        environment: Mapping[str, str],
        rights: Sequence[iam.PolicyStatement],
        timeout: cdk.Duration,
        dead_letter_queue: cdk.aws_sqs.IQueue | None = None,
    ) -> None:
        super().__init__(scope, construct_id)
        log_group = logs.LogGroup(
            self,
            "Logs",
            retention=RETENTION[basis.log_retention_days],
            removal_policy=cdk.RemovalPolicy.DESTROY,
        )
        self.role = iam.Role(
            self,
            "Role",
            description=f"What jobferry's {service} function may do",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
        )
        log_group.grant_write(self.role)
        for statement in rights:
            for part in _parts(statement):
                self.role.add_to_policy(part)
        self.function = lambda_.Function(
            self,
            "Function",
            description=description,
            code=basis.code,
            handler=f"lambdas.{service}.handler",
            runtime=basis.target.runtime,
            architecture=basis.target.architecture,
            memory_size=512,
            timeout=timeout,
            role=self.role,
            log_group=log_group,
            logging_format=lambda_.LoggingFormat.JSON,
            # START, END and REPORT lines of every call would cost more than the calls.
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            environment={
                **environment,
                "LOG_LEVEL": "INFO",
                "POWERTOOLS_METRICS_NAMESPACE": METRICS_NAMESPACE,
                "POWERTOOLS_SERVICE_NAME": service,
            },
            dead_letter_queue=dead_letter_queue,
            retry_attempts=None if dead_letter_queue is None else 2,
        )
        acknowledge(
            self.function,
            "L1",
            "The runtime is the one that the locked packages are bundled and tested for; it is "
            "raised together with them.",
        )


def _parts(statement: iam.PolicyStatement) -> Iterator[iam.PolicyStatement]:
    resources = statement.resources
    if len(resources) <= _RESOURCES_OF_A_STATEMENT:
        yield statement
        return
    for start in range(0, len(resources), _RESOURCES_OF_A_STATEMENT):
        end = start + _RESOURCES_OF_A_STATEMENT
        # A number in each id keeps the CDK from merging the parts again.
        number = start // _RESOURCES_OF_A_STATEMENT + 1
        yield statement.copy(sid=f"{statement.sid}{number}", resources=resources[start:end])
