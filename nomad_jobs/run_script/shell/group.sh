# shellcheck shell=bash disable=SC2034,SC2154  # a part: names are set and used in the others
# ---- The group: which task starts when, what a failure or a stop means for the others, the end.

nomad_state=() nomad_started=() nomad_failed=() nomad_killing=() nomad_shell=()
nomad_why='' nomad_code='' nomad_stop=''
nomad_main_started='' nomad_poststart_started='' nomad_poststop_started=''
nomad_limit=0 nomad_begun=0
nomad_live=0 nomad_working=0 nomad_live_poststop=0 nomad_live_leader=''

nomad_record() {  # time, event, number, details: a line of alloc/task-states
  printf '%s\t%s\t%s\t%s\n' "$1" "$2" "${nomad_tasks[$3]}" "$4" >>"$nomad_element/alloc/task-states"
}

nomad_start() {  # hook: all its tasks at once
  local n
  for n in "${!nomad_tasks[@]}"; do
    [ "${nomad_hook[n]}" = "$1" ] || continue
    nomad_state[n]=live
    nomad_run_task "$n" &
    nomad_shell[n]=$!
  done
}

nomad_kill() {  # number
  local now
  [ -z "${nomad_killing[$1]-}" ] || return
  nomad_killing[$1]=yes
  printf -v now '%(%s)T' -1
  nomad_record "$now" "$nomad_why" "$1" ''
  nomad_record "$now" Killing "$1" "timeout=${nomad_kill_timeout[$1]}"
  : >"$nomad_scratch/$1.killed"
  nomad_kill_task "$1" &
}

nomad_hear() {  # one line of a task's shell, or nothing for a second
  local time event n details gone=()
  for n in "${!nomad_shell[@]}"; do
    [ "${nomad_state[n]}" = dead ] || kill -0 "${nomad_shell[n]}" || gone+=("$n")
  done
  if ! IFS=$'\t' read -r -t 1 time event n details <&9; then
    for n in "${gone[@]}"; do
      nomad_lost "$n"
    done
    return
  fi
  if [ "$event" = end ]; then
    nomad_ended "$n" "$details" "$time"
    return
  fi
  nomad_record "$time" "$event" "$n" "$details"
  [ "$event" != Started ] || nomad_started[n]=yes
} 2>/dev/null

nomad_lost() {  # number: the task's shell was killed before it could say so; the task may live on
  local pid failed=1
  local -a nomad_tree=()
  if read -r pid <"$nomad_scratch/$1.pid"; then
    nomad_descendants "$pid"
    kill -s KILL "${nomad_tree[@]}"
  fi
  : >"$nomad_scratch/$1.end"
  [ -z "$nomad_stop" ] || failed=0
  nomad_ended "$1" "failed=$failed exit_code=137"
}

