#!/usr/bin/env python3
"""The project's bars, as one table: what is asked at least, what is aimed at, what is measured here.

    LP_NATIVE_VECTOR_WIDTH=512 bench/bars.py [GROUP ...] [--rounds 5] [--out FOLDER]

Groups, all of them by default:
    compilers   plans on the compilers of GPUs (scripts/with-gpu-compiler): multiply-adds in main
                loops, matrix instructions, spills, dispatches; takes minutes and no idle machine
    speed       times beside PyTorch, in turns in one run (bench/peers/compare.py)
    memory      the largest resident set of a training beside PyTorch's (bench/peers/memory.py)
    start       recipe Q from the start of the program to the end of its first step, cold and warm

Prints a Markdown table, a row a bar, and with --out writes it to FOLDER/DATE-bars.md. A bar that cannot be measured
here says why. The exit status is 0 whether bars hold or not: this measures, tests/ decides.
"""

import argparse
import dataclasses
import datetime
import json
import os
import shlex
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)
sys.path.insert(0, os.path.join(HERE, "peers"))
import compare  # noqa: E402

# Of google/ddpm-cifar10-32.
CIFAR = ("--channels 128,256,256,256 --layers-per-block 2 --norm-groups 32 --image-size 32 "
         "--image-channels 3").split()
FP32_TARGETS = ["amd-navi21", "amd-navi31", "intel-dg2", "nvidia-172"]
MATRIX_TARGETS = ["amd-navi31", "amd-gfx1201", "intel-dg2", "intel-bmg"]
TARGETS = ["amd-navi21", "amd-navi31", "amd-gfx1201", "intel-dg2", "intel-bmg", "nvidia-134", "nvidia-172"]
# A loop with fewer multiply-adds a turn is no tile of a large contraction.
LARGE_LOOP = 32


@dataclasses.dataclass
class Bar:
    """One row. A value that is None could not be measured, and `note` says why."""
    group: str
    what: str
    least: float
    aim: float
    value: float = None
    note: str = ""
    more_is_better: bool = True
    unit: str = ""

    def holds(self, bound):
        return self.value >= bound if self.more_is_better else self.value <= bound

    def verdict(self):
        if self.value is None:
            return "not measured"
        if self.holds(self.aim):
            return "aim reached"
        return "holds" if self.holds(self.least) else "missed"


def number(value, unit):
    if value is None:
        return "-"
    digits = f"{value:.0f}" if float(value).is_integer() or abs(value) >= 100 else f"{value:.2f}"
    return digits + (unit if unit == "%" else (" " + unit if unit else ""))


