"""Evaluates HCL expressions; what Nomad resolves at run time stays as it stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from nomad_jobs.job_file import syntax
from nomad_jobs.job_file.budget import Budget
from nomad_jobs.job_file.functions import FUNCTIONS, REFUSED, call
from nomad_jobs.job_file.nearest import did_you_mean
from nomad_jobs.job_file.operators import BINARY, UNARY
from nomad_jobs.job_file.problems import HclError
from nomad_jobs.job_file.types import conversion_to
from nomad_jobs.job_file.values import at, elements, to_bool, to_text

Names = Mapping[str, Any]
"""What `var`, `local` and the names of `for` and `dynamic` stand for."""


_DECLARED = {"var": "variable", "local": "local"}


def _undeclared(root: str, name: str, known: Mapping[str, Any]) -> str:
    return f"there is no {_DECLARED[root]} {name!r}{did_you_mean(name, known)}"


class Evaluation:
    """Evaluates expressions of one file.

    Args:
        budget: what all of them together may cost.
    """

    def __init__(self, budget: Budget) -> None:
        self._budget = budget
        self._rules: dict[type[syntax.Expression], Callable[[Any, Names], Any]] = {
            syntax.Literal: lambda node, _: node.value,
            syntax.Template: self._template,
            syntax.TemplateIf: self._template_if,
            syntax.TemplateFor: self._template_for,
            syntax.Reference: self._reference,
            syntax.Index: self._index,
            syntax.Splat: self._splat,
            syntax.Call: self._call,
            syntax.Unary: self._unary,
            syntax.Binary: self._binary,
            syntax.Conditional: self._conditional,
            syntax.TupleOf: lambda node, names: [self.value(item, names) for item in node.items],
            syntax.ObjectOf: self._object,
            syntax.For: self._for,
        }
        self._special: dict[str, Callable[[syntax.Call, Names], Any]] = {
            "try": self._try,
            "can": self._can,
            "convert": self._convert,
        }

    def value(self, node: syntax.Expression, names: Names) -> Any:
        """The value of an expression.

        Raises:
            HclError: it has none; the line is that of the innermost expression that failed.
        """
        self._budget.line = node.line
        self._budget.spend()
        try:
            return self._rules[type(node)](node, names)
        except (ValueError, ArithmeticError) as error:
            raise HclError(str(error) or "the result is no number", line=node.line) from None

    def _template(self, node: syntax.Template, names: Names) -> Any:
        if len(node.parts) == 1 and not isinstance(
            node.parts[0], syntax.TemplateIf | syntax.TemplateFor
        ):
            return self.value(node.parts[0], names)
        texts = [to_text(self.value(part, names)) for part in node.parts]
        self._budget.spend_on_text(sum(map(len, texts)))
        return "".join(texts)

    def _template_if(self, node: syntax.TemplateIf, names: Names) -> Any:
        holds = to_bool(self.value(node.condition, names))
        return to_text(self.value(node.then if holds else node.otherwise, names) or "")

    def _template_for(self, node: syntax.TemplateFor, names: Names) -> Any:
        texts = [
            to_text(self.value(node.body, self._bound(node.key, node.value, pair, names)) or "")
            for pair in elements(self.value(node.collection, names))
        ]
        self._budget.spend_on_text(sum(map(len, texts)))
        return "".join(texts)

    def _reference(self, node: syntax.Reference, names: Names) -> Any:
        if node.root not in names:
            return "${" + node.source + "}"
        value = names[node.root]
        if node.root in _DECLARED and node.steps and node.steps[0] not in value:
            raise ValueError(_undeclared(node.root, str(node.steps[0]), value))
        for step in node.steps:
            value = at(value, step)
        self._budget.spend_on(value)
        return value

    def _index(self, node: syntax.Index, names: Names) -> Any:
        return at(self.value(node.of, names), self.value(node.key, names))

    def _splat(self, node: syntax.Splat, names: Names) -> Any:
        of = self.value(node.of, names)
        found = []
        for part in of if isinstance(of, list) else [] if of is None else [of]:
            value = part
            for step in node.steps:
                value = at(value, self.value(step, names))
            found.append(value)
        return found

    def _unary(self, node: syntax.Unary, names: Names) -> Any:
        return UNARY[node.operator](self.value(node.operand, names))

    def _binary(self, node: syntax.Binary, names: Names) -> Any:
        return BINARY[node.operator](self.value(node.left, names), self.value(node.right, names))

    def _conditional(self, node: syntax.Conditional, names: Names) -> Any:
        holds = to_bool(self.value(node.condition, names))
        return self.value(node.then if holds else node.otherwise, names)

    def _object(self, node: syntax.ObjectOf, names: Names) -> Any:
        return {
            to_text(self.value(key, names)): self.value(value, names) for key, value in node.entries
        }

    def _bound(
        self, key: str | None, value: str, pair: tuple[Any, Any], names: Names
    ) -> dict[str, Any]:
        self._budget.spend(1 + len(names))
        bound = {**names, value: pair[1]}
        if key is not None:
            bound[key] = pair[0]
        return bound

    def _for(self, node: syntax.For, names: Names) -> Any:
        items: list[Any] = []
        pairs: dict[str, Any] = {}
        for pair in elements(self.value(node.collection, names)):
            bound = self._bound(node.key, node.value, pair, names)
            if node.condition is not None and not to_bool(self.value(node.condition, bound)):
                continue
            if node.of_key is None:
                items.append(self.value(node.of_value, bound))
                continue
            key = to_text(self.value(node.of_key, bound))
            value = self.value(node.of_value, bound)
            if node.grouped:
                pairs.setdefault(key, []).append(value)
            elif key in pairs:
                raise ValueError(
                    f"the key {key!r} comes twice in this for expression; "
                    "write ... after the value to group the values of a key"
                )
            else:
                pairs[key] = value
        return items if node.of_key is None else pairs

    def _call(self, node: syntax.Call, names: Names) -> Any:
        if node.name in self._special:
            return self._special[node.name](node, names)
        if node.name in REFUSED:
            raise ValueError(f"{node.name}() is not available: {REFUSED[node.name]}")
        if node.name not in FUNCTIONS:
            known = (*FUNCTIONS, *self._special, *REFUSED)
            raise ValueError(f"there is no function {node.name!r}{did_you_mean(node.name, known)}")
        arguments = [self.value(argument, names) for argument in node.arguments]
        if node.expand:
            arguments[-1:] = [value for _, value in elements(arguments[-1])]
        try:
            return call(node.name, arguments, self._budget)
        except (ValueError, ArithmeticError) as error:
            raise ValueError(f"{node.name}(): {error}") from None

    def _try(self, node: syntax.Call, names: Names) -> Any:
        failed = "needs at least one argument"
        for argument in node.arguments:
            try:
                return self.value(argument, names)
            except HclError as error:
                failed = f"no argument can be evaluated; the last one: {error}"
        raise ValueError(f"try(): {failed}")

    def _can(self, node: syntax.Call, names: Names) -> Any:
        if len(node.arguments) != 1:
            raise ValueError("can() takes one argument")
        try:
            self.value(node.arguments[0], names)
        except HclError:
            return False
        return True

    def _convert(self, node: syntax.Call, names: Names) -> Any:
        if len(node.arguments) != 2:
            raise ValueError("convert() takes a value and a type")
        value, kind = node.arguments
        convert = conversion_to(kind, lambda part: self.value(part, names))
        return convert(self.value(value, names))