nomad_ended() {  # number, details, time
  local now
  printf -v now '%(%s)T' -1
  nomad_state[$1]=dead
  nomad_record "${3:-$now}" Dead "$1" "$2"
  [[ $2 == failed=1* ]] || return
  nomad_failed[$1]=yes
  nomad_code=${nomad_code:-${2##*=}}
}

nomad_count() {
  local n
  nomad_live=0 nomad_working=0 nomad_live_poststop=0 nomad_live_leader=''
  for n in "${!nomad_tasks[@]}"; do
    [ "${nomad_state[n]-}" = live ] || continue
    if [ "${nomad_hook[n]}" = poststop ]; then
      nomad_live_poststop=$((nomad_live_poststop + 1))
      continue
    fi
    nomad_live=$((nomad_live + 1))
    [ "${nomad_sidecar[n]}" = 1 ] || nomad_working=$((nomad_working + 1))
    [ "${nomad_leader[n]}" = 0 ] || nomad_live_leader=$n
  done
}

nomad_ready() {  # hook: whether what must have started, or ended well, has
  local n
  for n in "${!nomad_tasks[@]}"; do
    [ "${nomad_hook[n]}" = "$1" ] || continue
    if [ "$1" = prestart ] && [ "${nomad_sidecar[n]}" = 0 ]; then
      [ "${nomad_state[n]-}${nomad_failed[n]-}" = dead ] || return
    else
      [ -n "${nomad_started[n]-}" ] || return
    fi
  done
}

nomad_reason() {  # sets nomad_why once there is a reason that everything ends
  local n
  if [ -n "$nomad_stop" ]; then
    nomad_why='Stopped by the scheduler'
    return
  fi
  if [ "$nomad_limit" -gt 0 ] && [ $((SECONDS - nomad_begun)) -ge "$nomad_limit" ]; then
    nomad_why='Exceeded max_run_duration'
    nomad_code=${nomad_code:-124}
    return
  fi
  for n in "${!nomad_tasks[@]}"; do
    [ "${nomad_hook[n]}" != poststop ] || continue
    [ -z "${nomad_failed[n]-}" ] || nomad_why='Sibling Task Failed'
    [ -n "$nomad_why" ] || [ "${nomad_leader[n]}" = 0 ] || [ "${nomad_state[n]-}" != dead ] ||
      nomad_why='Leader Task Dead'
  done
  [ -n "$nomad_why" ] || [ -z "$nomad_poststart_started" ] || [ "$nomad_working" -gt 0 ] ||
    nomad_why='Main Tasks Dead'
}

nomad_go_on() {  # starts what is due
  if [ -z "$nomad_main_started" ] && nomad_ready prestart; then
    nomad_main_started=yes
    nomad_start main
  fi
  if [ -n "$nomad_main_started" ] && [ -z "$nomad_poststart_started" ] && nomad_ready main; then
    nomad_poststart_started=yes
    nomad_start poststart
  fi
}

nomad_advance() {
  nomad_go_on
  nomad_count
  nomad_reason
}

nomad_wind_up() {  # kills what is left, the leader first; succeeds when poststop is over too
  local n
  for n in "${!nomad_tasks[@]}"; do
    [ "${nomad_state[n]-}" = live ] || continue
    if [ "${nomad_hook[n]}" = poststop ]; then
      [ -z "$nomad_stop" ] || nomad_kill "$n"
    elif [ -z "$nomad_live_leader" ] || [ "$nomad_live_leader" = "$n" ]; then
      nomad_kill "$n"
    fi
  done
  [ "$nomad_live" -eq 0 ] || return
  if [ -z "$nomad_poststop_started" ]; then
    nomad_poststop_started=yes
    # A stop before this killed the tasks; only a further one kills what cleans up behind them.
    nomad_code=${nomad_code:-${nomad_stop:+$((128 + nomad_stop))}} nomad_stop=''
    nomad_start poststop
    nomad_count
  fi
  [ "$nomad_live_poststop" -eq 0 ]
}

nomad_forward() {  # signal: to every task that runs
  local n pid
  for n in "${!nomad_tasks[@]}"; do
    read -r pid <"$nomad_scratch/$n.pid" && kill -s "$1" "$pid"
  done
} 2>/dev/null

nomad_never_started() {
  local n now
  printf -v now '%(%s)T' -1
  for n in "${!nomad_tasks[@]}"; do
    [ -n "${nomad_state[n]-}" ] || nomad_record "$now" Dead "$n" failed=0
  done
}

nomad_leave_no_empty_folders() {  # of those made here: each would become an object in the bucket
  local folders=("${nomad_tasks[@]/#/$nomad_element/}")
  rmdir -- "$nomad_element/alloc/data" "${folders[@]/%//local}"
} 2>/dev/null

nomad_supervise() {  # sets nomad_code
  local signal
  for signal in TERM INT HUP QUIT XCPU; do
    # shellcheck disable=SC2064  # the number of today's signal is meant
    trap "nomad_stop=$(kill -l "$signal")" "$signal"
  done
  trap 'nomad_forward USR1' USR1
  trap 'nomad_forward USR2' USR2
  nomad_begun=$SECONDS
  nomad_start prestart
  while :; do
    nomad_count
    [ -n "$nomad_why" ] || nomad_advance
    [ -z "$nomad_why" ] || ! nomad_wind_up || break
    nomad_hear
  done
  trap '' TERM INT HUP QUIT XCPU USR1 USR2
  wait
  nomad_never_started
  rm -rf -- "$nomad_scratch"
  nomad_leave_no_empty_folders
  nomad_code=${nomad_code:-0}
}

nomad_begin() {  # element's folder, group, index in the group, seconds it may run: folders, scratch
  local n folder
  nomad_element=$nomad_root${1:+/$1} nomad_group=$2 nomad_group_index=$3 nomad_limit=$4
  mkdir -p -- "$nomad_element"/alloc/{data,logs,tmp} || return
  for n in "${!nomad_tasks[@]}"; do
    folder=$nomad_element/${nomad_tasks[n]}
    mkdir -p -- "$folder"/{local,secrets,tmp} && chmod 700 -- "$folder/secrets" || return
    printf '%(%s)T\tReceived\t%s\t\n' -1 "${nomad_tasks[n]}" >>"$nomad_element/alloc/task-states"
  done
  if [ -n "$1" ] && [ -d "$nomad_root/.nomad/artifacts/$2" ]; then
    cp -R -p -- "$nomad_root/.nomad/artifacts/$2/." "$nomad_element/" || return
  fi
  nomad_scratch=$nomad_root/.nomad/run.$nomad_index
  rm -rf -- "$nomad_scratch" && mkdir -- "$nomad_scratch" && nomad_pipes
}

nomad_pipes() {  # 9: what the tasks' shells tell; 7: on which nobody ever writes, to wait by
  local folder opened
  # Where a job's directory lies, named pipes may not exist; open ones need no name any more.
  folder=$(mktemp -d "${TMPDIR:-/tmp}/nomad.XXXXXX" 2>/dev/null) ||
    folder=$(mktemp -d /tmp/nomad.XXXXXX) || return
  mkfifo -- "$folder/tell" "$folder/idle" && exec 9<>"$folder/tell" 7<>"$folder/idle"
  opened=$?
  rm -rf -- "$folder"
  return "$opened"
}
