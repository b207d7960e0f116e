#!/bin/bash
# Runs the calls of one array element of a jobferry.Executor. These bytes are the same for every
# job; the calls lie in executor/, and setup and interpreter in executor/environment.sh.
folder=${0%/*}/executor
# shellcheck source=/dev/null
. "$folder/environment.sh" || {
  code=$?
  echo "jobferry: the executor's setup ended with exit code $code; correct Executor(setup=...)" >&2
  exit "$code"
}
command -v -- "$JOBFERRY_PYTHON" >/dev/null || {
  echo "jobferry: there is no '$JOBFERRY_PYTHON' here after the executor's setup;" \
    "name a Python that the site has: Executor(python=..., setup=...)" >&2
  exit 127
}
exec "$JOBFERRY_PYTHON" "$folder/runner.py"
