"""Turns the job block of a file into Nomad's JSON, by the schema; every problem is collected."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from nomad_jobs.job_file.budget import Budget
from nomad_jobs.job_file.durations import SECOND, nanoseconds
from nomad_jobs.job_file.evaluation import Evaluation
from nomad_jobs.job_file.expansion import expanded
from nomad_jobs.job_file.nearest import did_you_mean
from nomad_jobs.job_file.problems import MAX_FINDINGS, Finding, HclError, Path, TooMuchWork
from nomad_jobs.job_file.schema import Field, Kind, Nested, Schema
from nomad_jobs.job_file.specification import (
    CONSTRAINT,
    CONSTRAINT_SHORTHANDS,
    JOB,
    PERIODIC,
    TEMPLATE,
)
from nomad_jobs.job_file.syntax import Attribute, Block, Body
from nomad_jobs.job_file.values import (
    to_bool,
    to_list,
    to_map,
    to_text,
    to_whole,
)

Names = Mapping[str, Any]
_TEMPLATE_DEFAULTS = {
    "ChangeMode": "restart",
    "Perms": "0644",
    "Splay": 5 * SECOND,
    "ErrMissingKey": False,
}
"""What Nomad's parser fills in (jobspec2/parse_job.go); all other defaults come later."""

_MAX_WHOLE = 2**63


def _whole(value: Any) -> int:
    number = to_whole(value)
    if not -_MAX_WHOLE <= number < _MAX_WHOLE:
        raise ValueError("the number is too large")
    return number


_CONVERSIONS: dict[Kind, Callable[[Any], Any]] = {
    "text": to_text,
    "whole": _whole,
    "truth": to_bool,
    "duration": lambda v: nanoseconds(v) if isinstance(v, str) else _whole(v),
    "texts": lambda value: [to_text(item) for item in to_list(value)],
    "text_map": lambda value: {
        key: to_text(part) for key, part in to_map(value).items() if part is not None
    },
    "any_map": to_map,
}


