#!/usr/bin/env bash
# Several ranks against one process, bit for bit, on the CPU driver:
#   tests/ranks_test.sh ITO openmpi|mpich|devices [STEPS [KILLS]]
# Trains a tiny network (with dropout, mirrored images, left-out classes, clipping and two averages) in one process,
# then on 2 and on 4 ranks, started by the MPI named or by --devices; kills runs at random moments and goes on with
# them on another number of ranks; kills one rank; asks one rank to stop. In fp16, stopped early, sampling and judging: devices only.
# Everything must end with the bytes of one process. Prints a line for each, and at last the seconds.
# What cannot be had is skipped, saying why.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
ito="$1" kind="$2" steps="${3:-6}" kills="${4:-1}"
skip() { echo "skipped: $*"; exit 0; }
fail() { echo "failed: $*" >&2; exit 1; }

case "$kind" in
  openmpi)
    command -v mpirun.openmpi >/dev/null || skip "no Open MPI here (Debian: openmpi-bin, libopenmpi-dev)"
    # Its own copies between processes need ptrace, which containers often forbid; and a second is little for a checkpoint.
    launch() { local n="$1"; shift
      OMPI_MCA_btl_vader_single_copy_mechanism=none OMPI_MCA_odls_base_sigkill_timeout=5 \
        mpirun.openmpi --allow-run-as-root --oversubscribe --bind-to none -n "$n" "$@"; } ;;
  mpich)
    command -v mpiexec.hydra >/dev/null || skip "no MPICH here (Debian: mpich, libmpich-dev)"
    launch() { local n="$1"; shift; mpiexec.hydra -n "$n" "$@"; } ;;
  devices) ;;
  *) fail "unknown kind $kind" ;;
esac
if [ "$kind" != devices ] && [ ! -e "$(dirname "$ito")/libito-mpi-$kind.so" ]; then
  skip "ito was built without the adapter to $kind"
fi

# Ranks are sent signals by their numbers, and with the layers a shell would stand between.
export ITO_VALIDATION=0
work="$(mktemp -d)"
job=""
leave() { # ends a run that a failure left behind
  if [ -n "$job" ] && kill -0 "$job" 2>/dev/null; then
    mapfile -t running < <(pgrep -P "$job"; echo "$job")
    kill "${running[@]}" 2>/dev/null || true
    wait "$job" 2>/dev/null || true
  fi
  rm -rf "$work"; }
trap leave EXIT
begun=$SECONDS

# 64 of Fashion-MNIST's images.
mkdir "$work/data"
source_of() { find /usr/share/datasets/fashion-mnist -name "train-$1*" | head -n 1; }
images="$(source_of images)" labels="$(source_of labels)"
[ -n "$images" ] || skip "no Fashion-MNIST here (Debian: dataset-fashion-mnist)"
{ printf '\0\0\010\003\0\0\0\100\0\0\0\034\0\0\0\034'
  { zcat "$images" 2>/dev/null | tail -c +17 || true; } | head -c $((64 * 784)); } >"$work/data/train-images-idx3-ubyte"
{ printf '\0\0\010\001\0\0\0\100'
  { zcat "$labels" 2>/dev/null | tail -c +9 || true; } | head -c 64; } >"$work/data/train-labels-idx1-ubyte"

for part in images-idx3 labels-idx1; do cp "$work/data/train-$part-ubyte" "$work/data/t10k-$part-ubyte"; done

# shellcheck disable=SC2054 # lists are of ito, not of the shell
options=(--data "$work/data" --resize 8 --channels 8,16 --layers-per-block 1 --batch 16 --log-every 1
  --warmup 2 --dropout 0.1 --flip --class-dropout 0.2 --clip 0.5 --ema 0.9,0.99 --keep 100)

# ranks N COMMAND...: ito by N ranks; `alone`: one process as people start it.
ranks() { local n="$1" list; shift
  if [ "$n" = alone ]; then
    "$root/scripts/with-lavapipe" "$ito" "$@"
  elif [ "$kind" = devices ]; then
    list="$(seq -s, 1 "$n" | sed 's/[0-9]\+/0/g')"
    "$root/scripts/with-lavapipe" "$ito" "$@" --devices "$list"
  else
    # shellcheck disable=SC2016 # for the shell of each rank
    launch "$n" sh -c 'echo $$ >"$0/pid.${OMPI_COMM_WORLD_RANK:-$PMI_RANK}"; exec "$@"' "$work" \
      "$root/scripts/with-lavapipe" "$ito" "$@"
  fi; }
