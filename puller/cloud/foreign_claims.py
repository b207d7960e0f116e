"""Claims of other installations, as an operator's `adopt` moves them to this one.

Each write has the condition that the claim is still as it was read. It is all that keeps a holder
that is not lost after all from going on: from then on its own writes meet a foreign token.
"""

from __future__ import annotations

from typing import Any

from job_protocol import dynamodb_json, table_keys
from job_protocol.allocation import Allocation
from job_protocol.items import from_attributes, known_version
from job_protocol.site_records import Heartbeat
from job_protocol.states import ClientStatus
from puller.cloud.conditional_items import ConditionalItems
from puller.cloud.errors import typed_errors


class ForeignClaims:
    """The claims in one site's part of the job table."""

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

    def heartbeat(self, installation: str) -> Heartbeat | None:
        """The last sign of life of an installation of this site; None if there is none.

        Raises:
            CloudUnreachable, CloudRefused: see `puller.errors`.
        """
        key = table_keys.heartbeat(self._site, installation)
        with typed_errors(f"read from table {self._table}"):
            answer = self._client.get_item(
                TableName=self._table,
                Key={"pk": {"S": key.pk}, "sk": {"S": key.sk}},
                ConsistentRead=True,
            )
        if not answer.get("Item"):
            return None
        attributes = dynamodb_json.decode(answer["Item"])
        owner = {"site": self._site, "installation": installation}
        return from_attributes(Heartbeat, owner | attributes) if known_version(attributes) else None

    def take_over(self, read: Allocation, *, token: str, installation: str) -> bool:
        """Move a claim whose submission has not begun; False if it is not as it was read.

        Condition: the token that was read, starting, `submitting` absent. Whether it shall still
        run is asked at `submitting`, as of every claim: so a stop that nobody was there to answer
        is answered by the new holder.
        """
        return self._move(
            read,
            token,
            installation,
            "client_status = :starting AND attribute_not_exists(submitting)",
            {":starting": ClientStatus.STARTING},
        )

    def take_back(self, read: Allocation, *, token: str, installation: str) -> bool:
        """Move a claim, and take `submitting` back: the operator knows that nothing was submitted.

        Condition: the token that was read, starting, `submitting`, no scheduler's id. False if it
        does not hold.
        """
        return self._move(
            read,
            token,
            installation,
            "client_status = :starting AND attribute_exists(submitting) "
            "AND attribute_not_exists(scheduler_id)",
            {":starting": ClientStatus.STARTING},
            removes=("submitting",),
        )

    def adopt(self, read: Allocation, *, token: str, installation: str) -> bool:
        """Move the claim of a submitted allocation.

        Condition: the token and the client status that were read, `submitting`. False if it does
        not hold.
        """
        return self._move(
            read,
            token,
            installation,
            "client_status = :read AND attribute_exists(submitting)",
            {":read": read.client_status},
        )

    def _move(
        self,
        read: Allocation,
        token: str,
        installation: str,
        condition: str,
        values: dict[str, Any],
        *,
        removes: tuple[str, ...] = (),
    ) -> bool:
        old = self._items.update(
            table_keys.allocation(self._site, read.id),
            sets={"token": token, "installation": installation},
            removes=removes,
            condition=f"#token = :old AND {condition}",
            values={":old": read.token, **values},
        )
        return old is None