class Decoder:
    """Decodes blocks of one file.

    Args:
        file: its name.
        evaluation: evaluates the expressions.
        budget: the file's budget.
    """

    def __init__(self, file: str, evaluation: Evaluation, budget: Budget) -> None:
        self._file = file
        self._evaluation = evaluation
        self._budget = budget
        self.problems: list[Finding] = []
        self.warnings: list[Finding] = []
        self.lines: dict[Path, int] = {}

    def job(self, block: Block, names: Names) -> dict[str, Any]:
        """The job block as Nomad's `Job`."""
        name = block.labels[0]
        bare = [b for b in block.body.blocks if b.type == "task"]
        rest = tuple(b for b in block.body.blocks if b.type != "task")
        groups = [
            Block("group", each.labels, Body((), (each,)), each.line)
            for each in bare
            if len(each.labels) == 1
        ]
        for each in bare:
            if len(each.labels) != 1:
                self._problem("a task has one label, its name", each.line, f'job "{name}"', ())
        body = Body(block.body.attributes, (*groups, *rest))
        job = self._block(body, JOB, names, f'job "{name}"', (), block.line)
        return {"ID": name, "Name": job.get("ID", name), **job}

    def _problem(self, message: str, line: int, where: str, path: Path) -> None:
        self.problems.append(Finding(message, where, self._file, line, path))
        if len(self.problems) >= MAX_FINDINGS:
            raise TooMuchWork(f"more than {MAX_FINDINGS} problems; mend these first", line=line)

    def _block(
        self, body: Body, schema: Schema, names: Names, where: str, path: Path, line: int
    ) -> dict[str, Any]:
        self.lines[path] = line
        stated: dict[str, Any] = {}
        for attribute in body.attributes:
            self._attribute(attribute, schema, names, where, path, stated)
        for block, inner in self._expanded(body, names, where, path):
            self._inner(block, schema, inner, where, path, stated)
        _complete(schema, stated)
        return stated

    def _attribute(
        self,
        attribute: Attribute,
        schema: Schema,
        names: Names,
        where: str,
        path: Path,
        stated: dict[str, Any],
    ) -> None:
        name, line = attribute.name, attribute.line
        try:
            if name in schema.fields:
                field = schema.fields[name]
                value = self._evaluation.value(attribute.expression, names)
                self._state(field, value, attribute, where, path, stated)
            elif schema is CONSTRAINT and self._shorthand(attribute, names, stated):
                return
            elif name in schema.unsupported:
                self._unsupported(name, schema, line, where, path)
            elif name in schema.blocks:
                self._problem(f"{name!r} is a block: write {name} {{ ... }}", line, where, path)
            else:
                hint = did_you_mean(name, _known(schema))
                self._problem(f"unknown attribute {name!r}{hint}", line, where, path)
        except HclError as error:
            self._problem(f"{name}: {error}", error.line, where, path)

    def _state(
        self,
        field: Field,
        value: Any,
        attribute: Attribute,
        where: str,
        path: Path,
        stated: dict[str, Any],
    ) -> None:
        if value is None:
            return
        self.lines[(*path, field.json)] = attribute.line
        if field.json in stated:
            self._problem(f"{attribute.name!r} is set twice", attribute.line, where, path)
        try:
            stated[field.json] = _CONVERSIONS[field.kind](value)
        except ValueError as error:
            raise HclError(str(error), line=attribute.line) from None

    def _shorthand(self, attribute: Attribute, names: Names, stated: dict[str, Any]) -> bool:
        name = attribute.name
        if name not in CONSTRAINT_SHORTHANDS:
            return False
        value = self._evaluation.value(attribute.expression, names)
        target = CONSTRAINT_SHORTHANDS[name]
        try:
            if target is not None:
                stated.update({"Operand": name, target: to_text(value)})
            elif to_bool(value):
                stated["Operand"] = name
        except ValueError as error:
            raise HclError(str(error), line=attribute.line) from None
        return True

    def _unsupported(self, name: str, schema: Schema, line: int, where: str, path: Path) -> None:
        unsupported = schema.unsupported[name]
        if unsupported.refused:
            self._problem(f"{name!r} is not supported: {unsupported.why}", line, where, path)
        else:
            message = f"{name!r} has no effect and is left out: {unsupported.why}"
            self.warnings.append(Finding(message, where, self._file, line, path))

    def _inner(
        self,
        block: Block,
        schema: Schema,
        names: Names,
        where: str,
        path: Path,
        stated: dict[str, Any],
    ) -> None:
        name = block.type
        if name in schema.blocks:
            self._nested(block, schema.blocks[name], names, where, path, stated)
        elif name in schema.fields and schema.fields[name].kind in ("text_map", "any_map"):
            self._map(block, schema.fields[name], names, where, path, stated)
        elif name in schema.unsupported:
            self._unsupported(name, schema, block.line, where, path)
        elif name in schema.fields:
            self._problem(f"{name!r} is no block: write {name} = ...", block.line, where, path)
        else:
            hint = did_you_mean(name, _known(schema))
            self._problem(f"unknown block {name!r}{hint}", block.line, where, path)

    def _nested(
        self,
        block: Block,
        nested: Nested,
        names: Names,
        where: str,
        path: Path,
        stated: dict[str, Any],
    ) -> None:
        labels = "".join(f' "{label}"' for label in block.labels)
        inside = f"{where} > {block.type}{labels}"
        if len(block.labels) != int(nested.labelled):
            wanted = "has one label, its name" if nested.labelled else "has no label"
            self._problem(f"the block {block.type!r} {wanted}", block.line, where, path)
            return
        position: Path = (*path, nested.json)
        if nested.many:
            position = (*position, len(stated.setdefault(nested.json, [])))
        elif nested.json in stated:
            first = self.lines.get(position, 0)
            self._problem(
                f"only one block {block.type!r} is allowed; the first is on line {first}",
                block.line,
                where,
                path,
            )
            return
        inner = self._block(block.body, nested.schema, names, inside, position, block.line)
        if nested.labelled:
            inner = {"Name": block.labels[0], **inner}
        if nested.many:
            stated[nested.json].append(inner)
        else:
            stated[nested.json] = inner

    def _map(
        self,
        block: Block,
        field: Field,
        names: Names,
        where: str,
        path: Path,
        stated: dict[str, Any],
    ) -> None:
        inside = f"{where} > {block.type}"
        if block.labels:
            self._problem(f"the block {block.type!r} has no label", block.line, where, path)
        if field.json in stated:
            self._problem(f"only one block {block.type!r} is allowed", block.line, where, path)
            return
        self.lines[(*path, field.json)] = block.line
        found = self._free(block.body, names, inside, (*path, field.json))
        stated[field.json] = found
        if field.kind == "text_map":
            stated[field.json] = self._texts_of(found, inside, (*path, field.json))

    def _texts_of(self, found: dict[str, Any], where: str, path: Path) -> dict[str, str]:
        texts: dict[str, str] = {}
        for key, value in found.items():
            try:
                if value is not None:
                    texts[key] = to_text(value)
            except ValueError as error:
                self._problem(f"{key}: {error}", self.lines.get((*path, key), 0), where, path)
        return texts

    def _free(self, body: Body, names: Names, where: str, path: Path) -> dict[str, Any]:
        """A block without a schema: a driver's config. Blocks inside become lists of maps."""
        found: dict[str, Any] = {}
        for attribute in body.attributes:
            self.lines[(*path, attribute.name)] = attribute.line
            try:
                found[attribute.name] = self._evaluation.value(attribute.expression, names)
            except HclError as error:
                self._problem(f"{attribute.name}: {error}", error.line, where, path)
        for block, inner in self._expanded(body, names, where, path):
            value: Any = self._free(block.body, inner, f"{where} > {block.type}", path)
            for label in reversed(block.labels):
                value = {label: [value]}
            if isinstance(found.setdefault(block.type, []), list):
                found[block.type].append(value)
            else:
                self._problem(f"{block.type!r} is set twice", block.line, where, path)
        return found

    def _expanded(
        self, body: Body, names: Names, where: str, path: Path
    ) -> Iterator[tuple[Block, Names]]:
        for block in body.blocks:
            self._budget.line = block.line
            self._budget.spend()
            try:
                yield from expanded(block, names, self._evaluation)
            except HclError as error:
                self._problem(f"{block.type}: {error}", error.line, where, path)


def _known(schema: Schema) -> list[str]:
    return [*schema.fields, *schema.blocks, *schema.unsupported]


def _complete(schema: Schema, stated: dict[str, Any]) -> None:
    """What Nomad's own parser adds to a block."""
    if schema is CONSTRAINT:
        stated.setdefault("Operand", "=")
    elif schema is TEMPLATE:
        stated.update({**_TEMPLATE_DEFAULTS, **stated})
    elif schema is PERIODIC and "Spec" in stated:
        stated["SpecType"] = "cron"