def statistics_of(target, ito, arguments):
    """The JSON of `ito inspect --statistics` on a target's compiler; a string that says why not."""
    command = [os.path.join(ROOT, "scripts", "with-gpu-compiler"), target, ito, "inspect", *arguments,
               "--statistics", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        return (done.stderr.strip() or "it failed").splitlines()[-1]
    return json.loads(done.stdout)


def loops(report, counted):
    """Main loops with LARGE_LOOP or more of the instructions counted."""
    return [k["main_loop"] for k in report["kernels"] if k["main_loop"] and k["main_loop"][counted] >= LARGE_LOOP]


def middle(values):
    return statistics.median(values) if values else None


def compiler_bars(ito, progress):
    plans = {"training": ["--plan", "train", "--batch", "16", *CIFAR],
             "sampling": ["--plan", "sample", "--batch", "16", *CIFAR],
             "fp16 training": ["--plan", "train", "--batch", "16", *CIFAR, "--precision", "fp16"]}
    reports = {}
    for name, plan in plans.items():
        for target in TARGETS:
            progress(f"compiling ddpm_cifar10's {name} step for {target}")
            reports[name, target] = statistics_of(target, ito, plan)
    bars = []

    def bar(what, report, value, least, aim, **more):
        if isinstance(report, str):
            bars.append(Bar("compilers", what, least, aim, note=report, **more))
        else:
            bars.append(Bar("compilers", what, least, aim, value(report), **more))

    for target in FP32_TARGETS:
        amd = target.startswith("amd")
        report = reports["training", target]
        bar(f"{target}: multiply-adds in the main loops of large fp32 contractions, the middle kernel", report,
            lambda r: middle([100 * l["multiply_adds"] / l["instructions"] for l in loops(r, "multiply_adds")]),
            80 if amd else 70, 92 if amd else 85, unit="%")
        if amd:
            bar(f"{target}: multiply-adds for each load from shared memory", report,
                lambda r: middle([l["multiply_adds"] / l["shared_loads"] for l in loops(r, "multiply_adds")
                                  if l["shared_loads"]]), 8, 16)
    for target in MATRIX_TARGETS:
        bar(f"{target}: matrix instructions for each load, the best fp16 kernel", reports["fp16 training", target],
            lambda r: max([k["main_loop_matrix_per_load"] for k in r["kernels"]
                           if k["main_loop"] and k["main_loop"]["matrix_instructions"]] or [0]), 0.5, 1)
    compiled = {key: r for key, r in reports.items() if not isinstance(r, str)}
    missing = [f"{target}, {name}: {r}" for (name, target), r in reports.items() if isinstance(r, str)]
    if compiled:
        bars.append(Bar("compilers", f"kernels that spill, {len(compiled)} plans on {len(TARGETS)} targets", 0, 0,
                        sum(1 for r in compiled.values() for k in r["kernels"] if k["spills"]),
                        note="; ".join(missing).replace("|", "/"), more_is_better=False))
    for name, least, aim in (("training", 500, 300), ("sampling", 250, 150)):
        found = [reports[name, t]["dispatches"] for t in TARGETS if not isinstance(reports[name, t], str)]
        bars.append(Bar("compilers", f"dispatches of a ddpm_cifar10 {name} step, the most of all targets", least, aim,
                        max(found) if found else None, more_is_better=False))
    return bars


def speed_bars(launch, python, rounds, progress):
    rows = [("recipe Q's training step, batch 32", "train", "train_step_b32", 0.75, 1.0),
            ("ddpm_cifar10 forward, batch 1", "models", "ddpm_cifar10_forward_b1", 0.7, 1.0),
            ("ddpm_cifar10 forward, batch 16", "models", "ddpm_cifar10_forward_b16", 0.7, 1.0),
            ("ddpm_cifar10 training step, batch 4", "models", "ddpm_cifar10_train_b4", 0.7, 1.0),
            ("group norm 16x32x32x64, forward", "groupnorm", "groupnorm_16x32x32x64", 0.8, 1.5)]
    if python is None:
        return [Bar("speed", what + ": PyTorch's time / Ito's", least, aim, note="PyTorch is not installed")
                for what, _, _, least, aim in rows]
    bars = []
    peer = compare.Peer(python, 0, "cpu")
    for what, workload, name, least, aim in rows:
        ito, pytorch = [], []
        for turn in range(rounds):
            progress(f"{what}, turn {turn + 1} of {rounds}")
            command = [*launch, "bench", workload, "--filter", name, "--json", "--no-compile-times", "--rounds", "3",
                       "--seconds", "0.5"]
            result = json.loads(subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout)
            ito += [row["ms"] for row in result if row["name"] == name]
            pytorch.append(statistics.median(peer.measure([name], 3, 0.5)[name]))
        mine, theirs = statistics.median(ito), statistics.median(pytorch)
        bars.append(Bar("speed", what + ": PyTorch's time / Ito's", least, aim, theirs / mine,
                        f"{mine:.3g} ms beside {theirs:.3g}; of minima {min(pytorch) / min(ito):.2f}"))
    peer.close()
    return bars


def memory_bars(launch, python, progress):
    what = "peak memory of ddpm_cifar10's training, batch 4, checkpoint included / PyTorch's"
    if python is None:
        return [Bar("memory", what, 1.0, 0.7, note="PyTorch is not installed", more_is_better=False)]
    progress("memory of a training beside PyTorch's")
    command = [python, os.path.join(HERE, "peers", "memory.py"), "--python", python, "--ito", shlex.join(launch)]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")
    found = {line.split()[0]: float(line.split()[1]) for line in lines if line}
    return [Bar("memory", what, 1.0, 0.7, found["ratio"], f"{found['ito']:.0f} MB beside {found['pytorch']:.0f}",
                more_is_better=False)]


def start_bars(launch, data, progress):
    """Whole processes: from their start until they end, one step later, with nothing kept from earlier."""
    bars = []
    with tempfile.TemporaryDirectory() as folder:
        cache = os.path.join(folder, "cache")
        environment = dict(os.environ, XDG_CACHE_HOME=cache, MESA_SHADER_CACHE_DIR=os.path.join(folder, "mesa"))
        # All but the driver that scripts/with-lavapipe once fetched.
        kept = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "ito", "lavapipe")
        os.makedirs(os.path.join(cache, "ito"))
        if os.path.isdir(kept):
            os.symlink(kept, os.path.join(cache, "ito", "lavapipe"))
        times, work = {}, {}
        for which in ("cold", "warm"):
            progress(f"recipe Q's first step, {which}")
            begin, used = time.monotonic(), os.times()
            subprocess.run([*launch, "train", "--data", data, "--out", os.path.join(folder, which), "--channels",
                            "16,32,64", "--batch", "32", "--steps", "1", "--sample-every", "0", "--validate", "0"],
                           check=True, capture_output=True, env=environment, cwd=ROOT)
            times[which] = time.monotonic() - begin
            work[which] = sum(os.times()[2:4]) - sum(used[2:4])
        for which, least, aim in (("cold", 10, 5), ("warm", 1, 0.5)):
            bars.append(Bar("start", f"recipe Q: whole process of one training step, {which}", least, aim, times[which],
                            f"its checkpoint and its end included; {work[which]:.1f} s of processor time", more_is_better=False, unit="s"))
    return bars


