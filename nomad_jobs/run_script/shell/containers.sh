# shellcheck shell=bash disable=SC2034,SC2154  # a part: names are set and used in the others
# ---- Containers: by the first of these that the node has.

nomad_image='' nomad_container_dir='' nomad_gpus=''
nomad_entrypoint=() nomad_container_words=() nomad_mounts=()

nomad_container_paths() {  # inside a container the folders have Nomad's short names
  nomad_contained=yes
  nomad_set NOMAD_ALLOC_DIR /alloc
  nomad_set NOMAD_TASK_DIR /local
  nomad_set NOMAD_SECRETS_DIR /secrets
}

nomad_mount_own() {
  nomad_mounts=()
  nomad_mount /alloc /alloc rw && nomad_mount /local /local rw && nomad_mount /secrets /secrets rw
}

nomad_mount() {  # source, target, ro or rw
  local target
  nomad_expand "$2"
  target=$REPLY
  nomad_expand "$1"
  nomad_outside "$REPLY"
  if [[ $REPLY$target == *[,:]* ]]; then
    nomad_say "task $nomad_task_name: $REPLY cannot be mounted at $target: a colon or comma in a path"
    return 1
  fi
  nomad_mounts+=("$REPLY:$target:$3")
}

nomad_container() {  # what nomad_image and its kin say: sets nomad_command
  local runtime word words=()
  nomad_expand "$nomad_image"
  nomad_image=$REPLY
  nomad_expand "$nomad_container_dir"
  nomad_container_dir=$REPLY
  for runtime in apptainer singularity podman docker; do
    type -P -- "$runtime" >/dev/null && break
    runtime=''
  done
  for word in "${nomad_entrypoint[@]}" "${nomad_container_words[@]}"; do
    nomad_expand "$word"
    words+=("$REPLY")
  done
  case $runtime in
    apptainer | singularity) nomad_with_apptainer "$runtime" "${words[@]}" ;;
    podman | docker) nomad_with_podman "$runtime" "${words[@]}" ;;
    *)
      nomad_say "task $nomad_task_name: no apptainer, singularity, podman or docker on this node"
      return 1
      ;;
  esac
}

nomad_with_apptainer() {  # runtime, words
  local runtime=$1 verb='run' image=$nomad_image mount name prefix=APPTAINERENV_
  shift
  [ "$runtime" = apptainer ] || prefix=SINGULARITYENV_
  [ "${#nomad_entrypoint[@]}" -eq 0 ] || verb='exec'
  case $image in
    *://*) ;;
    /* | ./* | local/* | *.sif) [[ $image == /* ]] || image=$nomad_task_dir/$image ;;
    *) image=docker://$image ;;
  esac
  nomad_from_path "$runtime" && nomad_command+=("$verb" --cleanenv) || return
  [ -z "$nomad_gpus" ] || nomad_command+=(--nv)
  for mount in "${nomad_mounts[@]}"; do
    nomad_command+=(--bind "$mount")
  done
  [ -z "$nomad_container_dir" ] || nomad_command+=(--pwd "$nomad_container_dir")
  nomad_command+=("$image" "$@")
  for name in "${!nomad_exported[@]}"; do
    [[ $name == "$prefix"* ]] || nomad_exported[$prefix$name]=${nomad_exported[$name]}
  done
}

nomad_with_podman() {  # runtime, words
  local runtime=$1 mount name
  shift
  if [[ $nomad_image == *.sif ]]; then
    nomad_say "task $nomad_task_name: $runtime cannot run $nomad_image: apptainer is not on this node"
    return 1
  fi
  nomad_from_path "$runtime" && nomad_command+=(run --rm) || return
  # The container outlives a client that KILL ended: what kills it has to know its id.
  rm -f -- "$nomad_scratch/$n.cid"
  printf '%s\n' "${nomad_command[0]}" >"$nomad_scratch/$n.runtime" || return
  nomad_command+=(--cidfile "$nomad_scratch/$n.cid")
  case $nomad_gpus$runtime in
    yespodman) nomad_command+=(--device nvidia.com/gpu=all) ;;
    yesdocker) nomad_command+=(--gpus all) ;;
  esac
  for mount in "${nomad_mounts[@]}"; do
    nomad_command+=(--volume "$mount")
  done
  for name in "${!nomad_exported[@]}"; do
    nomad_command+=(--env "$name")
  done
  [ -z "$nomad_container_dir" ] || nomad_command+=(--workdir "$nomad_container_dir")
  if [ "${#nomad_entrypoint[@]}" -gt 0 ]; then
    nomad_command+=(--entrypoint "$1" "${nomad_image#docker://}" "${@:2}")
  else
    nomad_command+=("${nomad_image#docker://}" "$@")
  fi
}

nomad_kill_container() {  # number: after a KILL, which the runtime's client cannot pass on
  local runtime id
  { read -r runtime <"$nomad_scratch/$1.runtime" && read -r id <"$nomad_scratch/$1.cid"; } ||
    [ -n "${id-}" ] || return
  "$runtime" kill "$id" >/dev/null
  "$runtime" rm -f "$id" >/dev/null  # --rm is the client's, which is killed, too
} 2>/dev/null
