# shellcheck shell=bash
# What every script here shares: where the cache is, progress lines, retries, and putting a folder
# into place so that a killed run leaves nothing half done. Sourced, never run.
# Not for: anything that knows a package or a driver by name (debian.sh, third_party/, with-*).

ITO_ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
ITO_CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/ito"
export ITO_ROOT ITO_CACHE

# note TEXT...: one progress line, on stderr so that a wrapped command's output stays its own.
note() { printf 'ito: %s\n' "$*" >&2; }

# fail TEXT...: one sentence, then out.
fail() {
  printf 'ito: error: %s\n' "$*" >&2
  exit 1
}

# retry CMD...: up to four attempts, 2, 4 and 8 seconds apart. Of a failed attempt it shows the first
# lines of output, of a successful one nothing.
retry() {
  local pause output
  for pause in 2 4 8 0; do
    output="$("$@" 2>&1)" && return 0
    printf '%s\n' "$output" | head -n 3 >&2 || true
    if [ "$pause" -gt 0 ]; then
      note "$(basename "$1") did not succeed; trying again in ${pause} s"
      sleep "$pause"
    fi
  done
  return 1
}

# into_place DEST FUNCTION [ARG...]: makes the folder DEST once. FUNCTION is called with a fresh
# folder beside DEST to fill; only when it succeeds is that folder renamed to DEST, so DEST is either
# complete or absent. A lock makes a second run wait for the first instead of repeating its work.
# Call it as a plain command, never in a condition: there bash ignores `set -e`, on which FUNCTION
# relies.
into_place() {
  local dest="$1" build="$2" staging status=0
  shift 2
  [ -d "$dest" ] && return 0
  mkdir -p "$(dirname "$dest")"
  exec {lock_fd}>"$dest.lock"
  if ! flock --nonblock "$lock_fd"; then
    note "waiting for another run to finish $(basename "$dest")"
    flock "$lock_fd"
  fi
  if [ ! -d "$dest" ]; then
    rm -rf "$dest".partial.*
    staging="$dest.partial.$$"
    mkdir "$staging"
    set +e
    (set -e; "$build" "$staging" "$@")
    status=$?
    set -e
    if [ "$status" -eq 0 ]; then
      mv -T "$staging" "$dest"
    else
      rm -rf "$staging"
    fi
  fi
  exec {lock_fd}>&-
  return "$status"
}

# phase TITLE CMD...: runs one step of a longer script and says how long it took.
phase() {
  local title="$1" start=$SECONDS status=0
  shift
  note "== $title"
  "$@" || status=$?
  note "== $title: $((SECONDS - start)) s$([ "$status" -eq 0 ] || echo ", FAILED")"
  return "$status"
}
