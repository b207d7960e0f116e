"""The stack: wires the constructs and says who may do what."""

from __future__ import annotations

from pathlib import Path

import aws_cdk as cdk
from constructs import Construct

from infra import lambda_code
from infra.api import Api
from infra.directory import Directory
from infra.distribution import Distribution
from infra.function import FunctionBasis
from infra.intake import Intake
from infra.job_table import JobTable
from infra.launcher import Launcher
from infra.monitoring import Monitoring
from infra.names import bucket_name, parameter
from infra.publisher import Publisher
from infra.puller_access import PullerAccess
from infra.purger import Purger
from infra.settings import Settings
from infra.site_bucket import SiteBucket


class JobferryStack(cdk.Stack):
    """Everything that a deployment has in AWS.

    Args:
        scope: the CDK app.
        settings: the deployment's settings.
        checkout: the folder that holds the code of the functions.
    """

    def __init__(self, scope: Construct, settings: Settings, *, checkout: Path) -> None:
        super().__init__(
            scope,
            settings.stack_name,
            description="jobferry: batch jobs from S3 to an on-premises computer and back",
            tags={"application": "jobferry", "stage": settings.stage},
        )
        target = lambda_code.target(settings.lambda_platform)
        basis = FunctionBasis(
            code=lambda_code.code(checkout, target),
            target=target,
            log_retention_days=settings.log_retention_days,
        )
        buckets = {site: bucket_name(settings, site) for site in settings.sites}
        self.job_table = JobTable(self, "JobTable", keeps_data=settings.keeps_data)
        table = self.job_table.table
        self.intake = Intake(
            self,
            "Intake",
            basis=basis,
            table=table,
            buckets=list(buckets.values()),
            buckets_parameter=parameter(settings, "buckets"),
        )
        self.purger = Purger(
            self, "Purger", basis=basis, table=table, buckets=list(buckets.values())
        )
        self.publisher = Publisher(
            self,
            "Publisher",
            basis=basis,
            table=table,
            buckets=list(buckets.values()),
            event_transitions=settings.event_transitions,
            lambda_platform=settings.lambda_platform,
            purges=self.purger.queue,
        )
        self.launcher = Launcher(
            self,
            "Launcher",
            basis=basis,
            table=table,
            buckets=list(buckets.values()),
            sites_parameter=parameter(settings, "sites"),
            enabled=settings.periodic_jobs,
        )
        self.distribution = Distribution(
            self,
            "Distribution",
            basis=basis,
            checkout=checkout,
            buckets=list(buckets.values()),
        )
        self.api = Api(
            self,
            "Api",
            basis=basis,
            table=table,
            buckets={site.name: bucket for site, bucket in buckets.items()},
            sites_parameter=parameter(settings, "sites"),
            settings=settings.api,
            purges=self.purger.queue,
        )
        directory = Directory(self, "Directory", settings=settings, table_name=table.table_name)
        directory.add_puller_file(self.distribution)
        monitoring = Monitoring(self, "Monitoring", alarm_email=settings.alarm_email)
        functions = {
            "intake": self.intake.function.function,
            "publisher": self.publisher.function.function,
            "purger": self.purger.function.function,
            "launcher": self.launcher.function.function,
            "distributor": self.distribution.function.function,
            "api": self.api.function.function,
        }
        if self.api.authorizer is not None:
            functions["authorizer"] = self.api.authorizer.function
        directory.add_api(self.api)
        monitoring.watch_functions(functions)
        monitoring.watch_doors(self.api.doors)
        monitoring.watch_stream(functions["publisher"])
        monitoring.watch_dead_letters(
            {
                "IntakeDeadLetters": self.intake.dead_letters,
                "PublisherStreamDeadLetters": self.publisher.stream_dead_letters,
                "PublisherRetryDeadLetters": self.publisher.retry_dead_letters,
                "PurgerDeadLetters": self.purger.dead_letters,
                "DistributionDeadLetters": self.distribution.dead_letters,
            }
        )
        for site, name in buckets.items():
            scope_of_site = Construct(self, f"Site{site.logical_name}")
            SiteBucket(
                scope_of_site,
                "Bucket",
                site=site,
                name=name,
                intake=functions["intake"],
                keeps_data=settings.keeps_data,
            )
            access = PullerAccess(
                scope_of_site, "Puller", site=site, bucket=name, job_table=self.job_table
            )
            directory.add_site(site, name, access)
            monitoring.watch_site(site)
        monitoring.add_dashboard()
