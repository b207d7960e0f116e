"""The operators' word on whole sites: drain them, or demand a newer puller."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.items import from_attributes, to_attributes
from job_protocol.site_records import SiteControl


class SiteControls:
    """The control items of all sites; each leads its site's queue while it says anything."""

    def __init__(self, client: Any, table: str) -> None:
        """Use the table.

        Args:
            client: a boto3 DynamoDB client.
            table: the job table's name.
        """
        self._client = client
        self._table = table

    def read(self, site: str) -> SiteControl:
        """What is wanted of a site."""
        answer = self._client.get_item(TableName=self._table, Key=_key(site), ConsistentRead=True)
        attributes = dynamodb_json.decode(answer.get("Item", {}))
        return from_attributes(SiteControl, {"site": site, **attributes})

    def drain(self, site: str) -> SiteControl:
        """Let a site claim nothing new; what it holds goes on."""
        return self._write(replace(self.read(site), drain=True))

    def resume(self, site: str) -> SiteControl:
        """Let a site claim again."""
        return self._write(replace(self.read(site), drain=False))

    def demand_version(self, site: str, version: str | None) -> SiteControl:
        """Let only pullers of at least this version claim; None for any."""
        return self._write(replace(self.read(site), least_puller_version=version))

    def _write(self, control: SiteControl) -> SiteControl:
        """Write what is wanted, or nothing at all: an idle site's queue stays empty."""
        if not control.drain and control.least_puller_version is None:
            self._client.delete_item(TableName=self._table, Key=_key(control.site))
            return control
        key = table_keys.control(control.site)
        item = to_attributes(control) | {
            "pk": key.pk,
            "sk": key.sk,
            "qpk": table_keys.queue_partition(control.site),
            "qsk": table_keys.queue_control(),
        }
        self._client.put_item(TableName=self._table, Item=dynamodb_json.encode(item))
        return control


def _key(site: str) -> dict[str, Any]:
    key = table_keys.control(site)
    return {"pk": {"S": key.pk}, "sk": {"S": key.sk}}
