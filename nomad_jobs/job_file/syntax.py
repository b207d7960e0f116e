"""The syntax tree of HCL: what the parser hands to the evaluation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Expression:
    """Something with a value. `line` is 1-based."""

    line: int


@dataclass(frozen=True, slots=True)
class Literal(Expression):
    """A number, a boolean, null, or a piece of text."""

    value: Any


@dataclass(frozen=True, slots=True)
class Template(Expression):
    """A quoted string or a heredoc. A single `${...}` alone keeps its type."""

    parts: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class TemplateIf(Expression):
    """`%{if condition}then%{else}otherwise%{endif}`."""

    condition: Expression
    then: Template
    otherwise: Template


@dataclass(frozen=True, slots=True)
class TemplateFor(Expression):
    """`%{for key, value in collection}body%{endfor}`."""

    key: str | None
    value: str
    collection: Expression
    body: Template


@dataclass(frozen=True, slots=True)
class Reference(Expression):
    """A name and the constant steps after it: `var.x`, `env["HOME"]`.

    Attributes:
        root: the first name.
        steps: attribute names and constant indexes.
        source: as it stands in the file: what Nomad resolves at run time stays as this text.
    """

    root: str
    steps: tuple[str | int | float, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Index(Expression):
    """`of[key]`, and `of.name` where `of` is no reference."""

    of: Expression
    key: Expression


@dataclass(frozen=True, slots=True)
class Splat(Expression):
    """`of[*].a[0]` and `of.*.a`: the steps are taken on each element."""

    of: Expression
    steps: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """A function call; `expand` where the last argument ends in `...`."""

    name: str
    arguments: tuple[Expression, ...]
    expand: bool


@dataclass(frozen=True, slots=True)
class Unary(Expression):
    """`-x` or `!x`."""

    operator: str
    operand: Expression


@dataclass(frozen=True, slots=True)
class Binary(Expression):
    """`left operator right`."""

    operator: str
    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Conditional(Expression):
    """`condition ? then : otherwise`."""

    condition: Expression
    then: Expression
    otherwise: Expression


@dataclass(frozen=True, slots=True)
class TupleOf(Expression):
    """`[a, b]`."""

    items: tuple[Expression, ...]


@dataclass(frozen=True, slots=True)
class ObjectOf(Expression):
    """`{a = 1, (b) = 2}`; a bare name as a key is a literal."""

    entries: tuple[tuple[Expression, Expression], ...]


@dataclass(frozen=True, slots=True)
class For(Expression):
    """`[for k, v in c : value if condition]`; with `of_key` it is `{for ... : of_key => value}`."""

    key: str | None
    value: str
    collection: Expression
    of_key: Expression | None
    of_value: Expression
    condition: Expression | None
    grouped: bool


@dataclass(frozen=True, slots=True)
class Attribute:
    """`name = expression`."""

    name: str
    expression: Expression
    line: int


@dataclass(frozen=True, slots=True)
class Block:
    """`type "label" { body }`."""

    type: str
    labels: tuple[str, ...]
    body: Body
    line: int


@dataclass(frozen=True, slots=True)
class Body:
    """What lies between two braces, or the whole file."""

    attributes: tuple[Attribute, ...]
    blocks: tuple[Block, ...]
