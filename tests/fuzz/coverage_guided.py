"""Fuzzing by coverage: `python -m tests.fuzz.coverage_guided FOLDER NAME [OPTION ...]`.

The options are libFuzzer's: atheris is libFuzzer for Python. It keeps each input that reaches new
code in FOLDER and goes on from there, without an end: `-max_total_time=300` gives it five minutes.
It stops at a finding and writes the input to FOLDER. It is no package of the project: install it
elsewhere, and let its Python see the project's packages too.
"""

from __future__ import annotations

import importlib
import json
import random
import sys
from pathlib import Path

from tests.fuzz.mutation import drawn

OWN_CODE = ["job_protocol", "lambdas", "nomad_jobs", "puller"]
SECONDS = 10
"""For one input; libFuzzer also tells of those that take more than one second."""


def main(folder: Path, name: str, options: list[str]) -> None:
    """Look for inputs of the target whose name begins so, until libFuzzer ends the process."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=OWN_CODE):
        targets = importlib.import_module("tests.fuzz.__main__").TARGETS
    found = [target for target in targets if target.name.startswith(name)]
    if len(found) != 1:
        sys.exit(f"error: {len(found)} targets have a name that begins with {name!r}; name one")
    target = found[0]

    def mutated(data: bytes, most: int, seed: int) -> bytes:
        source = random.Random(seed)
        if source.random() < 0.5:
            return bytes(atheris.Mutate(data, most))
        json_too = target.is_json and _is_json(data)
        return drawn(source, (data,), target.words, json_too=json_too)[:most]

    kept = folder / target.name.replace(" ", "-")
    kept.mkdir(parents=True, exist_ok=True)
    for number, sample in enumerate(target.samples):
        (kept / f"sample-{number}").write_bytes(sample)
    limits = [f"-timeout={SECONDS}", "-report_slow_units=1", f"-artifact_prefix={kept}-"]
    atheris.Setup([sys.argv[0], *limits, *options, str(kept)], target.run, custom_mutator=mutated)
    atheris.Fuzz()


def _is_json(data: bytes) -> bool:
    try:
        json.loads(data)
    except (ValueError, RecursionError):
        return False
    return True


if __name__ == "__main__":
    try:
        asked_folder, asked_name, *asked_options = sys.argv[1:]
    except ValueError:
        sys.exit(f"error: name a folder and a target\n\n{__doc__}")
    main(Path(asked_folder), asked_name, asked_options)
