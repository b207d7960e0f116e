"""Schedulers' answers for tests: transcripts on disk, and a runner that replays answers."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from puller.schedulers.runner import Completed

ROOT = Path(__file__).parents[2] / "schedulers/transcripts"


def transcript(scheduler: str, name: str) -> str:
    return (ROOT / scheduler / name).read_text()


def answered(stdout: str = "", *, code: int | None = 0, **fields: Any) -> Completed:
    return Completed(arguments=("program",), code=code, stdout=stdout, **fields)


class Replay:
    """Answers each program from its list in order (the last again and again); keeps what it saw."""

    def __init__(self, **answers: Sequence[Completed | Exception]) -> None:
        self._answers = {program: list(some) for program, some in answers.items()}
        self.asked: list[list[str]] = []
        self.environments: list[Mapping[str, str]] = []
        self.directories: list[Path | None] = []
        self.inputs: list[bytes] = []

    def __call__(
        self, arguments: Sequence[str], *, environment: Mapping[str, str], **options: Any
    ) -> Completed:
        self.asked.append(list(arguments))
        self.environments.append(environment)
        self.directories.append(options.get("directory"))
        if "stdin" in options:
            self.inputs.append(os.pread(options["stdin"], 1 << 20, 0))
        some = self._answers[arguments[0]]
        answer = some.pop(0) if len(some) > 1 else some[0]
        if isinstance(answer, Exception):
            raise answer
        return answer
