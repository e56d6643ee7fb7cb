#!/usr/bin/env bash
# All tests, from a fresh clone: sets up, builds, runs every test on the current lavapipe under the
# validation layers, and the portability tests on SwiftShader and the distribution's own lavapipe.
#   scripts/test.sh
# Ends with what was skipped and why, what failed, and one line of totals. Exit status 0 only when
# nothing failed.
# shellcheck disable=SC2317 # the functions are called through phase
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$ITO_ROOT"

jobs="$(nproc)"
binary=build/release
results="$binary/test-results"

configure_and_build() {
  cmake --preset ci >/dev/null && cmake --build --preset ci --parallel "$jobs"
}

drivers() {
  local script
  for script in with-lavapipe with-swiftshader with-system-lavapipe; do
    "scripts/$script" --prepare >/dev/null || return 1
  done
}

# run_tests NAME CTEST_ARGUMENT...: runs tests and keeps their log as $results/NAME.log.
run_tests() {
  local name="$1" status=0
  shift
  ctest --test-dir "$binary" --parallel "$jobs" --output-on-failure --no-tests=error "$@" || status=$?
  cp "$binary/Testing/Temporary/LastTest.log" "$results/$name.log"
  return "$status"
}

phase "set-up" scripts/setup.sh
phase "drivers" drivers
phase "build" configure_and_build
rm -rf "$results"
mkdir -p "$results"
status=0
ITO_VALIDATION=1 phase "tests on the current lavapipe, validated" \
  run_tests lavapipe --label-exclude portability || status=1
phase "portability tests on SwiftShader and the distribution's lavapipe" \
  run_tests portability --label-regex portability || status=1
note "$SECONDS s in all; logs in $results"
awk -f scripts/lib/summary.awk "$results"/*.log || status=1
exit "$status"
