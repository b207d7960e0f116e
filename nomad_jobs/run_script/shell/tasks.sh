# shellcheck shell=bash disable=SC2034,SC2154  # a part: names are set and used in the others
# ---- Tasks: started, restarted, killed and told of. One background shell looks after each task and
# lets no signal end it; the task runs in its foreground, so that `$?` is exact.

nomad_scratch='' nomad_first_task=0
nomad_tasks=() nomad_hook=() nomad_sidecar=() nomad_leader=() nomad_kill_signal=()
nomad_kill_timeout=() nomad_attempts=() nomad_interval=() nomad_delay=() nomad_mode=()
nomad_logs=() nomad_command=() nomad_work_dir=''

nomad_task() {  # name, hook, sidecar, leader, kill signal and timeout, restart policy, logs
  nomad_tasks+=("$1") nomad_hook+=("$2") nomad_sidecar+=("$3") nomad_leader+=("$4")
  nomad_kill_signal+=("$5") nomad_kill_timeout+=("$6")
  nomad_attempts+=("$7") nomad_interval+=("$8") nomad_delay+=("$9") nomad_mode+=("${10}")
  nomad_logs+=("${11}")
}

nomad_tell() {  # number, event, details: one line to the shell that decides
  printf '%(%s)T\t%s\t%s\t%s\n' -1 "$2" "$1" "${3-}" >&9
}

nomad_end() {  # number, 1 if the task failed, exit code
  nomad_tell "$1" end "failed=$2 exit_code=$3"
  : >"$nomad_scratch/$1.end"
}

nomad_pause() {  # seconds, at most; forks nothing
  read -r -t "$1" _ <&7
} 2>/dev/null

nomad_now() {
  printf -v REPLY '%(%s)T' -1
}

nomad_run_task() {  # number, in a shell of its own
  local n=$1 code count=0 begun log=$nomad_element/alloc/logs/${nomad_tasks[$1]}
  [ "${nomad_logs[n]}" = off ] || nomad_log=$log.stderr.0
  trap : TERM INT HUP QUIT USR1 USR2 XCPU
  if ! "nomad_setup_$((nomad_first_task + n))"; then
    nomad_tell "$n" 'Setup Failure'
    nomad_end "$n" 1 1
    return
  fi
  nomad_now
  begun=$REPLY
  while [ ! -e "$nomad_scratch/$n.killed" ]; do
    nomad_command=() nomad_work_dir=$nomad_task_dir
    if ! "nomad_command_$((nomad_first_task + n))"; then
      nomad_tell "$n" 'Driver Failure'
      nomad_end "$n" 1 127
      return
    fi
    nomad_tell "$n" Started
    # Of a task that a signal ended, bash would tell with the text of these lines.
    { (
      exec 2>&8 7>&- 8>&- 9>&- </dev/null || exit 126
      if [ "${nomad_logs[n]}" = off ]; then
        exec >/dev/null 2>&1
      else
        exec >>"$log.stdout.0" 2>>"$log.stderr.0"
      fi || exit 126
      nomad_exec
    ); } 8>&2 2>/dev/null
    code=$?
    rm -f -- "$nomad_scratch/$n.pid"
    nomad_tell "$n" Terminated "exit_code=$code"
    [ ! -e "$nomad_scratch/$n.killed" ] || break
    nomad_after_exit "$n" "$code" || return
  done
  nomad_tell "$n" Killed
  nomad_end "$n" 0 "${code:-0}"
}

nomad_after_exit() {  # number, exit code: Nomad's restart rules; fails when the task is over
  local n=$1 code=$2 until
  if [ "$code" -eq 0 ] && [ "${nomad_sidecar[n]}" = 0 ]; then
    nomad_end "$n" 0 0
    return 1
  fi
  nomad_now
  if [ "$REPLY" -gt $((begun + nomad_interval[n])) ]; then
    count=0 begun=$REPLY
  fi
  count=$((count + 1))
  until=$((REPLY + nomad_delay[n]))
  if [ "$count" -gt "${nomad_attempts[n]}" ]; then
    if [ "${nomad_mode[n]}" = fail ] || [ "${nomad_attempts[n]}" -eq 0 ]; then
      nomad_tell "$n" 'Not Restarting' "exit_code=$code"
      nomad_end "$n" 1 "$code"
      return 1
    fi
    until=$((begun + nomad_interval[n] + 1))
  fi
  nomad_tell "$n" Restarting "delay=$((until - REPLY))"
  while [ "$REPLY" -lt "$until" ] && [ ! -e "$nomad_scratch/$n.killed" ]; do
    nomad_pause 0.2
    nomad_now
  done
}

