"""HCL's operators on values: arithmetic, comparison, logic."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

from nomad_jobs.job_file.values import number, same, to_bool, to_number

_DECIMALS = Context(prec=40)
"""Decimal arithmetic for fractions, so that 0.1 + 0.2 is 0.3 as in Nomad."""


def _decimal(value: float) -> Decimal:
    return Decimal(value) if isinstance(value, int) else Decimal(repr(value))


def _arithmetic(
    whole: Callable[[int, int], int], fraction: Callable[[Decimal, Decimal], Decimal]
) -> Callable[[Any, Any], int | float]:
    def apply(left: Any, right: Any) -> int | float:
        one, other = to_number(left), to_number(right)
        if isinstance(one, int) and isinstance(other, int):
            return number(whole(one, other))
        return number(float(fraction(_decimal(one), _decimal(other))))

    return apply


def _divide(left: Any, right: Any) -> int | float:
    one, other = to_number(left), to_number(right)
    if other == 0:
        raise ValueError("division by zero")
    if isinstance(one, int) and isinstance(other, int) and one % other == 0:
        return one // other
    return number(float(_DECIMALS.divide(_decimal(one), _decimal(other))))


def _remainder(left: Any, right: Any) -> int | float:
    one, other = to_number(left), to_number(right)
    if other == 0:
        raise ValueError("division by zero")
    if isinstance(one, int) and isinstance(other, int):
        return abs(one) % abs(other) * (1 if one >= 0 else -1)
    return number(float(_DECIMALS.remainder(_decimal(one), _decimal(other))))


BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "+": _arithmetic(lambda a, b: a + b, _DECIMALS.add),
    "-": _arithmetic(lambda a, b: a - b, _DECIMALS.subtract),
    "*": _arithmetic(lambda a, b: a * b, _DECIMALS.multiply),
    "/": _divide,
    "%": _remainder,
    "==": same,
    "!=": lambda a, b: not same(a, b),
    "<": lambda a, b: to_number(a) < to_number(b),
    ">": lambda a, b: to_number(a) > to_number(b),
    "<=": lambda a, b: to_number(a) <= to_number(b),
    ">=": lambda a, b: to_number(a) >= to_number(b),
    "&&": lambda a, b: to_bool(a) and to_bool(b),
    "||": lambda a, b: to_bool(a) or to_bool(b),
}
"""Both operands are evaluated, as in HCL: `&&` and `||` do not stop early."""

UNARY: dict[str, Callable[[Any], Any]] = {
    "-": lambda value: number(-to_number(value)),
    "!": lambda value: not to_bool(value),
}
