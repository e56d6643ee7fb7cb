#!/usr/bin/env python3
"""Ito beside PyTorch, taking turns in the same run.

    LP_NATIVE_VECTOR_WIDTH=512 bench/peers/compare.py [WORKLOAD ...] [--rounds 5] [--seconds 0.5]

Runs `ito bench WORKLOAD` and the same operations in PyTorch (eager, float32) alternately, so that
what else the machine does meets both, prints a table of times and ratios and writes it, as Markdown
and as JSON, to bench/results/. A ratio above 1 means that Ito takes longer. Without PyTorch it says
so and measures Ito alone. Workloads: conv matmul attention groupnorm train models (all of them by default).
"""

import argparse
import datetime
import json
import os
import platform
import re
import shlex
import statistics
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
WORKLOADS = ["conv", "matmul", "attention", "groupnorm", "train", "models"]


class Peer:
    """pytorch_bench.py --serve in a process of its own, idle while Ito runs."""

    def __init__(self, python, threads, device):
        environment = dict(os.environ)
        if threads:
            environment["OMP_NUM_THREADS"] = str(threads)
        else:
            environment.pop("OMP_NUM_THREADS", None)
        self.process = subprocess.Popen(
            [python, os.path.join(HERE, "pytorch_bench.py"), "--serve", "--threads", str(threads),
             "--device", device],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment)
        self.about = self.answer()

    def answer(self):
        line = self.process.stdout.readline()
        if not line:
            self.process.wait()
            raise RuntimeError(f"pytorch_bench.py ended with {self.process.returncode}")
        return json.loads(line)

    def measure(self, names, rounds, seconds):
        request = {"names": names, "rounds": rounds, "seconds": seconds}
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        return self.answer()

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def python_with_torch(wanted):
    """The first Python that can import torch: Debian's package serves /usr/bin/python3 only."""
    for python in [wanted] if wanted else [sys.executable, "/usr/bin/python3"]:
        try:
            found = subprocess.run([python, "-c", "import torch"], capture_output=True).returncode == 0
        except OSError:
            found = False
        if found:
            return python
    return None


