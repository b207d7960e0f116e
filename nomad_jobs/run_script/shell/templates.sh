# shellcheck shell=bash disable=SC2034,SC2154  # a part: names are set and used in the others
# ---- Templates: what the renderer compiled, and the variables of those with `env = true`.

nomad_text=''

nomad_action() {  # function, its argument, its default or layout, then filters: adds to nomad_text
  local LC_ALL=C filter
  case $1 in
    env) REPLY='' && nomad_template_env "$2" ;;
    envOrDefault) REPLY='' && nomad_template_env "$2" && [ -n "$REPLY" ] || REPLY=$3 ;;
    mustEnv)
      nomad_template_env "$2" || {
        nomad_say "task $nomad_task_name: a template needs the variable $2, which is not set"
        return 1
      }
      ;;
    timestamp)
      # shellcheck disable=SC2059  # a layout that the renderer wrote
      TZ=UTC printf -v REPLY "$3" -1
      ;;
    literal) REPLY=$2 ;;
  esac
  shift 3
  for filter; do
    nomad_filter "$filter" || return
  done
  nomad_text+=$REPLY
}

nomad_template_env() {
  REPLY=''
  [[ ${nomad_exported[$1]+set} ]] && REPLY=${nomad_exported[$1]} && return
  [[ ${nomad_inherited[$1]+set} ]] && REPLY=${nomad_inherited[$1]}
}

nomad_filter() {  # name: changes REPLY
  local blank=$'[ \t\n\v\f\r]'
  case $1 in
    trimSpace)
      while [[ $REPLY == $blank* ]]; do REPLY=${REPLY#?}; done
      while [[ $REPLY == *$blank ]]; do REPLY=${REPLY%?}; done
      return
      ;;
  esac
  if [[ $REPLY == *[!$'\001'-$'\177']* ]]; then
    nomad_say "task $nomad_task_name: $1 in a template takes ASCII only"
    return 1
  fi
  case $1 in
    toUpper) REPLY=${REPLY^^} ;;
    toLower) REPLY=${REPLY,,} ;;
  esac
}

nomad_source() {  # path, left delimiter: reads a template that came with the job into nomad_text
  local LC_ALL=C
  nomad_expand "$1"
  nomad_place "$REPLY" || return
  if ! [ -f "$REPLY" ] || ! [ -r "$REPLY" ]; then
    nomad_say "task $nomad_task_name: the template's source $1 is not there"
    return 1
  fi
  nomad_text=''
  if IFS= read -r -d '' nomad_text <"$REPLY"; then
    nomad_say "task $nomad_task_name: the template's source $1 is no text: it has NUL bytes"
    return 1
  fi
  [[ $nomad_text != *"$2"* ]] && return
  nomad_say "task $nomad_task_name: the template's source $1 has actions ($2): write them as data"
  return 1
}

nomad_template_variables() {  # nomad_text: NAME=value lines, as Nomad reads them
  local LC_ALL=C line name value rest=$nomad_text$'\n' number=0
  while [ -n "$rest" ]; do
    line=${rest%%$'\n'*}
    rest=${rest#*$'\n'}
    number=$((number + 1))
    REPLY=$line && nomad_filter trimSpace && line=$REPLY
    case $line in '' | '#'*) continue ;; esac
    line=${line#export }
    name=${line%%=*}
    if [[ $line != *=* || ! $name =~ ^[A-Za-z_][A-Za-z0-9_.-]*$ ]]; then
      nomad_say "task $nomad_task_name: line $number of a template with env = true is no NAME=value"
      return 1
    fi
    nomad_unquote "${line#*=}" "$number" || return
    value=$REPLY
    nomad_set "$name" "$value"
  done
}

nomad_unquote() {  # value, line number: sets REPLY
  local text=$1 out='' char
  REPLY=$text
  case $text in
    \'*\') [ "${#text}" -gt 1 ] && REPLY=${text:1:${#text}-2} && [[ $REPLY != *\'* ]] && return ;;
    \"*\")
      text=${text:1}
      while [ -n "$text" ]; do
        char=${text:0:1}
        text=${text:1}
        case $char in
          \")
            REPLY=$out
            [ -z "$text" ] && return
            break
            ;;
          \\)
            char=${text:0:1}
            text=${text:1}
            case $char in
              n) out+=$'\n' ;;
              r) out+=$'\r' ;;
              t) out+=$'\t' ;;
              \" | \\ | / | \' | \$) out+=$char ;;
              *) break ;;
            esac
            ;;
          *) out+=$char ;;
        esac
      done
      ;;
    *[\'\"]*) ;;
    *' #'*) REPLY=${text%%' #'*} && nomad_filter trimSpace && return ;;
    *) return ;;
  esac
  nomad_say "task $nomad_task_name: line $2 of a template with env = true has quotes that do not fit"
  return 1
}
