"""What is made of the answers of `pip-audit`."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tools.known_weaknesses import LOCKS, NoAnswer, audit, main, read_answer

SOUND = {"name": "boto3", "version": "1.0", "vulns": []}
WEAK = {
    "name": "six",
    "version": "1.17",
    "vulns": [{"id": "PYSEC-1", "fix_versions": ["1.18"], "aliases": [], "description": "bad"}],
}
SKIPPED = {"name": "mine", "skip_reason": "Dependency not found on PyPI"}


def answer(*packages: object) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


def test_a_weakness_is_told_once_with_the_version_that_has_none() -> None:
    found = audit([Path("a.txt"), Path("b.txt")], lambda _lock: answer(SOUND, WEAK, SKIPPED))
    assert found.weak == ("six 1.17: PYSEC-1; mended in 1.18",)
    assert (found.known, found.unknown) == (4, ("mine",))


def test_a_service_that_knows_no_package_at_all_was_not_asked() -> None:
    with pytest.raises(NoAnswer, match="none of the 1 packages of a"):
        audit([Path("a.txt")], lambda _lock: answer(SKIPPED))


@pytest.mark.parametrize("text", ["", "no JSON", "[]", '{"dependencies": [{}]}', "null"])
def test_anything_else_is_no_answer(text: str) -> None:
    with pytest.raises(NoAnswer):
        read_answer(text)


def test_every_lock_file_is_asked_about(capsys: pytest.CaptureFixture[str]) -> None:
    asked: list[Path] = []
    assert main([], lambda lock: (asked.append(lock), answer(SOUND))[1]) == 0
    assert asked == sorted(LOCKS.glob("*.txt"))
    assert "0 known weaknesses" in capsys.readouterr().out


def test_a_known_weakness_is_an_error_even_where_possible() -> None:
    assert main(["--where-possible"], lambda _lock: answer(WEAK)) == 1


@pytest.mark.parametrize(("arguments", "code"), [([], 2), (["--where-possible"], 0)])
def test_nobody_to_ask_is_said_in_one_sentence(
    arguments: list[str], code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    def ask(lock: Path) -> str:
        raise NoAnswer(f"pip-audit could not ask about {lock.name}: no route to host")

    assert main(arguments, ask) == code
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("The locked packages were NOT audited: ")
    assert captured.err.count("\n") == 1