# train N RUN STEPS...
train() { local n="$1" out="$2" to="$3"; shift 3; ranks "$n" train "${options[@]}" --out "$work/$out" --steps "$to" "$@"; }
# pid_of RANK SHELL: of a job that SHELL, which this one began, started; `alone` is rank 0.
pid_of() { local first
  if [ "$kind" != devices ] && [ "$3" != alone ]; then cat "$work/pid.$1" 2>/dev/null; return; fi
  first="$(pgrep -P "$2" | head -n 1)"
  if [ "$1" = 0 ]; then echo "$first"; else pgrep -P "$first" | sed -n "$1p"; fi; }
same() { # same RUN STEP WHAT [ALONE]: the whole state at a step, and that of the run ALONE
  cmp "$work/${4:-alone}/checkpoint-$2/state.safetensors" "$work/$1/checkpoint-$2/state.safetensors" ||
    fail "$3: the state after $2 steps differs from one process's"
  echo "$3: the state after $2 steps is one process's"; }
newest() { [ ! -d "$work/$1" ] || find "$work/$1" -maxdepth 1 -name 'checkpoint-*' ! -name '*.tmp' 2>/dev/null | sed 's/.*-//' | sort -n | tail -n 1; }

train alone alone "$steps" --microbatch 2 --checkpoint-every 1 >/dev/null 2>"$work/log" || fail "one process: $(cat "$work/log")"
for n in 1 2 4; do
  [ "$n" != 1 ] || [ "$kind" = devices ] || continue # one rank is tested once
  train "$n" "ranks-$n" "$steps" --checkpoint-every 1000000 --json >"$work/out" 2>"$work/log" || fail "$n ranks: $(cat "$work/log")"
  same "ranks-$n" "$steps" "$n ranks"
  sed -n 's/.*"\(rank_[a-z_]*\)": \([0-9.e-]*\).*/  \1 \2/p' "$work/out"
done

# Steps whose gradient is not finite are left out by all, and the scale is everybody's.
if [ "$kind" = devices ]; then
  for n in alone 4; do
    train "$n" "half-$n" 6 --precision fp16 --objective vlb --microbatch 2 --checkpoint-every 1000000 --json >"$work/out" \
      2>"$work/log" || fail "fp16 by $n: $(cat "$work/log")"
    [ "$n" = alone ] || same "half-$n" 6 "$n ranks in fp16" half-alone
  done
  skipped="$(sed -n 's/.*"skipped_steps": \([0-9]*\).*/\1/p' "$work/out")"
  { [ "$skipped" -gt 0 ] && [ "$skipped" -lt 6 ]; } || fail "of 6 steps in fp16 $skipped are left out: nothing is tried"
  echo "  of them $skipped were left out"
  if train 2 refused 6 --accumulate 2 >"$work/out" 2>"$work/log"; then fail "ranks take --accumulate"; fi
  [ "$(grep '^ito: ' "$work/log" | cut -c 1-49)" = "ito: --accumulate 2 has no meaning among ranks: -" ] ||
    fail "of --accumulate ranks say: $(cat "$work/log")"
fi

# begin N RUN STEPS: starts a run in the background as $job, and waits until it has a checkpoint of its own.
begin() { local n="$1" out="$2" to="$3" before
  before="$(newest "$out" || true)"
  rm -f "$work"/pid.*
  train "$n" "$out" "$to" --checkpoint-every 1 >"$work/out" 2>"$work/log" &
  job=$!
  for _ in $(seq 3000); do
    [ "$(newest "$out" || true)" = "$before" ] || return 0
    kill -0 "$job" 2>/dev/null || return 0
    sleep 0.1
  done
  fail "$n ranks had no checkpoint after 300 s: $(cat "$work/log")"; }

# Killed again and again, all of it or one rank, each time on another number of ranks; every third time in its first
# second, else within a second from a checkpoint on.
numbers=(4 2 alone 1 2 4)
[ "$kind" = devices ] || numbers=(4 2 alone 2)
for k in $(seq "$kills"); do
  n="${numbers[$(((k - 1) % ${#numbers[@]}))]}"
  size="$n"; [ "$n" != alone ] || size=1
  rank=$((RANDOM % size))
  if [ $((k % 3)) = 0 ]; then
    rm -f "$work"/pid.*
    train "$n" killed 100000 --checkpoint-every 1 >"$work/out" 2>"$work/log" &
    job=$!
  else
    begin "$n" killed 100000
  fi
  sleep "0.$((RANDOM % 10))"
  until victim="$(pid_of "$rank" "$job" "$n")" && [ -n "$victim" ] && kill -KILL "$victim" 2>/dev/null; do
    kill -0 "$job" 2>/dev/null || fail "a run of $n ranks ended by itself: $(cat "$work/log")"
  done
  at=$SECONDS
  if wait "$job" 2>/dev/null; then fail "a run of $n ranks that lost one ended well"; fi
  [ $((SECONDS - at)) -le 30 ] || fail "$n ranks took $((SECONDS - at)) s to end behind one that was killed"
