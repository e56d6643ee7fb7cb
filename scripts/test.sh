#!/usr/bin/env bash
# All tests, from a fresh clone: sets up, builds, runs every test on the current lavapipe under the
# validation layers, compiles plans on the compilers of GPUs that are not there, and runs the portability
# tests on SwiftShader and the distribution's own lavapipe; then what needs no device under the address and
# undefined-behaviour sanitizers, clang-tidy, and mutated files for every reader.
# Tests run side by side, one a core. Where the processor has no AVX-512, of the tests with 512-bit
# vectors a sample runs (cmake/testing.cmake), and the summary says so.
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

sanitized_build() {
  cmake --preset asan >/dev/null && cmake --build --preset asan --parallel "$jobs" \
    --target ito_test_base ito_test_graph ito_test_io ito_test_plots ito_test_statistics ito_test_nn \
    ito_test_diffusion
}

fuzzer_build() {
  cmake --preset fuzz >/dev/null && cmake --build --preset fuzz --parallel "$jobs"
}

drivers() {
  local script
  for script in with-lavapipe with-swiftshader with-system-lavapipe; do
    "scripts/$script" --prepare >/dev/null || return 1
  done
  scripts/with-gpu-compiler --prepare >/dev/null || note "GPU compilers cannot be had here"
  scripts/with-godot --prepare >/dev/null || note "Godot 4 cannot be had here"
  scripts/corpora >/dev/null || note "no corpora: their tests are skipped"
}

# run_tests NAME BUILD_FOLDER CTEST_ARGUMENT...: runs tests and keeps their log as $results/NAME.log.
run_tests() {
  local name="$1" folder="$2" status=0
  shift 2
  ctest --test-dir "$folder" --parallel "$jobs" --output-on-failure --no-tests=error "$@" || status=$?
  cp "$folder/Testing/Temporary/LastTest.log" "$results/$name.log"
  return "$status"
}

phase "set-up" scripts/setup.sh --tests
phase "drivers" drivers
phase "build" configure_and_build
rm -rf "$results"
mkdir -p "$results"
status=0
ITO_VALIDATION=1 phase "tests on the current lavapipe, validated" \
  run_tests lavapipe "$binary" --label-exclude portability || status=1
phase "portability tests on SwiftShader and the distribution's lavapipe" \
  run_tests portability "$binary" --label-regex portability || status=1
phase "clang-tidy" scripts/lint.sh || status=1
phase "build with sanitizers" sanitized_build || status=1
phase "tests without a device, with sanitizers" \
  run_tests sanitized build/asan --label-regex host || status=1
phase "build of the readers' fuzzer" fuzzer_build || status=1
phase "mutated files" scripts/fuzz 60 || status=1
note "$SECONDS s in all; logs in $results"
awk -f scripts/lib/summary.awk "$results"/*.log || status=1
exit "$status"
