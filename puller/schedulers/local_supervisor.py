"""The supervisor of a local job: a small bash that outlives the puller and records the end."""

from __future__ import annotations

KILL_GRACE = 30
"""Seconds between TERM and KILL, as Slurm's KillWait: Nomad's `kill_timeout` (5 s unless stated)
and what a run does after it have to fit in."""

SUPERVISOR_NAME = "jobferry-local"

SUPERVISOR = r"""
_jf_wrapper=$1 _jf_record=$2 _jf_output=$3 _jf_limit=$4 _jf_grace=$5 _jf_descriptors=$6
shift 6
_jf_why=exited _jf_job=
_jf_cancel() { _jf_why=cancelled; [ -z "$_jf_job" ] || kill -TERM "$_jf_job" 2>/dev/null; }
trap _jf_cancel TERM
trap : INT HUP QUIT

IFS= read -r _jf_stat </proc/$$/stat
_jf_stat=(${_jf_stat##*) })
IFS= read -r _jf_boot </proc/sys/kernel/random/boot_id
_jf_id=$$.${_jf_stat[19]}.${_jf_boot:0:8}

exec 3>&1 </dev/null >>"$_jf_output" 2>&1 || exit 71
printf '%s\n' "$_jf_id" >&3
exec 3>&-
for _jf_fd in $_jf_descriptors; do exec {_jf_fd}>&-; done

_jf_begun=$SECONDS
( trap : INT QUIT
  exec timeout --kill-after="$_jf_grace" "$_jf_limit" \
    env "$@" JOBFERRY_LOCAL_ID="$_jf_id" /bin/bash -- "$_jf_wrapper" ) &
_jf_job=$!
[ "$_jf_why" = exited ] || kill -TERM "$_jf_job"
_jf_code=
# Of a job that a signal ended, bash would tell with the text of these lines.
while kill -0 "$_jf_job"; do wait "$_jf_job"; _jf_code=$?; done 2>/dev/null
kill -KILL -- "-$_jf_job" 2>/dev/null

case $_jf_why/$_jf_code in
  exited/124 | exited/137)
    if [ "$_jf_limit" -gt 0 ] && [ $((SECONDS - _jf_begun)) -ge "$_jf_limit" ]; then
      _jf_why=timeout
    fi ;;
esac
printf '%s\n' "id=$_jf_id" "why=$_jf_why" "code=$_jf_code" end >"$_jf_record.tmp" &&
  command -p mv -f -- "$_jf_record.tmp" "$_jf_record"
"""
"""Runs `timeout`, which makes a process group of its own, so that its KILL spares this shell."""
