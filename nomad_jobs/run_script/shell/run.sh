# shellcheck shell=bash disable=SC2034,SC2154  # a part: names are set and used in the others
# ---- The run: one element of the job, from its facts to its exit code.

nomad_main() {
  case $0 in */*) builtin cd -- "${0%/*}" || exit 126 ;; esac
  nomad_root=$PWD
  if ! nomad_facts; then
    nomad_say "$nomad_root/.nomad/dispatch cannot be read: the run does not know what it is"
    exit 126
  fi
  if [[ ! ${JOBFERRY_ARRAY_INDEX:=0} =~ ^[0-9]+$ ]]; then
    nomad_say "JOBFERRY_ARRAY_INDEX is no number"
    exit 126
  fi
  nomad_index=$((10#$JOBFERRY_ARRAY_INDEX))
  if ! nomad_row; then
    nomad_say "the sweep of the dispatch has no row for element $nomad_index"
    exit 126
  fi
  if ! nomad_allocation_of_element; then
    nomad_say "the allocation has no id: neither aws-job-allocation.json nor .nomad/dispatch has one"
    exit 126
  fi
  nomad_attributes
  if ! nomad_choose; then
    nomad_say "$nomad_root: the folders of the allocation cannot be made ready"
    exit 126
  fi
  nomad_supervise
  exit "$nomad_code"
}
