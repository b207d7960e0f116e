# shellcheck shell=bash disable=SC2034,SC2154  # a part: names are set and used in the others
# ---- What a run knows: facts that travel as data, attributes of the node, a task's environment.
# Values are data: they are looked up and put in place once, and never read as shell code.

nomad_root='' nomad_element='' nomad_task_dir='' nomad_task_name='' nomad_allocation=''
nomad_index=0 nomad_group='' nomad_group_index=0 nomad_contained='' nomad_cores='' nomad_log=''
nomad_meta_names=() nomad_meta_values=()
declare -A nomad_fact=() nomad_node=() nomad_inherited=() nomad_value=() nomad_exported=()
# shellcheck disable=SC2016  # a pattern, not an expansion
nomad_reference='\$\{([A-Za-z0-9_.-]+|env\["[A-Za-z0-9_.-]+"\])\}'

nomad_say() {  # message: into the job's own log, and into that of the task that it is about
  printf 'jobferry: %s\n' "$1" >&2
  [ -z "$nomad_log" ] || printf 'jobferry: %s\n' "$1" >>"$nomad_log"
}

nomad_facts() {  # .nomad/dispatch: NAME=value records, each ended by NUL
  local LC_ALL=C record name
  while IFS= read -r -d '' record; do
    name=${record%%=*}
    case $name in
      meta.*)
        nomad_meta_names+=("${name#meta.}")
        nomad_meta_values+=("${record#*=}")
        ;;
      *[!a-z_]* | '') ;;
      *) nomad_fact[$name]=${record#*=} ;;
    esac
  done <"$nomad_root/.nomad/dispatch"
}

nomad_row() {  # .nomad/sweep.N: what this element has of meta besides, if the dispatch was a sweep
  local LC_ALL=C record before=$((nomad_index % 1000))
  [ -e "$nomad_root/.nomad/sweep.0" ] || return 0
  while IFS= read -r -d '' record; do
    if [ -z "$record" ]; then
      [ "$before" -gt 0 ] || return 0
      before=$((before - 1))
    elif [ "$before" -eq 0 ]; then
      nomad_meta_names+=("${record%%=*}")
      nomad_meta_values+=("${record#*=}")
    fi
  done <"$nomad_root/.nomad/sweep.$((nomad_index / 1000))"
  return 1
}

