"""The wrapper: what is submitted in place of the user's script, so that its exit code is known.

Its head is the script's own leading comment block, so that a scheduler reads the same directives
from it. Its body runs the script unchanged and writes the records that `exit_file` reads.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path

from job_protocol.object_keys import SCRIPT, STDERR, STDOUT
from puller.array_wrapper import SETTLE, array_id, prelude
from puller.exit_file import EXIT_NAME, START_NAME
from puller.schedulers.array_tasks import ArrayTasks
from puller.sweep_values import reading

MAX_SCRIPT = 4 * 1024 * 1024
"""Bytes; the control plane admits no larger one."""

_BLANKS = " \t\v\f\r"
"""What C's `isspace` takes for blank inside a line. Python's own notion includes U+3000, which
to a shell is the name of a command."""

ENVIRONMENT_FACTS = {
    "slurm": ("SLURM_JOB_ID", "SLURM_RESTART_COUNT"),
    "local": ("JOBFERRY_LOCAL_ID", None),
    "sge": ("JOB_ID", "RESTARTED"),
    "pbs": ("PBS_JOBID", "PBS_RUNCOUNT"),
    "lsf": ("LSB_JOBID", None),
    "tcs": ("PJM_JOBID", None),
}
"""By scheduler: the job's variable with the scheduler's id, and the one that counts requeues."""

ENVIRONMENT_NAME = "environment"
"""The file in the control directory in which some jobs find their environment, as `env -0`."""

_ENVIRONMENT_IN_A_FILE = frozenset({"sge", "pbs", "lsf"})
"""The schedulers that cannot carry it; see `schedulers.job_environment`."""


@dataclass(frozen=True, slots=True)
class Script:
    """The parts of a user's script that a wrapper needs.

    Attributes:
        interpreter: the program of its first line, and its one argument if it has one; a shell
            where there is no `#!`.
        head: the lines that schedulers may read directives from, in order, without the first.
        directives: the directives, without their prefix.
    """

    interpreter: tuple[str, ...]
    head: tuple[str, ...]
    directives: tuple[str, ...]


def split_script(
    text: str,
    directive_prefixes: tuple[str, ...],
    *,
    anywhere: bool = False,
    shell: str | None = None,
) -> Script:
    """Take a script apart.

    Source of the rule: Slurm's `sbatch` reads directives until the first line that is neither
    blank nor a comment (measured on 22.05); Grid Engine reads `#$` in the whole file.

    Args:
        text: the script; decode it with `surrogateescape`, since nothing says that it is UTF-8.
        directive_prefixes: how a directive begins at the start of a line, e.g. `#SBATCH`.
        anywhere: whether the scheduler reads directives below the leading comment block too.
        shell: the program that runs a script without `#!`, where the script's directives name one.
    """
    lines = text.split("\n")
    interpreter: tuple[str, ...] = (shell or "/bin/sh",)
    if lines[0].startswith("#!"):
        interpreter = _interpreter(lines.pop(0)) or interpreter
    end = next((n for n, line in enumerate(lines) if _is_command(line)), len(lines))
    head = [line if line.startswith("#") else "" for line in lines[:end]]
    while head and not head[-1]:
        head.pop()
    if anywhere:
        head += [line for line in lines[end:] if line.startswith(directive_prefixes)]
    directives = [
        line[len(prefix) :].strip(_BLANKS)
        for line in head
        for prefix in directive_prefixes
        if line.startswith(prefix)
    ]
    return Script(interpreter, tuple(head), tuple(directives))


def render_wrapper(
    script: Script,
    *,
    scheduler: str,
    job_dir: Path,
    control_dir: Path,
    redirect_stdout: bool = True,
    redirect_stderr: bool = True,
    enter_job_dir: bool = True,
    umask: str = "022",
    array: ArrayTasks | None = None,
    sweep: int | None = None,
) -> str:
    """The wrapper's text. Write it with `surrogateescape`, mode 0700.

    Args:
        script: the user's script.
        scheduler: the scheduler's name, a key of `ENVIRONMENT_FACTS`.
        job_dir: where the script lies as `aws-job-run.sh`, and where it runs.
        control_dir: where the records go.
        redirect_stdout: whether stdout goes to `aws-job-stdout.txt`; False where the script's own
            directives say where.
        redirect_stderr: the same for stderr and `aws-job-stderr.txt`.
        enter_job_dir: False where the script's own directives say where it runs.
        umask: the script's, in octal; that of the puller is its own affair.
        array: the elements that the submission runs, if it is an array.
        sweep: how many variables of a sweep each element gets, if it is one.
    """
    id_variable, restart_variable = ENVIRONMENT_FACTS[scheduler]
    top = "$_jf_dir" if array is None else "${_jf_dir%/*/*}"
    stdout = _Log(job_dir / STDOUT, of_element=array is not None) if redirect_stdout else None
    stderr = _Log(job_dir / STDERR, of_element=array is not None) if redirect_stderr else None
    redirections = [
        f">>{stdout.as_word}" if stdout is not None else "",
        f"2>>{stderr.as_word}" if stderr is not None else "",
    ]
    values = {
        "control": _quote(control_dir),
        "id": f'"${{{id_variable}:-}}"' if array is None else array_id(scheduler),
        "array": "" if array is None else prelude(scheduler, array),
        "top": top,
        "mine": "$_jf_id" if array is None else "$_jf_id.$_jf_index",
        "settle": "" if array is None else SETTLE,
        "restart": f'"${{{restart_variable}:-0}}"' if restart_variable else "0",
        "enter": f"builtin cd -- {_quote(job_dir)}" if enter_job_dir else ":",
        "redirect": " ".join(["exec", *filter(None, redirections)]) if any(redirections) else ":",
        "run": shlex.join([*script.interpreter, str(job_dir / SCRIPT)]),
        "environment": _environment(scheduler, sweep).replace("@top@", top),
        "stdout": _target(1, stdout),
        "stderr": _target(2, stderr),
        "umask": shlex.quote(umask),
        "start": START_NAME,
        "exit": EXIT_NAME,
    }
    body = re.sub("@([a-z]+)@", lambda found: values[found[1]], _BODY)
    return "\n".join(["#!/bin/bash", *script.head, body])


def _environment(scheduler: str, sweep: int | None) -> str:
    """Lines of bash that begin the command by which the script runs."""
    parts = [_LOGIN_ENVIRONMENT] if scheduler in _ENVIRONMENT_IN_A_FILE else []
    if sweep is not None:
        parts.append(reading(sweep))
    if not parts:
        return "exec"
    added = "".join(parts)
    return f'_jf_variables=(){added}exec /usr/bin/env -- "${{_jf_variables[@]}}"'


@dataclass(frozen=True, slots=True)
class _Log:
    """A file that the wrapper redirects an output to; an element's has its index in its name."""

    path: Path
    of_element: bool

    @property
    def as_word(self) -> str:
        """As a word of bash."""
        if self.of_element:
            return f"{_quote(self.path.with_suffix(''))}.$_jf_index.txt"
        return _quote(self.path)

    @property
    def within_quotes(self) -> str:
        """As a part of a double-quoted word."""
        if self.of_element:
            return f'"{_quote(self.path.with_suffix(""))}".$_jf_index.txt'
        return f'"{_quote(self.path)}"'


