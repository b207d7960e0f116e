"""The job table, as the puller uses it: every write is conditional on its own token."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.allocation import Allocation, ResultSummary
from job_protocol.items import (
    SCHEMA_VERSION,
    from_attributes,
    known_version,
    to_attributes,
)
from job_protocol.site_records import Heartbeat
from job_protocol.states import ClientStatus, Desired
from puller.cloud.conditional_items import ConditionalItems
from puller.cloud.errors import typed_errors
from puller.cloud.foreign_claims import ForeignClaims
from puller.cloud.waiting import Waiting, read_waiting
from puller.cloud.written import Written, why_not
from puller.errors import HeldElsewhere
from puller.journal import End

_DAY = 24 * 3600
_TERMINAL = sorted(status for status in ClientStatus if status.terminal)


class CloudQueue:
    """One site's part of the job table."""

    def __init__(self, client: Any, table: str, site: str) -> None:
        """Use the table.

        Args:
            client: a boto3 DynamoDB client.
            table: the table's name.
            site: the site.
        """
        self._client = client
        self._table = table
        self._site = site
        self._items = ConditionalItems(client, table)

    def foreign_claims(self) -> ForeignClaims:
        """The claims of other installations, for an operator."""
        return ForeignClaims(self._client, self._table, self._site)

    def beat(self, heartbeat: Heartbeat) -> None:
        """Write the sign of life.

        Condition: this host wrote the last one, or the last one has run out.

        Raises:
            HeldElsewhere: another host runs this installation.
            CloudUnreachable, CloudRefused: see `puller.errors`.
        """
        attributes = to_attributes(heartbeat) | {"lingering": heartbeat.lingering}
        key = table_keys.heartbeat(heartbeat.site, heartbeat.installation)
        old = self._items.update(
            key,
            sets=attributes,
            removes=() if heartbeat.problem else ("problem",),
            condition="attribute_not_exists(#host) OR #host = :host OR #until < :at",
        )
        if old is not None:
            raise HeldElsewhere(
                f"host {old.get('host')} runs this installation (until {old.get('until')}, "
                f"seconds since the epoch). Remove the crontab line on one of the two hosts; "
                f"this one ({heartbeat.host}) takes over when the other has been silent that long"
            )

    def waiting(self, now: int, wanted: int) -> Waiting:
        """What needs this site; see `read_waiting`."""
        return read_waiting(self._client, self._table, self._site, now, wanted)

    def read(self, allocation_id: str) -> Allocation | None:
        """An allocation of this site, read consistently."""
        key = table_keys.allocation(self._site, allocation_id)
        with typed_errors(f"read from table {self._table}"):
            answer = self._client.get_item(
                TableName=self._table,
                Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
                ConsistentRead=True,
            )
        return self._allocation(allocation_id, answer.get("Item"))

    def _allocation(self, allocation_id: str, item: Mapping[str, Any] | None) -> Allocation | None:
        """The allocation of an item. Which one it is follows from the key, not from the item."""
        if not item:
            return None
        attributes = {**dynamodb_json.decode(item), "site": self._site, "id": allocation_id}
        return from_attributes(Allocation, attributes) if known_version(attributes) else None

    def claim(
        self, allocation_id: str, *, token: str, installation: str, now: int
    ) -> Allocation | None:
        """Claim an allocation that waits; None if it cannot be had.

        Condition: pending, wanted to run, due, without a token, and of a version known here. That
        it is due keeps a claim which was delayed on its way from landing after its claimant has
        given the allocation back and forgotten it.
        """
        key = table_keys.allocation(self._site, allocation_id)
        claimed: list[Allocation | None] = []
        old = self._items.update(
            key,
            sets={
                "client_status": ClientStatus.STARTING,
                "token": token,
                "installation": installation,
                "claimed_at": now,
            },
            removes=("qpk", "qsk", "not_before"),
            condition="client_status = :pending AND desired = :run "
            "AND attribute_not_exists(#token) AND v <= :known "
            "AND (attribute_not_exists(#not_before) OR #not_before <= :claimed_at)",
            values={
                ":pending": ClientStatus.PENDING,
                ":run": Desired.RUN,
                ":known": SCHEMA_VERSION,
            },
            on_new=lambda item: claimed.append(self._allocation(allocation_id, item)),
        )
        return claimed[0] if old is None and claimed else None

    def begin_submission(self, allocation_id: str, token: str) -> Written:
        """Say that the scheduler is about to be called. From then on the claim cannot be moved.

        Condition: own token, still wanted to run, starting.
        """
        return self._write(
            allocation_id,
            token,
            sets={"submitting": True},
            condition="desired = :run AND client_status = :starting",
            values={":run": Desired.RUN, ":starting": ClientStatus.STARTING},
        )

    def observe(
        self,
        allocation_id: str,
        token: str,
        *,
        obs: int,
        status: ClientStatus,
        facts: Mapping[str, Any],
    ) -> Written:
        """Write what was observed.

        Condition: own token, not terminal, a newer observation than the table holds.

        Args:
            allocation_id: the allocation.
            token: the claim's token.
            obs: the number of this observation.
            status: the client status.
            facts: further attributes; one that is None is removed.
        """
        return self._write(
            allocation_id,
            token,
            sets={"client_status": status, "obs": obs, **_stated(facts)},
            removes=_unstated(facts),
            condition="obs < :obs",
        )

    def let_go(
        self, allocation: Allocation, token: str, *, obs: int, reason: str, not_before: int
    ) -> Written:
        """Give a claim back: nothing was submitted, and the site cannot take it now.

        Condition: own token, not terminal.

        Args:
            allocation: the allocation.
            token: the claim's token.
            obs: the number of this observation.
            reason: why, for people.
            not_before: when to try again, in seconds since the epoch.
        """
        return self._write(
            allocation.id,
            token,
            sets={
                "client_status": ClientStatus.PENDING,
                "obs": obs,
                "reason": reason,
                "not_before": not_before,
                "qpk": table_keys.queue_partition(self._site),
                "qsk": table_keys.queue_pending(
                    allocation.priority, allocation.created, not_before
                ),
            },
            removes=("token", "installation", "submitting"),
            condition="desired = :run",
            values={":run": Desired.RUN},
        )

    def end(
        self,
        allocation: Allocation,
        token: str,
        *,
        obs: int,
        end: End,
        results: ResultSummary | None,
        facts: Mapping[str, Any],
        now: int,
    ) -> Written:
        """Write the end.

        Condition: own token, not terminal.

        Args:
            allocation: the allocation.
            token: the claim's token.
            obs: the number of this observation.
            end: how it ended.
            results: what was pushed.
            facts: further attributes.
            now: seconds since the epoch.
        """
        return self._write(
            allocation.id,
            token,
            sets={
                "client_status": end.status,
                "obs": obs,
                "ended_at": end.time,
                "ttl": now + allocation.keep_days * _DAY,
                **_stated(
                    {
                        "exit_code": end.exit_code,
                        "reason": end.reason,
                        "refused": end.refused or None,
                        "results": to_attributes(results) if results else None,
                        **facts,
                    }
                ),
            },
            removes=("qpk", "qsk", *(() if end.reason else ("reason",))),
        )

    def confirm_purge(self, allocation_id: str, now: int) -> bool:
        """Say that the directories of an allocation's job are gone; False if nobody wants it.

        Condition: a purge is wanted.

        Args:
            allocation_id: the allocation.
            now: seconds since the epoch.
        """
        old = self._items.update(
            table_keys.allocation(self._site, allocation_id),
            sets={"purged_at": now},
            removes=("qpk", "qsk"),
            condition="desired = :purge",
            values={":purge": Desired.PURGE},
        )
        return old is None

    def _write(
        self,
        allocation_id: str,
        token: str,
        *,
        sets: Mapping[str, Any],
        removes: tuple[str, ...] = (),
        condition: str = "",
        values: Mapping[str, Any] | None = None,
    ) -> Written:
        terminal = {f":t{n}": status for n, status in enumerate(_TERMINAL)}
        own = f"#token = :own AND NOT client_status IN ({', '.join(terminal)})"
        old = self._items.update(
            table_keys.allocation(self._site, allocation_id),
            sets=sets,
            removes=removes,
            condition=f"{own} AND {condition}" if condition else own,
            values={":own": token, **terminal, **(values or {})},
        )
        return (
            Written.DONE if old is None else why_not(old, token, must_run=":run" in (values or {}))
        )


def _stated(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in facts.items() if value is not None}


def _unstated(facts: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name, value in facts.items() if value is None)
