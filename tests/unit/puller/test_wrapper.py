from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from puller.wrapper import ENVIRONMENT_FACTS, render_wrapper, split_script

PREFIXES = ("#SBATCH",)

LINES = [
    "#SBATCH -n 1",
    "#SBATCH",
    " #SBATCH -n 2",
    "# note",
    "",
    " \t",
    "\v#x",
    "\u3000",
    "true",
    "set -e",
    "#SBATCHx",
    "\u2028",
    "#!/again",
    "\r",
]

SCRIPT = """\
#!/usr/bin/python3 -u
#SBATCH --time=10

 # indented
#SBATCH -o out.txt
print("hello")
#SBATCH --too-late
"""


def what_sbatch_reads(script: str) -> list[str]:
    """Slurm's own rule, as its source code says it, in other words than the module's."""
    read = []
    for line in script.split("\n"):
        if line.startswith("#SBATCH"):
            read.append(line)
        elif not re.match(r"[ \t\v\f\r]*(#|$)", line):
            break
    return read


def test_the_leading_comment_block_is_the_head() -> None:
    script = split_script(SCRIPT, PREFIXES)
    assert script.head == ("#SBATCH --time=10", "", "", "#SBATCH -o out.txt")
    assert script.directives == ("--time=10", "-o out.txt")


def test_directives_are_hoisted_where_the_scheduler_reads_the_whole_file() -> None:
    text = "#!/bin/sh\n#$ -N a\nexit 0\n#$ -l h_rt=60\n"
    script = split_script(text, ("#$",), anywhere=True)
    assert script.directives == ("-N a", "-l h_rt=60")
    assert split_script(text, ("#$",)).directives == ("-N a",)


@pytest.mark.parametrize(
    ("first", "interpreter"),
    [
        ("#!/bin/bash", ("/bin/bash",)),
        ("#! /usr/bin/env -S python3 -u ", ("/usr/bin/env", "-S python3 -u")),
        ("#!/bin/sh\t-e", ("/bin/sh", "-e")),
        ("#!", ("/bin/sh",)),
        ("echo no shebang", ("/bin/sh",)),
        ("", ("/bin/sh",)),
    ],
)
def test_the_first_line_is_read_as_the_kernel_does(
    first: str, interpreter: tuple[str, ...]
) -> None:
    assert split_script(first + "\n", PREFIXES).interpreter == interpreter


@given(
    st.lists(st.sampled_from(LINES)),
    st.booleans(),
)
def test_a_scheduler_reads_the_same_directives_from_the_wrapper(
    lines: list[str], newline_at_end: bool
) -> None:
    script = "\n".join(["#!/bin/bash", *lines]) + ("\n" if newline_at_end else "")
    wrapper = render_wrapper(
        split_script(script, PREFIXES),
        scheduler="slurm",
        job_dir=Path("/home/u/aws-job/j"),
        control_dir=Path("/home/u/aws-job/.jobferry/alloc/a"),
    )
    assert what_sbatch_reads(wrapper) == what_sbatch_reads(script)


@settings(max_examples=40, deadline=None)
@given(
    st.text(alphabet=st.characters(exclude_categories=("Cs", "Cc")), min_size=1),
    st.sampled_from(sorted(ENVIRONMENT_FACTS)),
)
def test_no_path_breaks_the_wrapper(name: str, scheduler: str) -> None:
    text = render_wrapper(
        split_script(f"#!/bin/{name}\n# {name}\n", PREFIXES),
        scheduler=scheduler,
        job_dir=Path("/jobs", name.replace("/", "_")),
        control_dir=Path("/control", name.replace("/", "_")),
    )
    checked = subprocess.run(["bash", "-n"], input=text.encode(), capture_output=True, check=False)
    assert (checked.returncode, checked.stderr) == (0, b"")


def test_a_script_that_is_not_utf8_keeps_its_bytes() -> None:
    text = b"#!/bin/sh\n# \x93\xfa\x96{ (Shift-JIS)\nexit 0\n".decode(errors="surrogateescape")
    wrapper = render_wrapper(
        split_script(text, PREFIXES), scheduler="local", job_dir=Path("/j"), control_dir=Path("/c")
    )
    assert b"\n# \x93\xfa\x96{ (Shift-JIS)\n" in wrapper.encode(errors="surrogateescape")
