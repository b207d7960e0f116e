"""Derived identifiers: what is created twice from the same cause gets the same id."""

from __future__ import annotations

import uuid

_NAMESPACE = uuid.UUID("6a0f3f0e-5d0c-5d0e-8d57-6a6f62666572")

_LAST_DIGITS = 6
_ELEMENTS = 2**24
"""As many elements of one array can be told apart."""


def _derive(*parts: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, "\n".join(f"{len(part)}:{part}" for part in parts)))


def is_allocation_id(text: str) -> bool:
    """Whether it is an id as jobferry writes it: of the ways to write a UUID there is one."""
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False


def first_allocation(site: str, job_id: str, upload_version: str) -> str:
    """The id of the allocation that an accepted upload causes."""
    return _derive("allocation", site, job_id, upload_version)


def next_allocation(allocation_id: str) -> str:
    """The id of the allocation that follows when `allocation_id` is retried or rescheduled."""
    return _derive("next", allocation_id)


def request(site: str, job_id: str, key: str) -> str:
    """The id of the upload that a request to the API causes.

    Args:
        site: the site.
        job_id: the job.
        key: what tells this request from others: its idempotency key, or a random text.
    """
    return _derive("request", site, job_id, key)


def registered(site: str, job_id: str) -> str:
    """The id under which the versions of a registered job are kept in the bucket."""
    return _derive("registered", site, job_id)


def child(site: str, parent: str, cause: str) -> str:
    """The id whose first digits tell the dispatched children of one second apart.

    Args:
        site: the site.
        parent: the parameterized job.
        cause: what tells this dispatch from others: its idempotency token, or a random text.
    """
    return _derive("child", site, parent, cause)


def node(site: str) -> str:
    """The id by which Nomad's clients know a site."""
    return _derive("node", site)


def element_allocation(allocation_id: str, index: int) -> str:
    """The id under which one element of an array is shown as an allocation of its own.

    It has the first 26 hex digits of the array's allocation, so that this one is found again by
    `element_prefix`; the index is added to the last 6, so that index 0 is the allocation itself.
    """
    last = (_last_digits(allocation_id) + index) % _ELEMENTS
    return f"{element_prefix(allocation_id)}{last:06x}"


def element_index(allocation_id: str, element_id: str) -> int | None:
    """The index of an element's id in the array of an allocation; None if it is none of them."""
    if element_prefix(allocation_id) != element_prefix(element_id):
        return None
    return (_last_digits(element_id) - _last_digits(allocation_id)) % _ELEMENTS


def element_prefix(element_id: str) -> str:
    """What the ids of all elements of one array begin with."""
    return element_id[:-_LAST_DIGITS]


def _last_digits(element_id: str) -> int:
    return int(element_id[-_LAST_DIGITS:], 16)


def result_mark(site: str, job_id: str, path: str) -> str:
    """The value of the object metadata by which a result is known as such.

    It names the place as well, so that a result which the user copies elsewhere (S3 copies the
    metadata with it) is an ordinary input there.
    """
    return _derive("result", site, job_id, path)