def bench(ito, workload, rounds, seconds):
    command = [*ito, "bench", workload, "--json", "--no-compile-times", "--rounds", str(rounds),
               "--seconds", str(seconds)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    if done.returncode != 0:
        sys.exit(f"{shlex.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def processor():
    try:
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def commit():
    done = subprocess.run(["git", "describe", "--always", "--dirty", "--abbrev=12"], cwd=ROOT,
                          capture_output=True, text=True)
    return done.stdout.strip() or "unknown"


def collect(arguments, ito, peer):
    """By row name: flops, and the times of both sides, in the order of the rounds."""
    rows, roofs, about = {}, {}, {}
    for workload in arguments.workloads:
        for number in range(arguments.rounds):
            print(f"{workload}, round {number + 1} of {arguments.rounds}", file=sys.stderr, flush=True)
            result = bench(ito, workload, arguments.inner_rounds, arguments.seconds)
            about = {"ito_device": result[0]["device"], "ito_driver": result[0]["driver"]}
            for row in result:
                if row["name"].startswith("roof_"):
                    value = row["gflops" if row["name"] == "roof_fma" else "gbps"]
                    roofs[row["name"]] = max(roofs.get(row["name"], 0), value)
                    continue
                entry = rows.setdefault(row["name"], {"flops": row["gflops"] * row["ms"] * 1e6,
                                                      "ito": [], "ito_min": [], "pytorch": [],
                                                      "pytorch_min": []})
                entry["ito"].append(row["ms"])
                entry["ito_min"].append(row["ms_min"])
            if peer is None:
                continue
            names = [row["name"] for row in result]
            for name, times in peer.measure(names, arguments.inner_rounds, arguments.seconds).items():
                rows[name]["pytorch"].append(statistics.median(times))
                rows[name]["pytorch_min"].append(min(times))
    return rows, roofs, about


def summary(name, entry):
    row = {"name": name}
    for side in ("ito", "pytorch"):
        if entry[side]:
            ms = statistics.median(entry[side])
            row[side + "_ms"] = ms
            row[side + "_ms_min"] = min(entry[side + "_min"])
            row[side + "_gflops"] = entry["flops"] / ms / 1e6
            row[side + "_rounds"] = entry[side]
    if entry["pytorch"]:
        row["ratio"] = row["ito_ms"] / row["pytorch_ms"]
        row["ratio_of_minima"] = row["ito_ms_min"] / row["pytorch_ms_min"]
    return row


def markdown(report):
    peer = report.get("pytorch")
    lines = [f"# Ito beside PyTorch, {report['date']}", "",
             f"- Ito {report['commit']} on {report['ito_device']}, driver {report['ito_driver']}",
             f"- processor: {report['processor']}, {report['processors']} of it, load "
             f"{report['load_before']} before and {report['load_after']} after (of which this run "
             "itself is a part)"]
    if peer:
        lines.append(f"- PyTorch {peer['pytorch']} on {peer['device']}, {peer['threads']} threads, "
                     f"BLAS: {peer['blas']}, eager, float32")
    else:
        lines.append("- PyTorch: not installed, so no ratio")
    roofs = report["roofs"]
    lines += [f"- roofs in the same run: {roofs.get('roof_fma', 0):.0f} GFLOP/s of multiply-adds, "
              f"{roofs.get('roof_copy', 0):.1f} GB/s of copying (read and written)",
              f"- `{report['command']}`", "",
              f"Medians of {report['rounds']} rounds in turns; minima in brackets. A ratio above 1 means that "
              "Ito takes longer.", "",
              "| workload | Ito ms | GFLOP/s | PyTorch ms | GFLOP/s | ratio | of minima |",
              "|---|---|---|---|---|---|---|"]
    for row in report["rows"]:
        cells = [row["name"], f"{row['ito_ms']:.3g} ({row['ito_ms_min']:.3g})",
                 f"{row['ito_gflops']:.1f}"]
        if "pytorch_ms" in row:
            cells += [f"{row['pytorch_ms']:.3g} ({row['pytorch_ms_min']:.3g})",
                      f"{row['pytorch_gflops']:.1f}", f"{row['ratio']:.2f}",
                      f"{row['ratio_of_minima']:.2f}"]
        else:
            cells += ["-", "-", "-", "-"]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("workloads", nargs="*", default=WORKLOADS, metavar="WORKLOAD",
                        help=" ".join(WORKLOADS))
    parser.add_argument("--ito", default="scripts/with-lavapipe build/release/apps/ito",
                        help="how to start ito, from the root of the repository (%(default)s)")
    parser.add_argument("--python", default="", help="a Python that has PyTorch")
    parser.add_argument("--device", default="cpu", help="PyTorch's device (%(default)s)")
    parser.add_argument("--threads", type=int, default=0, help="PyTorch's; 0: one per processor")
    parser.add_argument("--rounds", type=int, default=5, help="turns of each side (%(default)s)")
    parser.add_argument("--inner-rounds", type=int, default=3, help="measurements in a turn (%(default)s)")
    parser.add_argument("--seconds", type=float, default=0.3, help="per measurement (%(default)s)")
    parser.add_argument("--out", default=os.path.join(ROOT, "bench", "results"), help="folder (%(default)s)")
    arguments = parser.parse_args()
    if unknown := [w for w in arguments.workloads if w not in WORKLOADS]:
        parser.error(f"unknown workload {unknown[0]!r}; known: {' '.join(WORKLOADS)}")
    if not os.path.isdir(arguments.out):
        parser.error(f"--out {arguments.out}: no such folder")
    python = python_with_torch(arguments.python)
    if python is None:
        print("PyTorch is not installed (Debian: python3-torch libopenblas0-openmp): measuring Ito alone",
              file=sys.stderr)
    peer = Peer(python, arguments.threads, arguments.device) if python else None
    if peer and re.fullmatch(r"libblas\.so.*", peer.about["blas"]):
        print("PyTorch runs on the reference BLAS, whose matrix products are ten times slower than "
              "OpenBLAS's (Debian: libopenblas0-openmp)", file=sys.stderr)
    started = datetime.datetime.now(datetime.timezone.utc)
    load = f"{os.getloadavg()[0]:.1f}"
    rows, roofs, about = collect(arguments, shlex.split(arguments.ito), peer)
    width = os.environ.get("LP_NATIVE_VECTOR_WIDTH")
    report = {"date": started.strftime("%Y-%m-%d %H:%M UTC"), "commit": commit(),
              "command": (f"LP_NATIVE_VECTOR_WIDTH={width} " if width else "")
              + shlex.join(["bench/peers/compare.py", *sys.argv[1:]]),
              **about, "processor": processor(), "processors": len(os.sched_getaffinity(0)),
              "load_before": load, "load_after": f"{os.getloadavg()[0]:.1f}",
              "rounds": arguments.rounds, "pytorch": peer.about if peer else None, "roofs": roofs,
              "rows": [summary(name, entry) for name, entry in rows.items()]}
    if peer:
        peer.close()
    text = markdown(report)
    print(text, end="")
    kind = re.sub(r"[^a-z0-9]+", "-", about["ito_device"].lower()).strip("-").split("-")[0]
    base = os.path.join(arguments.out, f"{started:%Y-%m-%d-%H%M}-{kind}-beside-pytorch")
    for ending, content in ((".md", text), (".json", json.dumps(report, indent=2) + "\n")):
        with open(base + ending, "w") as file:
            file.write(content)
    print(f"written: {base}.md and .json", file=sys.stderr)


if __name__ == "__main__":
    main()
