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
# The hosts run under the layers, what they are compared with need not.
export ITO_VALIDATION=0 LP_NATIVE_VECTOR_WIDTH=256 MESA_SHADER_CACHE_DIR="$ITO_CACHE/hosts/mesa"

# sampled SEED: the PNG of `ito sample` with this seed, class 7 and 4 steps of ddim.
sampled() {
  [ -e "$work/ito" ] || "$launcher" "$ito" sample --model "$model" --sampler ddim --steps 4 --class 7 \
    --seeds 7-8 --out "$work/ito" >/dev/null
  printf '%s/ito/%06d.png' "$work" "$1"
}
validated() { ITO_VALIDATION=1 "$launcher" "$@"; }
settings=(--sampler ddim --steps 4 --class 7 --seed 7 --cache "$ITO_CACHE/hosts/ito")
command -v xvfb-run >/dev/null || {
  echo "skipped: packages are missing: xvfb, xauth"
  exit 0
}

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

# A model, by hand; then a run that trains on while it is looked at, whose newer weights draw (which of them,
# if it writes some more than once, is a matter of time: that image is compared with none).
view() {
  local view=(xvfb-run -a -s "-screen 0 1280x800x24" "$launcher" "$program") run="$work/run" viewer
  local train=("$launcher" "$ito" train --data /usr/share/datasets/fashion-mnist --out "$run" --batch 4
    --channels 8 16 --validate 0 --checkpoint-every 2 --sample-every 2 --steps)
  "$program" --help | grep -q '^ito view MODEL'
  sampled 8 >/dev/null
  ITO_VALIDATION=1 "${view[@]}" "$model" "${settings[@]}" --budget-us 20000 --do wait --do seed=8 --do look=2 \
    --do wait --do compare="$(sampled 8)" --do steps=3 --do wait --do steps=4 --do wait \
    --do compare="$(sampled 8)" --frames 2 --screenshot "$work/model.png"
  "${train[@]}" 2 >/dev/null
  ITO_VALIDATION=1 "${view[@]}" "$run" "${settings[@]}" --budget-us 20000 --do wait --do shot="$work/before.png" \
    --do weights --do file="$work/trained" --frames 70 \
    --screenshot "$work/after.png" &
  viewer=$!
  while [ ! -e "$work/before.png" ] && kill -0 "$viewer" 2>/dev/null; do sleep 0.2; done
  "${train[@]}" 4 >/dev/null
  touch "$work/trained"
  wait "$viewer"
}

# Qt 6.4 has reports of the layers of its own: none may be there that is not there without Ito.
qt_quick() {
  local qt=(xvfb-run -a -s "-screen 0 1280x800x24" "$launcher" "$program") reports
  sampled 8 >/dev/null
  reported() { grep -oE '^Validation (Error|Warning): \[ [^]]* \]' "$1" | sort -u; }
  ITO_VALIDATION=1 "${qt[@]}" --without "$(sampled 8)" --shot "$work/without.png" >"$work/without.log" 2>&1 ||
    grep -q '^Validation' "$work/without.log"
  ITO_VALIDATION=1 "${qt[@]}" "$model" "${settings[@]}" --seed 8 --budget-us 20000 --shot "$work/with.png" \
    --compare "$(sampled 8)" >"$work/with.log" 2>&1 || true
  grep -E '^(picture|[0-9]+ frames)' "$work/with.log"
  grep -q '^picture equals' "$work/with.log"
  cmp "$work/with.png" "$work/without.png"
  reports="$(comm -13 <(reported "$work/without.log") <(reported "$work/with.log"))"
  [ -z "$reports" ] || { cat "$work/with.log"; fail "the layers report only with Ito: $reports"; }
}

# Program and engine on the engine's own driver.
godot() {
  local folder project
  folder="$("$ITO_ROOT/scripts/with-godot" --prepare)"
  project="$(dirname "$(dirname "$program")")"
  # What the engine keeps for its user goes there too.
  export MESA_SHADER_CACHE_DIR="$ITO_CACHE/hosts/mesa-godot"
  export XDG_DATA_HOME="$ITO_CACHE/hosts/godot" XDG_CONFIG_HOME="$ITO_CACHE/hosts/godot"
  mkdir -p "$MESA_SHADER_CACHE_DIR" "$XDG_DATA_HOME"
  (
    # shellcheck disable=SC1091
    . "$folder/env.sh"
    VK_DRIVER_FILES="$folder/lavapipe.json" "$loader" --library-path "$libraries" "$ito" sample --model "$model" \
      --sampler ddim --steps 4 --class 7 --seeds 7-8 --out "$work/ito" >/dev/null
  )
  engine() {
    ITO_VALIDATION=1 xvfb-run -a -s "-screen 0 1280x800x24" "$ITO_ROOT/scripts/with-godot" --path "$project" \
      --audio-driver Dummy --rendering-driver vulkan -- "$@"
  }
  engine --without "$(sampled 8)" --shot "$work/without.png" | tail -n 1
  engine "$model" "${settings[@]}" --seed 8 --budget-us 20000 --shot "$work/with.png" --compare "$(sampled 8)" |
    tail -n 2
  cmp "$work/with.png" "$work/without.png"
}

"$name"
