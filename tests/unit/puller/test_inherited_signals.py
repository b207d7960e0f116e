"""What the puller starts does not ignore the signals that the puller ignores."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

_PULLER = """
import os, signal, subprocess
from puller.inherited_signals import let_programs_react
signal.signal(signal.{name}, signal.SIG_IGN)
if {prepared}:
    let_programs_react()
os.kill(os.getpid(), signal.{name})  # means nothing to this process either way
print(subprocess.call(["/bin/bash", "-c", "trap 'exit 7' {trap}; kill -{trap} $$; exit 0"]))
"""


@pytest.mark.parametrize("name", ["SIGHUP", "SIGINT", "SIGQUIT"])
@pytest.mark.parametrize(("prepared", "code"), [(True, 7), (False, 0)])
def test_a_job_can_trap_what_the_puller_ignores(name: str, prepared: bool, code: int) -> None:
    program = _PULLER.format(name=name, trap=name.removeprefix("SIG"), prepared=prepared)
    done = subprocess.run(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, check=True
    )
    assert done.stdout == f"{code}\n"


def test_a_handler_is_left_alone() -> None:
    from puller.inherited_signals import let_programs_react

    before = signal.getsignal(signal.SIGINT)
    let_programs_react()
    assert signal.getsignal(signal.SIGINT) is before