def table(bars):
    lines = ["| what | at least | aim | here | | |", "|---|---|---|---|---|---|"]
    for bar in bars:
        lines.append(f"| {bar.what} | {number(bar.least, bar.unit)} | {number(bar.aim, bar.unit)} | "
                     f"{number(bar.value, bar.unit)} | {bar.verdict()} | {bar.note} |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    groups = ["compilers", "speed", "memory", "start"]
    parser.add_argument("groups", nargs="*", default=groups, metavar="GROUP", help=" ".join(groups))
    parser.add_argument("--ito", default=os.path.join(ROOT, "build", "release", "apps", "ito"), help="(%(default)s)")
    parser.add_argument("--launcher", default=os.path.join(ROOT, "scripts", "with-lavapipe"),
                        help="what starts it on a driver that runs; empty: nothing (%(default)s)")
    parser.add_argument("--python", default="", help="a Python that has PyTorch")
    parser.add_argument("--data", default="/usr/share/datasets/fashion-mnist", help="of recipe Q (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (%(default)s)")
    parser.add_argument("--out", default="", help="a folder for the table, such as bench/results")
    options = parser.parse_args()
    if unknown := [g for g in options.groups if g not in groups]:
        parser.error(f"unknown group {unknown[0]!r}; known: {' '.join(groups)}")
    if not os.access(options.ito, os.X_OK):
        parser.error(f"--ito {options.ito}: no such program; cmake --preset release && cmake --build --preset release")
    launch = [*([options.launcher] if options.launcher else []), options.ito]
    python = compare.python_with_torch(options.python)

    def progress(line):
        print(line, file=sys.stderr, flush=True)

    started = datetime.datetime.now(datetime.timezone.utc)
    bars = []
    if "compilers" in options.groups:
        bars += compiler_bars(options.ito, progress)
    if "speed" in options.groups:
        bars += speed_bars(launch, python, options.rounds, progress)
    if "memory" in options.groups:
        bars += memory_bars(launch, python, progress)
    if "start" in options.groups:
        bars += start_bars(launch, options.data, progress)
    width = os.environ.get("LP_NATIVE_VECTOR_WIDTH")
    command = (f"LP_NATIVE_VECTOR_WIDTH={width} " if width else "") + shlex.join(["bench/bars.py", *sys.argv[1:]])
    text = (f"# Bars, {started:%Y-%m-%d %H:%M} UTC\n\n- Ito {compare.commit()}\n- processor: {compare.processor()}, "
            f"{len(os.sched_getaffinity(0))} of it, load {os.getloadavg()[0]:.1f} at the end\n- `{command}`\n\n"
            + table(bars))
    print(text, end="")
    if options.out:
        path = os.path.join(options.out, f"{started:%Y-%m-%d-%H%M}-bars.md")
        with open(path, "w") as file:
            file.write(text)
        progress(f"written: {path}")


if __name__ == "__main__":
    main()
