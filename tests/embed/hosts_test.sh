#!/usr/bin/env bash
# Runs a host that embeds Ito, on lavapipe under the validation layers:
#   tests/embed/hosts_test.sh NAME PROGRAM ITO
# and fails unless its image is that of `ito sample` byte for byte, its other pixels are as without Ito, and
# the layers were silent. Drivers keep what they compiled in a folder of its own: Mesa's cache does not tell
# vectors of 256 bits from those of 512, with which lavapipe cannot draw triangles.
set -euo pipefail
# shellcheck source=../../scripts/lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/../../scripts/lib/common.sh"
name="$1" program="$2" ito="$3"
launcher="$ITO_ROOT/scripts/with-lavapipe"
model="$ITO_ROOT/models/fashion-mnist"
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
mkdir -p "$ITO_CACHE/hosts/mesa"
export LP_NATIVE_VECTOR_WIDTH=256 MESA_SHADER_CACHE_DIR="$ITO_CACHE/hosts/mesa"

# sampled SEED: the PNG of `ito sample` with this seed, class 7 and 4 steps of ddim.
sampled() {
  [ -e "$work/ito" ] || "$launcher" "$ito" sample --model "$model" --sampler ddim --steps 4 --class 7 \
    --seeds 7-8 --out "$work/ito" >/dev/null
  printf '%s/ito/%06d.png' "$work" "$1"
}
validated() { ITO_VALIDATION=1 "$launcher" "$@"; }
settings=(--sampler ddim --steps 4 --class 7 --seed 7 --cache "$ITO_CACHE/hosts/ito")

frame_loop() {
  local frames
  mkdir "$work/with" "$work/without"
  validated "$program" "$model" "${settings[@]}" --images 2 --budget-us 20000 --frame-ms 0 --out "$work/with" \
    --compare "$(sampled 8)" | tee "$work/log" | tail -n 8
  frames="$(sed -nE 's/^frames: 0 of ([0-9]+) differ.*/\1/p' "$work/log")"
  validated "$program" --without "$(sampled 8)" --frames "$frames" --frame-ms 0 --out "$work/without" | tail -n 1
  cmp "$work/with/frame.png" "$work/without/frame.png"
  ITO_VALIDATION=1 xvfb-run -a "$launcher" "$program" "$model" "${settings[@]}" --window --frames 30 \
    --budget-us 20000 | tail -n 1
}

"$name"
