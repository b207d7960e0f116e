"""Functions and arguments as pickles, by cloudpickle, and cloudpickle itself for the site."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

from jobferry.errors import ConfigurationError, NotPicklable

_NO_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class PickledFunction:
    """A function that can travel.

    Attributes:
        name: tells it from every other: the hash of its pickle.
        body: its pickle.
    """

    name: str
    body: bytes


def pickled_function(function: Callable[..., Any]) -> PickledFunction:
    """Pickle a function as it is now, with what it closes over.

    Raises:
        ConfigurationError: cloudpickle is not installed.
        NotPicklable: it cannot be pickled.
    """
    body = _pickled(function, f"the function {_name_of(function)}")
    return PickledFunction(f"function-{hashlib.sha256(body).hexdigest()}", body)


def pickled_call(
    function: PickledFunction, arguments: tuple[Any, ...], keywords: Mapping[str, Any]
) -> bytes:
    """Pickle the arguments of a call as they are now.

    Raises:
        ConfigurationError: cloudpickle is not installed.
        NotPicklable: they cannot be pickled.
    """
    return _pickled((function.name, arguments, dict(keywords)), "the arguments of the call")


def _name_of(function: Callable[..., Any]) -> str:
    return str(getattr(function, "__qualname__", None) or repr(function))


def _pickled(value: object, what: str) -> bytes:
    try:
        import cloudpickle
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            "the executor needs cloudpickle, which is not installed here: "
            "pip install 'jobferry[executor]'"
        ) from error
    try:
        body: bytes = cloudpickle.dumps(value)
    except Exception as error:
        raise NotPicklable(
            f"{what} cannot be pickled ({error}); what holds an open file, a connection, a lock "
            "or a generator stays here: make it inside the function"
        ) from error
    return body


def cloudpickle_archive() -> bytes:
    """The installed cloudpickle's own source as a zip that Python can import from.

    The same version gives the same bytes.
    """
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for source in sorted(files("cloudpickle").iterdir(), key=lambda entry: entry.name):
            if source.name.endswith(".py"):
                member = zipfile.ZipInfo(f"cloudpickle/{source.name}", _NO_TIME)
                member.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(member, source.read_bytes())
    return content.getvalue()
