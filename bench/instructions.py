#!/usr/bin/env python3
"""What the main loops of kernels are made of, from the machine code of GPUs' compilers.

    bench/instructions.py [--targets amd-navi31,intel-dg2,nvidia-172] [--kernels N] INSPECT_ARGUMENT...
    bench/instructions.py --plan train --batch 16 --channels 128,256,256,256 --layers-per-block 2 \\
        --norm-groups 32 --image-size 32 --image-channels 3

Of the plan that `ito inspect INSPECT_ARGUMENT...` shows it takes, of each kind of kernel (contract,
reduce, map, ...), the one called most often, and prints for each target a row: of its main loop (the basic
block with the most multiply-adds; where there are none, the longest) the instructions by class, and the cycles for
which the compiler makes the next one wait, where it says so (NVIDIA: those beyond one each; it counts
no time in memory). Nothing runs, so this is no estimate of time.
"""

import argparse
import collections
import json
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CLASSES = ["multiply-add", "matrix", "other float", "shared load", "shared store", "memory", "integer", "move", "wait",
           "barrier", "control"]


def amd(lines):
    """ACO: "v_fmac_f32_e32 v1, v26, v13 ; 56021b1a" in blocks that begin with "BB4:"."""
    rules = [("multiply-add", r"v_(dual_)?(pk_)?(fma|mac|mad)\w*_f"), ("matrix", r"v_w?mfma|v_wmma"),
             ("shared load", r"ds_(read|load)"), ("shared store", r"ds_(write|store)"),
             ("memory", r"(global|buffer|flat|scratch)_|s_(buffer_)?load"), ("barrier", r"s_barrier"),
             ("wait", r"s_(waitcnt|wait_|delay|nop|clause|sleep)"), ("control", r"s_(c?branch|setpc|endpgm)|s_and_saveexec"),
             ("move", r"[vs]_(mov|cndmask|cselect|readlane|readfirstlane)"), ("other float", r"v_\w+_f(16|32|64)"),
             ("integer", r".")]
    for line in lines:
        line = line.strip()
        if re.fullmatch(r"BB\d+:", line):
            yield None, 0
        elif line and not line.startswith(";"):
            yield next(kind for kind, rule in rules if re.match(rule, line)), 0


def intel(lines):
    """brw: "mad(8) g20<1>F g18<8,8,1>F ... { align1 }"; what a send does stands on the line below it."""
    pending = False
    for line in lines:
        line = re.sub(r"^\([^)]*\)\s*", "", line.strip())
        if "MsgDesc:" in line:
            if pending:
                where = "shared" if line.startswith("slm") else "memory"
                if "barrier" in line or "fence" in line:
                    yield "barrier", 0
                elif where == "memory":
                    yield "memory", 0
                else:
                    yield ("shared load" if "( load" in line else "shared store"), 0
            pending = False
            continue
        op = re.match(r"([a-z0-9]+)[.(\s]", line)
        if line.startswith("LABEL"):
            yield None, 0
        elif not op or "(" not in line.split()[0] and op[1] != "sync":
            continue
        elif op[1] in ("send", "sendc"):
            pending = True
        elif op[1] == "sync":
            yield ("barrier" if " bar" in line.split("(")[0] else "wait"), 0
        elif op[1] in ("do", "while", "if", "else", "endif", "break", "cont", "halt", "jmpi"):
            yield "control", 0
            yield None, 0
        elif op[1] == "dpas":
            yield "matrix", 0
        else:
            floating = re.search(r">(F|HF|BF|DF)\b", line) is not None
            yield ("move" if op[1] in ("mov", "sel", "movi") else
                   ("multiply-add" if op[1] in ("mad", "mac") else "other float") if floating else "integer"), 0


def nvidia(lines):
    """NAK: "@!p0 r4 = ffma r4 r8 r12 // delay=4" in blocks that begin with "block 3 L2 [2, 3] -> {"."""
    rules = [("multiply-add", r"ffma|hfma2|dfma"), ("matrix", r"hmma|imma"), ("shared load", r"ldsm|ld\.shared"),
             ("shared store", r"st\.shared"), ("memory", r"ld|st|atom|red\b|cctl"), ("barrier", r"bar|membar"),
             ("control", r"bra|exit|bssy|bsync|warpsync"), ("wait", r"nop|depbar"),
             ("move", r"mov|sel|r2ur|prmt|s2r|cs2r|fsel"), ("other float", r"[fhd](add|mul|mnmx|set|setp|2)|mufu"),
             ("integer", r".")]
    for line in lines:
        line = line.strip()
        if re.match(r"block(\.u)? \d+", line):
            yield None, 0
            continue
        if not line or line.startswith("}"):
            continue
        text, _, comment = line.partition("//")
        text = re.sub(r"^@!?u?p\d+\s*", "", text)
        text = re.split(r"= ", text, 1)[-1].strip()
        if not text:
            continue
        delay = re.search(r"delay=(\d+)", comment)
        yield next(kind for kind, rule in rules if re.match(rule, text)), int(delay[1]) - 1 if delay else 0


DIALECTS = {"amd": amd, "intel": intel, "nvidia": nvidia}


def main_loop(target, code):
    """Of its block with the most multiply-adds, a matrix instruction for fifty: counts by class, cycles of waiting."""
    def size(block):
        return block["multiply-add"] + 50 * block["matrix"], sum(block.values())

    best, cycles, block, waited = collections.Counter(), 0, collections.Counter(), 0
    for kind, stall in [*DIALECTS[target.split("-")[0]](code.splitlines()), (None, 0)]:
        if kind is None:
            if size(block) > size(best):
                best, cycles = block, waited
            block, waited = collections.Counter(), 0
        else:
            block[kind] += 1
            waited += stall
    return best, cycles


def run(ito, target, arguments):
    command = [os.path.join(ROOT, "scripts", "with-gpu-compiler"), target, ito, "inspect", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"{target}: {(done.stderr.strip() or 'it failed').splitlines()[-1]}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--targets", default="amd-navi31,intel-dg2,nvidia-172")
    parser.add_argument("--kernels", type=int, default=1, help="how many of each kind (%(default)s)")
    parser.add_argument("--ito", default=os.path.join(ROOT, "build", "release", "apps", "ito"))
    options, arguments = parser.parse_known_args()
    print("| target | kernel | calls | " + " | ".join(CLASSES) + " | cycles waited |")
    print("|---|---|---|" + "---|" * (len(CLASSES) + 1))
    for target in options.targets.split(","):
        kernels = json.loads(run(options.ito, target, [*arguments, "--statistics", "--json"]))["kernels"]
        kinds = collections.defaultdict(list)
        for number, kernel in enumerate(kernels):
            kinds[kernel["name"].split("_")[0]].append((kernel["calls"], -number, kernel["name"]))
        for kind, found in kinds.items():
            for calls, number, name in sorted(found, reverse=True)[:options.kernels]:
                block, cycles = main_loop(target, run(options.ito, target, [*arguments, "--assembly", str(-number)]))
                waited = str(cycles) if target.startswith("nvidia") else "-"
                print(f"| {target} | {name} | {calls} | " + " | ".join(str(block[c]) for c in CLASSES) + f" | {waited} |",
                      flush=True)


if __name__ == "__main__":
    main()
