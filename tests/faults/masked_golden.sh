#!/usr/bin/env bash
# The golden cases on devices that are smaller or odder than the ones at hand: the current lavapipe behind
# VK_LAYER_ITO_faults, one mask after the other, SwiftShader and the distribution's lavapipe.
#   masked_golden.sh BUILD [--filter TEXT]... [--only DEVICE]... [FOLDER]
# FOLDER: of golden cases (tests/golden). --filter: a part of the cases' names; several run one after the other.
# --only: one of the names that `masked_golden.sh BUILD --list` prints. A line each with its count of cases; exit
# status 1 where one failed.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)"
[ $# -gt 0 ] || { echo "usage: masked_golden.sh BUILD [--filter TEXT]... [--only DEVICE]... [--list] [FOLDER]" >&2; exit 2; }
build="$(cd "$1" && pwd)"
shift
small=invocations=128,shared=16384,allocation=268435456,storage_range=134217728,groups=65535,push_constants=128
bare=no_16bit,no_timeline_semaphore,no_memory_model,no_cooperative_matrix,no_subgroup_size_control
bare="$bare,no_subgroup_operations,no_timestamps,no_memory_budget,no_int64,no_8bit"
# NAME MASK, and the vectors' width, from which lavapipe makes its subgroups: 4, 8 or 16 invocations. CPU drivers are
# taken at their word (docs/decisions/0005-lanes-on-cpu-drivers.md), so other sizes are told of GPUs only.
devices=(
  "least|$small,$bare,queues=1,api=1.2|256"
  "small|$small|256"
  "bare|$bare|256"
  "one-queue|queues=1|256"
  "subgroups-of-4|subgroup=4|128"
  "subgroups-of-16|subgroup=16|512"
  "told-32|subgroup=32,no_subgroup_operations,no_subgroup_size_control,type=discrete|256"
  "told-64|subgroup=64,no_subgroup_operations,no_subgroup_size_control,type=discrete|256"
  "told-128|subgroup=128,no_subgroup_operations,no_subgroup_size_control,type=discrete|256"
  "gpu|type=discrete|256"
  "least-gpu|$small,$bare,queues=1,type=discrete|256"
  "integrated-gpu|type=integrated,no_subgroup_arithmetic,no_16bit|256"
  "swiftshader||"
  "system-lavapipe||"
)
filters=() only=" " folder="$root/tests/golden"
while [ $# -gt 0 ]; do
  case "$1" in
    --filter) filters+=("$2"); shift 2 ;;
    --only) only="$only$2 "; shift 2 ;;
    --list) printf '%s\n' "${devices[@]%%|*}"; exit 0 ;;
    *) folder="$1"; shift ;;
  esac
done
[ "${#filters[@]}" -gt 0 ] || filters=("")

# golden COMMAND... : all filters; prints what failed and gives the counts.
run_golden() {
  local filter text status=0
  for filter in "${filters[@]}"; do
    text="$("$@" "$build/tests/ito_golden" "$folder" --filter "$filter" 2>&1)" || status=1
    grep -E '^(FAIL|ERROR)|ito: |error' <<<"$text" || true
    counts+="${counts:+; }$(tail -n 1 <<<"$text")"
  done
  return "$status"
}

failed=0 loaded="$(mktemp)"
trap 'rm -f "$loaded"' EXIT
for device in "${devices[@]}"; do
  IFS='|' read -r name mask width <<<"$device"
  [ "$only" = " " ] || [[ "$only" == *" $name "* ]] || continue
  counts="" begin=$SECONDS status=0
  case "$name" in
    swiftshader | system-lavapipe) run_golden "$root/scripts/with-$name" || status=1 ;;
    *)
      export VK_LAYER_PATH="$build/layers/faults/layer" VK_INSTANCE_LAYERS=VK_LAYER_ITO_faults
      export ITO_FAULTS_MASK="$mask" ITO_FAULTS_COUNT="$loaded" LP_NATIVE_VECTOR_WIDTH="$width"
      : >"$loaded"
      run_golden "$root/scripts/with-lavapipe" || status=1
      # The loader leaves out a layer that it does not find, and says so to nobody.
      [ -s "$loaded" ] || { echo "the layer was not loaded"; status=1; }
      unset VK_LAYER_PATH VK_INSTANCE_LAYERS ITO_FAULTS_MASK ITO_FAULTS_COUNT LP_NATIVE_VECTOR_WIDTH
      ;;
  esac
  [ "$status" = 0 ] || failed=1
  printf '%s: %s (%d s)\n' "$name" "$counts" $((SECONDS - begin))
done
exit "$failed"
