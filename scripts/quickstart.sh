#!/usr/bin/env bash
# From a fresh clone to pictures: sets up, builds, samples the shipped model and trains a little.
#   scripts/quickstart.sh
# Uses a Vulkan GPU where there is one, else the CPU driver of scripts/with-lavapipe; ITO_LAUNCHER,
# set to a command to put before ito (or to nothing), decides otherwise. Writes to quickstart/.
set -euo pipefail
# shellcheck source=lib/common.sh
. "$(dirname "${BASH_SOURCE[0]}")/lib/common.sh"
cd "$ITO_ROOT"

build() {
  cmake --preset release >/dev/null && cmake --build --preset release --parallel "$(nproc)" --target ito
}
program=build/release/apps/ito
data=/usr/share/datasets/fashion-mnist
gpu() { "$program" devices --json 2>/dev/null | grep '"type": ".*GPU"' >/dev/null; }
ito() { ${launcher:+"$launcher"} "$program" "$@"; }

phase "set-up" scripts/setup.sh
phase "build" build
launcher="${ITO_LAUNCHER-$(gpu || echo scripts/with-lavapipe)}"
mkdir -p quickstart
phase "sampling 64 images with the shipped model" \
  ito sample --model models/fashion-mnist --sampler ddim --steps 20 --seeds 0-63 --out quickstart/samples.png
phase "training a new model for 40 steps" \
  ito train --data "$data" --out quickstart/run --steps 40 --batch 32 --channels 16,32,64
note "samples of the shipped model: quickstart/samples.png"
note "the new model and its pictures: quickstart/run"
note "$SECONDS s in all. Next: $program --help"
