"""Variables and locals of a job file: their declarations, and where their values come from.

Later sources win, as in Nomad: the default, variable files in their order, single values.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nomad_jobs.job_file.bodies import parse_file, parse_value
from nomad_jobs.job_file.budget import Budget
from nomad_jobs.job_file.evaluation import Evaluation
from nomad_jobs.job_file.json_text import parsed_json
from nomad_jobs.job_file.nearest import did_you_mean
from nomad_jobs.job_file.problems import MAX_FINDINGS, Finding, HclError, TooMuchWork
from nomad_jobs.job_file.syntax import Attribute, Block, Body, Expression, Literal
from nomad_jobs.job_file.types import Conversion, conversion_to
from nomad_jobs.job_file.values import (
    kind_of,
    to_bool,
    to_list,
    to_map,
    to_number,
    to_text,
)

_WORK_OF_A_FAILURE = 10
_OF_KIND: dict[str, Conversion] = {
    "string": to_text,
    "number": to_number,
    "bool": to_bool,
    "list": to_list,
    "map": to_map,
}
_DECLARATION = ("type", "default", "description", "sensitive")


@dataclass(frozen=True, slots=True)
class VariableFile:
    """A file of `name = value` lines, as `-var-file` names it."""

    name: str
    text: str


@dataclass(frozen=True, slots=True)
class _Declared:
    convert: Conversion
    takes_text: bool
    default: Any
    has_default: bool
    validations: tuple[Block, ...]
    line: int


class Names:
    """Builds what `var` and `local` stand for; problems are collected, not raised.

    Args:
        file: the job file's name, for the findings.
        evaluation: evaluates defaults and values.
        budget: the file's budget.
        found: where problems go.
    """

    def __init__(
        self, file: str, evaluation: Evaluation, budget: Budget, found: list[Finding]
    ) -> None:
        self._file = file
        self._evaluation = evaluation
        self._budget = budget
        self._found = found

    def of(
        self, body: Body, values: Mapping[str, str], files: Sequence[VariableFile]
    ) -> dict[str, Any]:
        """The names `var` and `local` for the job block."""
        declared = self._declared(body)
        variables = {name: each.default for name, each in declared.items() if each.has_default}
        for file in files:
            variables.update(self._from_file(file, declared))
        variables.update(self._from_words(values, declared))
        for name, each in declared.items():
            if name not in variables:
                self._report(
                    f"the variable {name!r} has no value; give it with -var '{name}=VALUE', "
                    "in a variable file, or give it a default",
                    each.line,
                    f'variable "{name}"',
                )
                variables[name] = None
        self._validate(declared, variables)
        names: dict[str, Any] = {"var": variables, "local": {}}
        self._add_locals(body, names)
        return names

    def _report(self, message: str, line: int, block: str = "", file: str | None = None) -> None:
        self._found.append(Finding(message, block, self._file if file is None else file, line))
        if len(self._found) >= MAX_FINDINGS:
            raise TooMuchWork(f"more than {MAX_FINDINGS} problems; mend these first", line=line)

    def _declared(self, body: Body) -> dict[str, _Declared]:
        declared: dict[str, _Declared] = {}
        for block in body.blocks:
            if block.type == "variables":  # the older form: name = default
                for attribute in block.body.attributes:
                    stated = {"default": attribute.expression}
                    self._declare(declared, attribute.name, stated, (), attribute.line)
            elif block.type == "variable" and len(block.labels) == 1:
                stated = self._known(block)
                self._declare(declared, block.labels[0], stated, block.body.blocks, block.line)
            elif block.type == "variable":
                self._report('a variable has one label: variable "name" { }', block.line)
        return declared

    def _known(self, block: Block) -> dict[str, Expression]:
        for attribute in block.body.attributes:
            if attribute.name not in _DECLARATION:
                hint = did_you_mean(attribute.name, _DECLARATION)
                self._report(
                    f"unknown attribute {attribute.name!r} in a variable{hint}", attribute.line
                )
        return {attribute.name: attribute.expression for attribute in block.body.attributes}

    def _declare(
        self,
        declared: dict[str, _Declared],
        name: str,
        stated: Mapping[str, Expression],
        blocks: tuple[Block, ...],
        line: int,
    ) -> None:
        if name in declared:
            self._report(f"the variable {name!r} is declared twice", line)
            return
        default = stated.get("default")
        try:
            kind = stated.get("type")
            convert = conversion_to(kind, self._plain) if kind else _as_it_is
            takes_text = kind is not None and getattr(kind, "root", "") == "string"
            value = self._converted(default, convert) if default else None
            if kind is None and value is not None:  # the default's type is the variable's
                convert, takes_text = _OF_KIND[kind_of(value)], isinstance(value, str)
        except HclError as error:
            self._report(str(error), error.line, f'variable "{name}"')
            convert, takes_text, value = _as_it_is, False, None
        declared[name] = _Declared(convert, takes_text, value, default is not None, blocks, line)

    def _plain(self, expression: Expression) -> Any:
        return self._evaluation.value(expression, {"var": {}, "local": {}})

    def _converted(self, expression: Expression, convert: Conversion) -> Any:
        value = self._plain(expression)
        try:
            return convert(value)
        except ValueError as error:
            raise HclError(str(error), line=expression.line) from None

    def _from_file(self, file: VariableFile, declared: Mapping[str, _Declared]) -> dict[str, Any]:
        values: dict[str, Any] = {}
        try:
            attributes = self._attributes(file)
        except HclError as error:
            self._report(str(error), error.line, file=file.name)
            return values
        for attribute in attributes:
            name = attribute.name
            if name not in declared:
                self._undeclared(name, declared, attribute.line, file.name)
                continue
            try:
                values[name] = self._converted(attribute.expression, declared[name].convert)
            except HclError as error:
                self._report(f"{name}: {error}", error.line, file=file.name)
        return values

    def _attributes(self, file: VariableFile) -> Sequence[Attribute]:
        """The values of a file: HCL, or a JSON object."""
        if file.text.lstrip("\ufeff \t\r\n").startswith("{"):
            stated = parsed_json(file.text)
            self._budget.spend_on(stated)
            return [Attribute(name, Literal(1, value), 1) for name, value in stated.items()]
        body = parse_file(file.text, self._budget)
        for block in body.blocks:
            self._report("a variable file has no blocks", block.line, file=file.name)
        return body.attributes

    def _undeclared(
        self, name: str, declared: Iterable[str], line: int, file: str | None = None
    ) -> None:
        hint = did_you_mean(name, declared) or f'; declare it: variable "{name}" {{ }}'
        self._report(f"the job file has no variable {name!r}{hint}", line, file=file)

    def _from_words(
        self, words: Mapping[str, str], declared: Mapping[str, _Declared]
    ) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for name, text in words.items():
            if name not in declared:
                self._undeclared(name, declared, 0, f"-var {name}")
                continue
            try:
                expression = self._word(text, declared[name])
                values[name] = self._converted(expression, declared[name].convert)
            except HclError as error:
                self._report(str(error), 0, file=f"-var {name}")
        return values

    def _word(self, text: str, declared: _Declared) -> Expression:
        """A string variable takes the word as it is; others are HCL, or the word if it is none."""
        if declared.takes_text:
            self._budget.spend_on_text(len(text))
            return Literal(0, text)
        if declared.convert is not _as_it_is:
            return parse_value(text, self._budget)
        return Literal(0, text)

    def _validate(self, declared: Mapping[str, _Declared], variables: dict[str, Any]) -> None:
        for name, each in declared.items():
            for block in each.validations:
                stated = {a.name: a.expression for a in block.body.attributes}
                where = f'variable "{name}"'
                if block.type != "validation" or stated.keys() != {"condition", "error_message"}:
                    self._report(
                        "a variable has only validation blocks, with condition and error_message",
                        block.line,
                        where,
                    )
                    continue
                self._check(stated, variables, where)

    def _check(
        self, stated: Mapping[str, Expression], variables: dict[str, Any], where: str
    ) -> None:
        names = {"var": variables, "local": {}}
        line = stated["condition"].line
        try:
            if not to_bool(self._evaluation.value(stated["condition"], names)):
                message = to_text(self._evaluation.value(stated["error_message"], names))
                self._report(message, line, where)
        except (HclError, ValueError) as error:
            self._report(
                f"the condition cannot be evaluated: {error}", stated["condition"].line, where
            )

    def _add_locals(self, body: Body, names: dict[str, Any]) -> None:
        """Locals may use each other in any order: evaluate what can be, until nothing more can."""
        waiting: dict[str, Attribute] = {}
        for block in body.blocks:
            for attribute in block.body.attributes if block.type == "locals" else ():
                if attribute.name in waiting:
                    self._report(f"the local {attribute.name!r} is set twice", attribute.line)
                waiting[attribute.name] = attribute
        progress = True
        while waiting and progress:
            progress = False
            failed: dict[str, HclError] = {}
            for name, attribute in list(waiting.items()):
                try:
                    names["local"][name] = self._evaluation.value(attribute.expression, names)
                except HclError as error:
                    self._budget.spend(_WORK_OF_A_FAILURE)
                    failed[name] = error
                else:
                    del waiting[name]
                    progress = True
        for name in waiting:
            self._report(f"local.{name}: {failed[name]}", failed[name].line, "locals")


def _as_it_is(value: Any) -> Any:
    return value