nomad_exec() {  # becomes the task
  local name command=${nomad_command[0]} words=("${nomad_command[@]:1}") variables=()
  for name in "${!nomad_exported[@]}"; do
    variables+=("$name=${nomad_exported[$name]}")
  done
  builtin cd -- "$nomad_work_dir" || exit 126
  # To env(1) a word with `=` is a variable, so a command in such a path is named from here.
  [[ $command == *=* && $command == "$PWD"/* ]] && command=./${command#"$PWD"/}
  printf '%s\n' "$BASHPID" >"$nomad_scratch/$n.pid" || exit 126
  if [[ $command == *=* ]]; then
    # shellcheck disable=SC2016  # for that shell to expand
    exec /usr/bin/env -- "${variables[@]}" /bin/sh -c 'exec "$0" "$@"' "$command" "${words[@]}"
  fi
  exec /usr/bin/env -- "${variables[@]}" "$command" "${words[@]}"
}

nomad_find() {  # command: local/, the task's directory, as an absolute path, PATH; sets REPLY
  local place
  for place in "$nomad_task_dir/local/$1" "$nomad_task_dir/$1"; do
    [ -f "$place" ] || continue
    [ -x "$place" ] || chmod +x -- "$place" || return
    REPLY=$place
    return
  done
  case $1 in
    /*) [ -f "$1" ] && [ -x "$1" ] && REPLY=$1 && return ;;
    *) REPLY=$(type -P -- "$1") && [ -n "$REPLY" ] && return ;;
  esac
  nomad_say "task $nomad_task_name: the command $1 is neither in the task's directory nor in PATH"
  return 1
}

nomad_from_path() {  # command: the first word of what runs, from PATH alone
  nomad_command=("$(type -P -- "$1")")
  [ -n "${nomad_command[0]}" ] && return
  nomad_say "task $nomad_task_name: $1 is not in PATH on $(uname -n)"
  return 1
}

nomad_program() {  # command with references: the first word of what runs
  nomad_expand "$1"
  nomad_find "$REPLY" && nomad_command=("$REPLY")
}

nomad_words() {  # words with references: added to what runs
  local word
  for word; do
    nomad_expand "$word"
    nomad_command+=("$REPLY")
  done
}

nomad_descendants() {  # process ids: sets nomad_tree to them and all that came from them
  local pid parent i
  local -a children=()
  nomad_tree=("$@")
  while read -r pid parent; do
    [[ $pid$parent =~ ^[0-9]+$ ]] && children[parent]+=" $pid"
  done < <(ps -A -o pid= -o ppid= 2>/dev/null)
  for ((i = 0; i < ${#nomad_tree[@]}; i++)); do
    for pid in ${children[nomad_tree[i]]-}; do
      nomad_tree+=("$pid")
    done
  done
}

nomad_kill_task() {  # number, in the background: the kill signal, then KILL for all that is left
  local n=$1 pid sent='' deadline=$((SECONDS + nomad_kill_timeout[$1]))
  local -a nomad_tree=()
  trap : TERM INT HUP QUIT USR1 USR2 XCPU
  # On a full disk there may be no such file: then the end of the task's shell tells.
  while [ ! -e "$nomad_scratch/$n.end" ] && kill -0 "${nomad_shell[n]}"; do
    pid=''
    { read -r pid <"$nomad_scratch/$n.pid"; } 2>/dev/null
    if [ -n "$pid" ] && [ "$pid" != "$sent" ]; then
      nomad_descendants "$pid"
      kill -s "${nomad_kill_signal[n]}" "$pid"
      sent=$pid
    fi
    if [ "$SECONDS" -ge "$deadline" ] && [ -n "$pid" ]; then
      nomad_descendants "${nomad_tree[@]}"
      nomad_kill_container "$n"
      kill -s KILL "${nomad_tree[@]}"
    fi
    nomad_pause 0.1
  done 2>/dev/null
  [ "${#nomad_tree[@]}" -eq 0 ] || kill -s KILL "${nomad_tree[@]}" 2>/dev/null
}
