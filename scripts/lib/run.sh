# shellcheck shell=bash
# Running a program under a chosen Vulkan driver: common to the with-* scripts. Sourced after common.sh.

# is_elf FILE: whether FILE is an ELF executable.
is_elf() {
  local magic
  [ -f "$1" ] && [ -x "$1" ] && IFS= read -r -n 4 magic <"$1" 2>/dev/null && [ "$magic" = $'\x7fELF' ]
}

# of_the_system FILE: whether it belongs to the distribution rather than to the user.
of_the_system() {
  case "$(readlink -f -- "$1")" in
    /usr/* | /bin/*) ;;
    *) return 1 ;;
  esac
}

# program_position ARGUMENT...: the index of the first argument that is a program of one's own; nothing
# where there is none, or where a script comes first, whose arguments are its own affair.
program_position() {
  local i=0 argument
  for argument in "$@"; do
    if is_elf "$argument" && ! of_the_system "$argument"; then
      echo "$i"
      return
    fi
    [ ! -f "$argument" ] || return 0
    i=$((i + 1))
  done
}

# through_loader ARRAY SELF LAUNCH... -- COMMAND ARGUMENT...: sets ARRAY to the words that run COMMAND
# through a dynamic loader, whose words LAUNCH are (none: the system's own). Where COMMAND is a program of
# the system that starts one of one's own (timeout, nice, gdb...), SELF, the script that brought us here, is
# put before that one instead, and this does not return.
through_loader() {
  local -n words="$1"
  local self launch=() command position=""
  read -ra self <<<"$2"
  shift 2
  while [ "$1" != -- ]; do
    launch+=("$1")
    shift
  done
  shift
  command="$(command -v -- "$1")" || fail "no such command: $1"
  words=("$@")
  [ "${#launch[@]}" -gt 0 ] && is_elf "$command" || return 0
  if of_the_system "$command"; then position="$(program_position "${@:2}")"; fi
  if [ -n "$position" ]; then exec "${@:1:position + 1}" "${self[@]}" "${@:position + 2}"; fi
  words=("${launch[@]}" --argv0 "$1" "$command" "${@:2}")
}

# icd_copy JSON DEST LIBRARY: writes a copy of a driver's or a layer's JSON whose library path is
# LIBRARY, an absolute one.
icd_copy() {
  mkdir -p "$(dirname "$2")"
  sed -E "s|(\"library_path\"[[:space:]]*:[[:space:]]*)\"[^\"]*\"|\1\"$3\"|" "$1" >"$2"
}

# run_validated NAME COMMAND...: runs COMMAND (called NAME in messages) with the validation layers on, and fails when
# they reported an error, whatever COMMAND's own exit status was. ITO_VALIDATION=1: with synchronization validation,
# which has two spellings, that of today's layers and the one before 2024. ITO_VALIDATION=gpu: GPU-assisted validation
# alone, which puts checks around a kernel's accesses to memory; around the first sixteen of each, since a CPU driver's
# compiler takes minutes for kernels of hundreds.
run_validated() {
  local name="$1" dir reader hold status=0
  shift
  dir="$(mktemp -d)"
  if [ "${ITO_VALIDATION:-}" = gpu ]; then
    cat >"$dir/vk_layer_settings.txt" <<END
khronos_validation.validate_core = false
khronos_validation.gpuav_enable = true
khronos_validation.gpuav_debug_max_instrumentations_count = 16
END
  else
    cat >"$dir/vk_layer_settings.txt" <<END
khronos_validation.validate_sync = true
khronos_validation.enables = VK_VALIDATION_FEATURE_ENABLE_SYNCHRONIZATION_VALIDATION_EXT
END
  fi
  cat >>"$dir/vk_layer_settings.txt" <<END
khronos_validation.report_flags = error
khronos_validation.debug_action = VK_DBG_LAYER_ACTION_LOG_MSG
khronos_validation.log_filename = $dir/messages
khronos_validation.enable_message_limit = true
khronos_validation.duplicate_message_limit = 3
END
  # Each instance opens the log anew and would empty a plain file; a pipe keeps what came before.
  mkfifo "$dir/messages"
  # A signal for all (Ctrl-C, timeout, a test) is COMMAND's to answer; this stays to read what it reports.
  trap : TERM
  (trap '' INT TERM && exec cat "$dir/messages") >"$dir/messages.txt" &
  reader=$!
  exec {hold}>"$dir/messages"
  VK_LAYER_SETTINGS_PATH="$dir" VK_INSTANCE_LAYERS="VK_LAYER_KHRONOS_validation${VK_INSTANCE_LAYERS:+:$VK_INSTANCE_LAYERS}" "$@" {hold}>&- || status=$?
  exec {hold}>&-
  wait "$reader"
  if [ -s "$dir/messages.txt" ]; then
    note "Vulkan validation errors in: $name"
    cat "$dir/messages.txt" >&2
    [ "$status" -ne 0 ] || status=1
  fi
  rm -rf "$dir"
  exit "$status"
}
