"""HCL functions on numbers and on addresses in networks."""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Callable, Sequence
from typing import Any

from nomad_jobs.job_file.values import (
    MAX_BITS,
    number,
    to_number,
    to_text,
    to_whole,
)

_MAX_BASE = 36
_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _extreme(choose: Callable[[list[int | float]], int | float]) -> Callable[..., int | float]:
    return lambda *values: choose([to_number(value) for value in values])


def _log(value: Any, base: Any) -> int | float:
    argument, to_base = to_number(value), to_number(base)
    if argument <= 0 or to_base <= 0 or to_base == 1:
        raise ValueError("there is no such logarithm")
    return number(math.log(argument) / math.log(to_base))


def _pow(base: Any, exponent: Any) -> int | float:
    factor, times = to_number(base), to_number(exponent)
    if isinstance(factor, int) and isinstance(times, int) and times >= 0:
        if factor.bit_length() * times > 2 * MAX_BITS:
            raise ValueError(f"the result has more than {MAX_BITS} bits")
        return number(factor**times)
    result = math.pow(factor, times)
    return number(result)


def _parseint(text: Any, base: Any) -> int:
    digits, radix = to_text(text), to_whole(base)
    if not 2 <= radix <= _MAX_BASE:
        raise ValueError(f"the base must be between 2 and {_MAX_BASE}")
    if not digits.lstrip("+-").isalnum() or len(digits) > MAX_BITS:
        raise ValueError(f"{digits[:40]!r} is no whole number")
    return int(number(int(digits, radix)))


def _signum(value: Any) -> int:
    found = to_number(value)
    return (found > 0) - (found < 0)


def _bounds(arguments: Sequence[Any]) -> tuple[int | float, int | float, int | float]:
    bounds = [to_number(argument) for argument in arguments]
    start, end = (0, bounds[0]) if len(bounds) == 1 else (bounds[0], bounds[1])
    step = bounds[2] if len(bounds) > 2 else (1 if end >= start else -1)
    if step == 0 or (end - start) * step < 0:
        raise ValueError("the step must lead from the start to the end")
    return start, end, step


def range_length(*arguments: Any) -> int:
    """How many numbers `range` gives."""
    start, end, step = _bounds(arguments)
    return math.ceil((end - start) / step)


def _range(*arguments: Any) -> list[int | float]:
    start, _, step = _bounds(arguments)
    return [number(start + i * step) for i in range(range_length(*arguments))]


def _network(prefix: Any) -> _Network:
    return ipaddress.ip_network(to_text(prefix), strict=False)


def _cidrhost(prefix: Any, host: Any) -> str:
    network, position = _network(prefix), to_whole(host)
    offset = position if position >= 0 else network.num_addresses + position
    if not 0 <= offset < network.num_addresses:
        raise ValueError(f"{network} has no host {position}")
    return str(network.network_address + offset)


def _cidrnetmask(prefix: Any) -> str:
    network = _network(prefix)
    if network.version == 6:
        raise ValueError("IPv6 networks have no netmask")
    return str(network.netmask)


def _subnet(network: _Network, bits: int, position: int) -> _Network:
    length = network.prefixlen + bits
    if not (bits >= 0 and length <= network.max_prefixlen and 0 <= position < 2**bits):
        raise ValueError(f"{network} has no subnet {position} of {bits} more bits")
    first = int(network.network_address) + (position << (network.max_prefixlen - length))
    return type(network)((first, length))


def _cidrsubnet(prefix: Any, bits: Any, position: Any) -> str:
    return str(_subnet(_network(prefix), to_whole(bits), to_whole(position)))


def _cidrsubnets(prefix: Any, *bits: Any) -> list[str]:
    network = _network(prefix)
    free = int(network.network_address)
    found: list[str] = []
    for more in map(to_whole, bits):
        size = network.max_prefixlen - network.prefixlen - more
        if more < 1 or size < 0:
            raise ValueError(f"{network} has no subnet of {more} more bits")
        free = -(-free // (1 << size)) * (1 << size)  # the next multiple of its size
        subnet = _subnet(network, more, (free - int(network.network_address)) >> size)
        found.append(str(subnet))
        free += 1 << size
    return found


FUNCTIONS: dict[str, tuple[int, int | None, Callable[..., Any]]] = {
    "abs": (1, 1, lambda value: abs(to_number(value))),
    "ceil": (1, 1, lambda value: math.ceil(to_number(value))),
    "cidrhost": (2, 2, _cidrhost),
    "cidrnetmask": (1, 1, _cidrnetmask),
    "cidrsubnet": (3, 3, _cidrsubnet),
    "cidrsubnets": (2, None, _cidrsubnets),
    "floor": (1, 1, lambda value: math.floor(to_number(value))),
    "log": (2, 2, _log),
    "max": (1, None, _extreme(max)),
    "min": (1, None, _extreme(min)),
    "parseint": (2, 2, _parseint),
    "pow": (2, 2, _pow),
    "range": (1, 3, _range),
    "signum": (1, 1, _signum),
}