def _interpreter(first_line: str) -> tuple[str, ...]:
    """As the kernel reads it: one program, and the rest of the line as one argument."""
    program, _, argument = first_line[2:].strip(_BLANKS).replace("\t", " ").partition(" ")
    return tuple(part for part in (program, argument.strip(_BLANKS)) if part)


def _is_command(line: str) -> bool:
    stripped = line.strip(_BLANKS)
    return bool(stripped) and not stripped.startswith("#")


def _quote(path: Path) -> str:
    return shlex.quote(str(path))


def _target(descriptor: int, redirected: _Log | None) -> str:
    """Where an output goes, as part of a double-quoted word."""
    if redirected is not None:
        return redirected.within_quotes
    return f"$(command -p readlink /proc/$$/fd/{descriptor})"


# The child runs in the foreground of a subshell whose traps do nothing: the subshell outlives
# every signal but KILL, the child keeps the default dispositions, and `$?` is exact. With the child
# in the background and traps around `wait`, 144 of 200 group-wide TERMs gave a wrong code.
_BODY = r"""
# ---- jobferry: runs aws-job-run.sh and records what came of it ----
_jf_dir=@control@
_jf_id=@id@@array@
_jf_restart=@restart@
_jf_host=$(command -p uname -n)
_jf_signals='TERM INT HUP QUIT USR1 USR2 ALRM XCPU XFSZ VTALRM'

_jf_leave() {  # code, message
  printf 'jobferry: %s\n' "$2" >&2
  exit "$1"
}

_jf_record() {  # name, line...: a whole file or none
  local name=$1 temporary=$_jf_dir/$1.$_jf_restart.tmp
  shift
  printf '%s\n' "id=$_jf_id" "restart=$_jf_restart" "host=$_jf_host" "$@" end >"$temporary" &&
    command -p mv -f -- "$temporary" "$_jf_dir/$name"
}

[ -n "$_jf_id" ] || _jf_leave 71 'no scheduler id in the environment: not started by the scheduler'

# Only the submission whose id stands in `once` runs. A link appears with its content, so that a
# crash cannot leave an empty one; file systems without links get the next best.
_jf_once=@top@/once
printf '%s\n' "$_jf_id" >"$_jf_once.@mine@" || _jf_leave 71 "cannot write into $_jf_dir"
command -p ln -- "$_jf_once.@mine@" "$_jf_once" 2>/dev/null || [ -e "$_jf_once" ] ||
  (set -C && printf '%s\n' "$_jf_id" >"$_jf_once") 2>/dev/null
command -p rm -f -- "$_jf_once.@mine@"
_jf_owner=
IFS= read -r _jf_owner <"$_jf_once"@settle@
[ -n "$_jf_owner" ] || _jf_leave 71 "cannot read $_jf_once"
[ "$_jf_owner" = "$_jf_id" ] ||
  _jf_leave 0 "job $_jf_owner already runs this allocation; this one, $_jf_id, leaves"

command -p rm -f -- "$_jf_dir/@exit@" "$_jf_dir/pid"
printf -v _jf_started '%(%s)T' -1
_jf_record @start@ "time=$_jf_started" "stdout=@stdout@" "stderr=@stderr@" ||
  _jf_leave 71 "cannot write into $_jf_dir"

(
  trap : $_jf_signals
  (
    printf '%s\n' "$BASHPID" >"$_jf_dir/pid"
    umask @umask@
    @enter@ && @redirect@ || exit 126
    @environment@ @run@ "$@"
  )
  _jf_code=$?
  trap '' $_jf_signals  # one more signal must not hit the commands that write the record
  printf -v _jf_ended '%(%s)T' -1
  _jf_record @exit@ "started=$_jf_started" "ended=$_jf_ended" "code=$_jf_code"
  exit "$_jf_code"
) <&0 &
_jf_child=$!

# A scheduler may signal this shell alone (`sbatch --signal=B:USR1@60`): pass it on.
_jf_forward() {
  local pid
  IFS= read -r pid <"$_jf_dir/pid" && kill -s "$1" "$pid"
} 2>/dev/null
for _jf_signal in $_jf_signals; do
  trap "_jf_forward $_jf_signal" "$_jf_signal"
done
_jf_code=137
while kill -0 "$_jf_child" 2>/dev/null; do
  wait "$_jf_child"
  _jf_code=$?
done
# A `wait` that a signal interrupted has another code; the record has the right one.
while IFS= read -r _jf_line; do
  case $_jf_line in code=*) _jf_code=${_jf_line#code=} ;; esac
done 2>/dev/null <"$_jf_dir/@exit@"
exit "$_jf_code"
"""

_LOGIN_ENVIRONMENT = rf"""
    while IFS= read -r -d '' _jf_pair; do
      _jf_variables+=("$_jf_pair")
    done <"@top@/{ENVIRONMENT_NAME}" || exit 126
    """
"""Takes the user's login environment, to lay it over what the scheduler gave."""