done
last="$(newest killed)"
[ -n "$last" ] || fail "no run that was killed had a checkpoint: $(cat "$work/log")"
reached="$steps"; [ "$last" -lt "$steps" ] || reached=$((last + 2))
train 2 killed "$reached" --checkpoint-every 1000000 >/dev/null 2>"$work/log" || fail "going on: $(cat "$work/log")"
train alone alone "$reached" --checkpoint-every 1000000 >/dev/null 2>"$work/log" || fail "going on: $(cat "$work/log")"
same killed "$reached" "$kills kills, gone on with by other numbers of ranks"
left="$(find "$work/killed" -name '*.tmp')"
[ -z "$left" ] || fail "something was left lying about: $left"

# One clear error of a rank that is lost.
begin 2 lost 100000
kill -KILL "$(pid_of 1 "$job" 2)"
at=$SECONDS
if wait "$job"; then fail "a run that lost a rank ended well"; fi
[ $((SECONDS - at)) -le 30 ] || fail "it took $((SECONDS - at)) s to end behind a rank that was killed"
if [ "$kind" = devices ]; then
  [ "$(grep -c '^ito: ' "$work/log")" = 1 ] || fail "a lost rank is no one error: $(cat "$work/log")"
  grep -q '^ito: rank 1 (process [0-9]*) was ended by signal 9 .* is whole' "$work/log" || fail "of a lost rank it says: $(cat "$work/log")"
  grep '^ito: ' "$work/log"
fi
echo "a lost rank ended the others within $((SECONDS - at)) s; the newest checkpoint is of step $(newest lost)"

# One rank is asked to stop while kernels are made, which its driver's memory shows: none are waited for.
if [ "$kind" = devices ]; then
  "$root/scripts/with-lavapipe" env XDG_CACHE_HOME="$work/no-cache" "$ito" train "${options[@]}" --out "$work/early" --devices 0,0 \
    >"$work/out" 2>"$work/log" &
  job=$!
  for _ in $(seq 600); do
    victim="$(pgrep -P "$job" | head -n 1 || true)"
    if [ -n "$victim" ] && grep -q libvulkan_lvp "/proc/$victim/maps" 2>/dev/null; then break; fi
    sleep 0.02
  done
  kill -INT "$victim"
  status=0; wait "$job" || status=$?
  [ "$status" = 130 ] || fail "ranks that were stopped while kernels are made end with $status: $(cat "$work/out" "$work/log")"
  [ "$(grep -c '^ito: ' "$work/log")" = 1 ] || fail "ranks that were stopped early say: $(cat "$work/log")"
  grep '^ito: ' "$work/log"
fi

# One rank is asked to stop: all do, at one step, with a checkpoint.
begin 2 stopped 100000
kill -INT "$(pid_of 1 "$job" 2)"
wait "$job" || fail "a stopped run did not end well: $(cat "$work/log")"
grep -q 'stopped and saved at step' "$work/out" || fail "a stopped run says: $(cat "$work/out" "$work/log")"
cat "$work/out"

if [ "$kind" = devices ]; then
  draw() { local n="$1" out="$2"; shift 2
    ranks "$n" sample --model "$work/alone" --sampler ddim --steps 3 --num 10 --batch 4 --out "$work/$out" "$@" >/dev/null 2>"$work/log" ||
      fail "ito sample by $n: $(cat "$work/log")"; }
  for form in .png .npz /; do
    draw alone "one$form"; draw 3 "three$form"
    diff -r "$work/one$form" "$work/three$form" || fail "ito sample by 3 ranks: $form differs"
  done
  for n in alone 2; do
    draw "$n" "shards-$n" --form tar --images-per-file 4
  done
  diff -r --exclude 'manifest-*' "$work/shards-alone" "$work/shards-2" || fail "ito sample by 2 ranks: archives differ"
  echo "what 2 and 3 ranks sample is one process's: a grid, numbers, pictures, archives"
  ranks 2 train --classifier --data "$work/data" --resize 8 --channels 8 --batch 16 --steps 2 --out "$work/judge" >/dev/null 2>"$work/log" ||
    fail "a classifier by 2 ranks: $(cat "$work/log")"
  for n in alone 2; do
    ranks "$n" evaluate --model "m=$work/alone" --sampler "ddim --steps 3" --classifier "$work/judge" --data "$work/data" --resize 8 \
      --num 10 --batch 4 --reference 20 --blocks 2 --likelihood 6 --likelihood-tolerance 0.1 --out "$work/table-$n.md" \
      >/dev/null 2>"$work/log" || fail "ito evaluate by $n: $(cat "$work/log")"
    sed -i 's/"seconds": [0-9.e-]*/"seconds": 0/' "$work/table-$n.json"
  done
  cmp "$work/table-alone.json" "$work/table-2.json" || fail "ito evaluate by 2 ranks differs"
  echo "what 2 ranks evaluate is one process's"
fi
echo "$kind: $((SECONDS - begun)) s"
