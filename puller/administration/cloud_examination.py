"""Examines AWS as the puller meets it: credentials, clock, network and rights.

Nothing is changed there. A right to write is proven by a write whose condition can never hold, and
by a multipart upload that is aborted before it has a part.
"""

from __future__ import annotations

import email.utils
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from job_protocol import dynamodb_json, object_keys, table_keys
from puller import __version__
from puller.administration.certificate_examination import certificate_findings
from puller.administration.credentials_examination import credential_findings
from puller.administration.finding import Finding, fail, ok, warn
from puller.cloud.client_config import client_config
from puller.cloud.errors import code_of, status_of, typed
from puller.errors import CloudUnreachable
from puller.settings import Settings

_SKEW_WARN = 30.0
_SKEW_FAIL = 240.0
"""Seconds. AWS refuses signatures that are five minutes off (fifteen for S3)."""

_NEVER = "attribute_exists(pk) AND attribute_not_exists(pk)"
_PROBE_ID = "00000000-0000-0000-0000-000000000000"
_POLICY = "attach the policy PullerPolicyArn... of the deployment's outputs to these credentials"


class CloudExamination:
    """The checks of the cloud's side."""

    def __init__(
        self,
        settings: Settings,
        clock: Callable[[], float],
        connect: Callable[[str], Any] | None = None,
    ) -> None:
        """Examine with the puller's own settings.

        Args:
            settings: the settings.
            clock: the time in seconds since the epoch.
            connect: makes the client of a service; by default from the settings.
        """
        self._settings = settings
        self._clock = clock
        self._connect = connect

    def findings(self) -> Iterator[Finding]:
        """Everything; it stops where the rest would only repeat the same failure."""
        import boto3

        connect = self._connect
        if connect is None:
            try:
                session = boto3.Session(
                    profile_name=self._settings.profile, region_name=self._settings.region
                )
                profiles = session._session.full_config["profiles"]
                yield from certificate_findings(profiles, session.profile_name, self._clock())
                credentials = session.get_credentials()
            except BotoCoreError as error:
                yield fail("credentials", str(error), "correct ~/.aws/config or `profile`")
                return
            if credentials is None:
                yield fail(
                    "credentials",
                    "there are none",
                    "set up a profile in ~/.aws and name it as `profile` in the settings "
                    "(docs/deploy.md, Credentials for a puller)",
                )
                return
            yield from credential_findings(credentials, self._clock())
            connect = self._connect_with(session)
        yield from self._identity(connect("sts"))
        yield from self._table(connect("dynamodb"))
        yield from self._bucket(connect("s3"))

    def _connect_with(self, session: Any) -> Callable[[str], Any]:
        def connect(service: str) -> Any:
            return session.client(
                service,
                endpoint_url=self._settings.endpoint_url,
                config=client_config(proxy=self._settings.proxy),
            )

        return connect

    def _identity(self, sts: Any) -> Iterator[Finding]:
        try:
            yield ok("identity", sts.get_caller_identity()["Arn"])
        except (BotoCoreError, ClientError) as error:
            problem = typed(error, "ask AWS who this is")
            if isinstance(problem, CloudUnreachable):
                yield warn("identity", str(problem), "not needed where table and bucket answer")
            else:
                yield fail("identity", str(problem), "renew or correct the credentials")

    # ---- the table ----

    def _table(self, dynamodb: Any) -> Iterator[Finding]:
        settings = self._settings
        try:
            answer = dynamodb.query(
                TableName=settings.table,
                IndexName=table_keys.QUEUE_INDEX,
                KeyConditionExpression="qpk = :qpk",
                ExpressionAttributeValues={
                    ":qpk": {"S": table_keys.queue_partition(settings.site)}
                },
                Limit=1,
            )
        except (BotoCoreError, ClientError) as error:
            yield from self._unanswered("table: query the queue", error)
            return
        proxy = f" through {settings.proxy}" if settings.proxy else ""
        yield ok("reachability", f"{dynamodb.meta.endpoint_url} answers{proxy}")
        yield from self._clock_skew(answer)
        yield ok("table: query the queue", settings.table)
        yield from self._control(answer["Items"])
        yield from self._heartbeat(dynamodb)
        for what, key in (
            ("heartbeat", table_keys.heartbeat(settings.site, _PROBE_ID)),
            ("allocations", table_keys.allocation(settings.site, _PROBE_ID)),
        ):
            yield self._may_update(dynamodb, f"table: write {what}", key)

    def _unanswered(self, check: str, error: Exception) -> Iterator[Finding]:
        problem = typed(error, f"ask table {self._settings.table}")
        if isinstance(error, ClientError):
            yield from self._clock_skew(error.response)
        if isinstance(problem, CloudUnreachable):
            yield fail(
                "reachability",
                str(problem),
                "outbound HTTPS to AWS must be open; where there is a proxy, set `proxy`",
            )
        else:
            yield fail(check, str(problem), _remedy(error))

    def _clock_skew(self, answer: Mapping[str, Any]) -> Iterator[Finding]:
        headers = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {})
        try:
            there = email.utils.parsedate_to_datetime(headers["date"])
        except (KeyError, TypeError, ValueError):
            return
        if there.tzinfo is None:
            there = there.replace(tzinfo=UTC)
        skew = self._clock() - there.timestamp()
        told = f"this computer's clock is {abs(skew):.0f} s {'ahead' if skew > 0 else 'behind'}"
        remedy = "set the clock (NTP, chrony)"
        if abs(skew) >= _SKEW_FAIL:
            yield fail("clock", told, remedy)
        elif abs(skew) >= _SKEW_WARN:
            yield warn("clock", told, remedy)
        else:
            yield ok("clock", "agrees with AWS's")

    def _control(self, items: list[Mapping[str, Any]]) -> Iterator[Finding]:
        for row in map(dynamodb_json.decode, items):
            if not table_keys.is_control(row["qsk"]):
                continue
            if row.get("drain"):
                yield warn("site control", "the site is drained: nothing new starts", "resume it")
            least = row.get("least_puller_version")
            if least:
                yield ok("site control", f"wants version {least} at least; this is {__version__}")

    def _heartbeat(self, dynamodb: Any) -> Iterator[Finding]:
        """Reading a heartbeat is allowed, and who else lives on this site, where it may be told."""
        settings = self._settings
        own = _installation(settings)
        key = table_keys.heartbeat(settings.site, own or _PROBE_ID)
        try:
            item = dynamodb.get_item(
                TableName=settings.table, Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}}
            ).get("Item")
        except (BotoCoreError, ClientError) as error:
            problem = typed(error, f"read from table {settings.table}")
            yield fail("table: read", str(problem), _remedy(error))
            return
        yield ok("table: read", settings.table)
        if item is not None:
            found = dynamodb_json.decode(item)
            yield ok("heartbeat", f"host {found.get('host')}, {self._ago(found.get('at'))}")
        yield from self._others(dynamodb, own)

    def _others(self, dynamodb: Any, own: str | None) -> Iterator[Finding]:
        settings = self._settings
        try:
            rows = dynamodb.query(
                TableName=settings.table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={
                    ":pk": {"S": table_keys.heartbeat_partition(settings.site)}
                },
            )["Items"]
        except (BotoCoreError, ClientError):
            return  # a puller need not have this right
        now = self._clock()
        for found in map(dynamodb_json.decode, rows):
            if found["sk"] != own and found.get("until", 0) > now:
                yield warn(
                    "other installations",
                    f"installation {found['sk']} of this site is alive on {found.get('host')} "
                    f"({self._ago(found.get('at'))})",
                    "if this one replaces it, uninstall that one; both together are safe, and each "
                    "takes what the other has not",
                )

    def _may_update(self, dynamodb: Any, check: str, key: table_keys.Key) -> Finding:
        try:
            dynamodb.update_item(
                TableName=self._settings.table,
                Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
                UpdateExpression="SET v = :v",
                ConditionExpression=_NEVER,
                ExpressionAttributeValues={":v": {"N": "1"}},
            )
        except ClientError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                return ok(check, "allowed")
            return fail(check, str(typed(error, check)), _remedy(error))
        except BotoCoreError as error:
            return fail(check, str(typed(error, check)), "try again")
        return fail(check, "a condition that cannot hold did hold", "report this as a bug")

    # ---- the bucket ----

    def _bucket(self, s3: Any) -> Iterator[Finding]:
        bucket = self._settings.bucket
        missing = object_keys.input_manifest_key(_PROBE_ID)
        for check, version in (
            ("bucket: read", {}),
            ("bucket: read versions", {"VersionId": "null"}),
        ):
            try:
                s3.get_object(Bucket=bucket, Key=missing, **version)
            except ClientError as error:
                if code_of(error) in ("NoSuchKey", "NoSuchVersion"):
                    yield ok(check, f"s3://{bucket}")
                elif status_of(error) == 403:
                    problem = typed(error, f"read s3://{bucket}")
                    yield fail(check, str(problem), f"{_POLICY} (it includes s3:ListBucket)")
                else:
                    yield fail(check, str(typed(error, f"read s3://{bucket}")), _remedy(error))
            except BotoCoreError as error:
                yield fail(
                    check,
                    str(typed(error, f"read s3://{bucket}")),
                    "outbound HTTPS to S3 must be open",
                )
                return
        yield self._may_put(s3)

    def _may_put(self, s3: Any) -> Finding:
        """Begin an upload and abort it: both need the rights of a push, and nothing appears."""
        check, bucket = "bucket: write", self._settings.bucket
        key = object_keys.result_report_key(_PROBE_ID)
        try:
            begun = s3.create_multipart_upload(Bucket=bucket, Key=key)
            s3.abort_multipart_upload(Bucket=bucket, Key=key, UploadId=begun["UploadId"])
        except (BotoCoreError, ClientError) as error:
            return fail(check, str(typed(error, f"write to s3://{bucket}")), _remedy(error))
        return ok(check, f"s3://{bucket}")

    def _ago(self, at: object) -> str:
        if not isinstance(at, int):
            return "at an unknown time"
        return f"{max(0, int(self._clock()) - at)} s ago"


def _remedy(error: Exception) -> str:
    if isinstance(error, ClientError) and (
        status_of(error) == 403 or code_of(error).startswith("AccessDenied")
    ):
        return _POLICY
    return "correct site, table, bucket, region or credentials in the settings"


def _installation(settings: Settings) -> str | None:
    """This installation's id, if a pass has made it."""
    try:
        return (settings.state / "installation").read_text(encoding="ascii").strip() or None
    except (OSError, UnicodeDecodeError):
        return None
