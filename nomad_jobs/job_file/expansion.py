"""Expands `dynamic` blocks: one block for each element of a collection."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from nomad_jobs.job_file.evaluation import Evaluation, Names
from nomad_jobs.job_file.problems import HclError
from nomad_jobs.job_file.syntax import Block, Reference
from nomad_jobs.job_file.values import elements, to_text


def expanded(block: Block, names: Names, evaluation: Evaluation) -> Iterator[tuple[Block, Names]]:
    """The block itself, or what a `dynamic` block makes; with the names that hold inside.

    Raises:
        HclError: the `dynamic` block is not well formed, or its collection is none.
    """
    if block.type != "dynamic":
        yield block, names
        return
    stated = {attribute.name: attribute.expression for attribute in block.body.attributes}
    contents = [inner for inner in block.body.blocks if inner.type == "content"]
    unknown = stated.keys() - {"for_each", "iterator", "labels"}
    if len(block.labels) != 1 or len(contents) != 1 or "for_each" not in stated or unknown:
        raise HclError(
            "a dynamic block has one label (the type of the blocks that it makes), "
            "for_each, one content block, and perhaps iterator and labels",
            line=block.line,
        )
    kind, iterator = block.labels[0], stated.get("iterator")
    name = iterator.root if isinstance(iterator, Reference) else kind
    each = evaluation.value(stated["for_each"], names)
    for key, value in _elements(each, block.line):
        bound = {**names, name: {"key": key, "value": value}}
        labels: tuple[str, ...] = ()
        if "labels" in stated:
            found = evaluation.value(stated["labels"], bound)
            labels = tuple(_label(label, block.line) for _, label in _elements(found, block.line))
        yield Block(kind, labels, contents[0].body, block.line), bound


def _elements(value: Any, line: int) -> list[tuple[Any, Any]]:
    try:
        return elements(value)
    except ValueError as error:
        raise HclError(str(error), line=line) from None


def _label(value: Any, line: int) -> str:
    try:
        return to_text(value)
    except ValueError as error:
        raise HclError(str(error), line=line) from None
