#!/usr/bin/env bash
# Compiles plans with the compilers of GPUs that are not there (scripts/with-gpu-compiler), and fails where one
# refuses a kernel or spills registers:
#   tests/gpu_compilers_test.sh ITO [TARGET...]
# Prints a line a plan and target: dispatches, kernels, spills, the share of multiply-adds in the main loops of
# the kernels that have 32 of them or more, the middle one and the lowest; and how many kernels multiply matrices,
# with their matrix instructions for each load in the main loop, the middle one and the best. A plan that multiplies in 16 bits
# fails where a target with matrix units does not use them, or its best kernel less often than its bar says. Targets that cannot be
# had are named and skipped. Nothing runs, so nothing here says that results are right: the tests on CPU drivers do.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
ito="$1"
shift
wanted=("$@")
[ "${#wanted[@]}" -gt 0 ] || wanted=(amd-navi21 amd-navi31 amd-gfx1201 intel-dg2 intel-bmg nvidia-134 nvidia-172)
mapfile -t offered < <("$root/scripts/with-gpu-compiler" --prepare)

# Shapes: the default training; that of google/ddpm-cifar10-32, trained and sampled from; a conditional U-Net's gradients.
cifar=(--channels 128,256,256,256 --layers-per-block 2 --norm-groups 32 --image-size 32 --image-channels 3)
plans=(
  "default-train --plan train --batch 32"
  "cifar10-train --plan train --batch 16 ${cifar[*]}"
  "cifar10-train-fp16 --plan train --batch 16 ${cifar[*]} --precision fp16"
  "cifar10-sample --plan sample --batch 16 ${cifar[*]}"
  "conditional-gradients --plan forward --grad --batch 2 $root/tests/golden/unet/cond_guidance_embedding"
  "fashion-mnist-sample --plan sample --batch 16 $root/models/fashion-mnist"
  "fashion-mnist-ve-sample --plan sample --batch 16 $root/models/fashion-mnist-ve --sampler em"
  "fashion-mnist-fp16 --plan sample --batch 16 $root/models/fashion-mnist --precision fp16"
)
# Matrix instructions for each load, at least, of the best of the kernels that the fp16 plan multiplies matrices with:
# of the targets whose driver has them, about what this small network reaches now; large contractions reach 0.67 on navi31.
# (RADV of Mesa 25.0 has none for RDNA 4, NVK 25.0 none at all. On Intel a load brings a part of a fragment only:
# docs/decisions/0012-multiplying-in-16-bits.md.)
# Dispatches of a plan, at most.
declare -A most_dispatches=([cifar10-train]=500 [cifar10-sample]=250)
declare -A matrix_bar=([amd-navi31]=0.35 [intel-dg2]=0.15 [intel-bmg]=0.25)

# report: the numbers of a line, from the JSON on standard input; kernels that spill go to standard error.
report() {
  python3 -c '
import json, sys
r = json.load(sys.stdin)
loops = [k for k in r["kernels"] if k["main_loop"] and k["main_loop"]["multiply_adds"] >= 32]
shares = sorted(k["main_loop_fma_share"] for k in loops)
matrices = sorted(k["main_loop_matrix_per_load"] for k in r["kernels"]
                  if k["main_loop"] and k["main_loop"]["matrix_instructions"])
spills = r["spills"]
print(r["dispatches"], len(r["kernels"]), "?" if spills is None else int(spills),
      "%.0f" % (100 * shares[len(shares) // 2]) if shares else "-",
      "%.0f" % (100 * shares[0]) if shares else "-",
      len(matrices), *("%.2f" % x for x in (matrices[len(matrices) // 2], matrices[-1])) if matrices else "--")
for k in r["kernels"]:
    if k["spills"]: print("spills", int(k["spills"]), k["name"], file=sys.stderr)
'
}

status=0
printf '%-26s %-12s %10s %8s %7s %14s %9s %9s\n' plan target dispatches kernels spills "fma % mid/low" \
  matrices "per load"
for target in "${wanted[@]}"; do
  if [[ " ${offered[*]} " != *" $target "* ]]; then
    echo "SKIP $target: its compiler cannot be had here"
    continue
  fi
  for plan in "${plans[@]}"; do
    read -ra words <<<"$plan"
    if ! line="$("$root/scripts/with-gpu-compiler" "$target" "$ito" inspect "${words[@]:1}" --statistics --json 2>/tmp/gpu-compilers.$$ | report 2>>/tmp/gpu-compilers.$$)"; then
      if grep -q "has no 16-bit floats" "/tmp/gpu-compilers.$$"; then
        echo "SKIP ${words[0]} on $target: the driver has no 16-bit floats"
        continue
      fi
      echo "FAIL ${words[0]} on $target"
      cat "/tmp/gpu-compilers.$$"
      status=1
      continue
    fi
    read -r dispatches kernels spills middle least matrices usual best <<<"$line"
    printf '%-26s %-12s %10s %8s %7s %11s/%-2s %9s %4s/%s\n' "${words[0]}" "$target" "$dispatches" "$kernels" \
      "$spills" "$middle" "$least" "$matrices" "$usual" "$best"
    if [ "$dispatches" -gt "${most_dispatches[${words[0]}]:-$dispatches}" ]; then
      echo "FAIL ${words[0]} on $target: $dispatches dispatches, ${most_dispatches[${words[0]}]} are the most"
      status=1
    fi
    if [ "$spills" != 0 ]; then
      echo "FAIL ${words[0]} on $target: registers spill"
      status=1
    fi
    bar="${matrix_bar[$target]:-}"
    if [[ "${words[0]}" = *-fp16 && -n "$bar" ]] &&
      { [ "$matrices" = 0 ] || ! awk "BEGIN { exit !($best >= $bar) }"; }; then
      echo "FAIL ${words[0]} on $target: $matrices kernels multiply matrices, $best for each load; at least $bar"
      status=1
    fi
  done
done
rm -f "/tmp/gpu-compilers.$$"
exit "$status"