nomad_allocation_of_element() {  # the puller's mark says whose the directory is, after a reschedule too
  local LC_ALL=C mark='' hex='[0-9a-f]' uuid last
  uuid="\"allocation\": *\"($hex{8}-$hex{4}-$hex{4}-$hex{4}-$hex{12})\""
  { IFS= read -r -d '' mark <"$nomad_root/aws-job-allocation.json"; } 2>/dev/null
  nomad_allocation=${nomad_fact[allocation_id]-}
  [[ $mark =~ $uuid ]] && nomad_allocation=${BASH_REMATCH[1]}
  [[ $nomad_allocation =~ ^$hex{8}-$hex{4}-$hex{4}-$hex{4}-$hex{12}$ ]] || return
  printf -v last %06x $(((16#${nomad_allocation:30} + nomad_index) & 16#ffffff))
  nomad_allocation=${nomad_allocation:0:30}$last
}

nomad_attributes() {  # what ${node.…} and ${attr.…} may name; see docs/drivers.md
  local machine line key
  machine=$(uname -m)
  case $machine in
    x86_64) machine=amd64 ;;
    aarch64) machine=arm64 ;;
  esac
  nomad_node[node.unique.name]=$(uname -n)
  nomad_node[attr.unique.hostname]=${nomad_node[node.unique.name]}
  nomad_node[node.datacenter]=${nomad_fact[datacenter]-}
  nomad_node[node.region]=${nomad_fact[region]-}
  nomad_node[attr.cpu.arch]=$machine
  nomad_node[attr.kernel.name]=$(uname -s | tr '[:upper:]' '[:lower:]')
  nomad_node[attr.kernel.version]=$(uname -r)
  nomad_node[attr.kernel.arch]=$(uname -m)
  nomad_node[attr.cpu.numcores]=$(getconf _NPROCESSORS_ONLN 2>/dev/null)
  while IFS= read -r line; do
    line=${line//[\"\']/}
    case $line in
      ID=*) nomad_node[attr.os.name]=${line#*=} ;;
      VERSION_ID=*) nomad_node[attr.os.version]=${line#*=} ;;
    esac
  done 2>/dev/null </etc/os-release
  while read -r key line; do
    [ "$key" != Cpus_allowed_list: ] || nomad_cores=$line
  done 2>/dev/null </proc/self/status
  while IFS= read -r key; do
    nomad_inherited[$key]=${!key}
  done < <(compgen -e)
}

nomad_lookup() {  # name as it stands in ${…}: sets REPLY, or fails
  local name=$1
  case $name in
    'env["'*) name=${name#env\[\"} name=${name%\"\]} ;;
    env.*) name=${name#env.} ;;
  esac
  if [[ ${nomad_value[$name]+set} ]]; then
    REPLY=${nomad_value[$name]}
  elif [[ ${nomad_inherited[$name]+set} ]]; then
    REPLY=${nomad_inherited[$name]}
  elif [[ ${nomad_node[$name]+set} ]]; then
    REPLY=${nomad_node[$name]}
  else
    return 1
  fi
}

nomad_expand() {  # text: sets REPLY. What is put in is not read again; unknown names stay.
  local LC_ALL=C rest=$1 whole done=''
  while [[ $rest =~ $nomad_reference ]]; do
    whole=${BASH_REMATCH[0]}
    done+=${rest%%"$whole"*}
    rest=${rest#*"$whole"}
    if nomad_lookup "${BASH_REMATCH[1]}"; then
      done+=$REPLY
    else
      done+=$whole
    fi
  done
  REPLY=$done$rest
}

nomad_set() {  # name, value: a variable of the task as it stands
  local LC_ALL=C clean=$1
  case $1 in NOMAD_META_*) clean=${1//[!A-Za-z0-9_.]/_} ;; esac
  nomad_value[$1]=$2
  nomad_value[$clean]=$2
  nomad_exported[$clean]=$2
}

nomad_env() {  # name, value with references
  nomad_expand "$2"
  nomad_set "$1" "$REPLY"
}

nomad_meta() {  # key, value with references: under the key as written and in upper case
  local LC_ALL=C
  nomad_expand "$2"
  nomad_set "NOMAD_META_${1^^}" "$REPLY"
  nomad_set "NOMAD_META_$1" "$REPLY"
}

nomad_dispatched_meta() {
  local i
  for i in "${!nomad_meta_names[@]}"; do
    nomad_meta "${nomad_meta_names[i]}" "${nomad_meta_values[i]}"
  done
}

nomad_identity() {  # task, cpu limit (MHz), memory limit (MiB), memory maximum, cores
  local name
  nomad_task_name=$1
  nomad_task_dir=$nomad_element/$1
  nomad_set NOMAD_ALLOC_DIR "$nomad_element/alloc"
  nomad_set NOMAD_TASK_DIR "$nomad_task_dir/local"
  nomad_set NOMAD_SECRETS_DIR "$nomad_task_dir/secrets"
  [ -z "$2" ] || nomad_set NOMAD_CPU_LIMIT "$2"
  nomad_set NOMAD_MEMORY_LIMIT "$3"
  [ -z "$4" ] || nomad_set NOMAD_MEMORY_MAX_LIMIT "$4"
  [ -z "$5" ] || [ -z "$nomad_cores" ] || nomad_set NOMAD_CPU_CORES "$nomad_cores"
  nomad_set NOMAD_ALLOC_ID "$nomad_allocation"
  nomad_set NOMAD_SHORT_ALLOC_ID "${nomad_allocation:0:8}"
  nomad_set NOMAD_ALLOC_NAME "${nomad_fact[job_id]-}.${nomad_group}[$nomad_group_index]"
  nomad_set NOMAD_ALLOC_INDEX "$nomad_group_index"
  nomad_set NOMAD_GROUP_NAME "$nomad_group"
  nomad_set NOMAD_TASK_NAME "$1"
  nomad_set NOMAD_JOB_ID "${nomad_fact[job_id]-}"
  nomad_set NOMAD_JOB_NAME "${nomad_fact[job_name]-}"
  for name in parent_id:NOMAD_JOB_PARENT_ID datacenter:NOMAD_DC region:NOMAD_REGION \
    namespace:NOMAD_NAMESPACE; do
    [ -z "${nomad_fact[${name%%:*}]-}" ] || nomad_set "${name#*:}" "${nomad_fact[${name%%:*}]}"
  done
}

nomad_outside() {  # path as a task knows it: sets REPLY to where it is on the node
  REPLY=$1
  case $nomad_contained$1/ in
    yes/alloc/*) REPLY=$nomad_element$1 ;;
    yes/local/* | yes/secrets/*) REPLY=$nomad_task_dir$1 ;;
    */) [[ $1 == /* ]] || REPLY=$nomad_task_dir/$1 ;;
  esac
}

nomad_place() {  # destination, relative to the task's directory: sets REPLY, or fails if it leads out
  local path part clean=''
  nomad_outside "$1"
  path=$REPLY
  path=$path/
  while [ -n "$path" ]; do
    part=${path%%/*}
    path=${path#*/}
    case $part in
      '' | .) ;;
      ..) clean=${clean%/*} ;;
      *) clean=$clean/$part ;;
    esac
  done
  REPLY=$clean
  [[ $clean/ == "$nomad_element"/?* ]] && return
  nomad_say "task $nomad_task_name: $1 leads out of the allocation's directory"
  return 1
}

nomad_write() {  # destination, mode or nothing, text
  nomad_expand "$1"
  nomad_place "$REPLY" && mkdir -p -- "${REPLY%/*}" && printf %s "$3" >"$REPLY" || return
  [ -z "$2" ] || chmod -- "$2" "$REPLY"
}

nomad_payload() {  # file under local/
  nomad_place "local/$1" && mkdir -p -- "${REPLY%/*}" || return
  [ ! -e "$nomad_root/.nomad/payload" ] || cp -- "$nomad_root/.nomad/payload" "$REPLY"
}
