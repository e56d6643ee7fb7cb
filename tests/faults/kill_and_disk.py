#!/usr/bin/env python3
"""What happens to a training from outside: kills, damaged files, rivals, clocks, caches, homes, signals.

    kill_and_disk.py BUILD [--only NAME,...] [--kills N] [--seconds S] [--signals N] [--workers N] [--seed N]

    kills    SIGKILL at random moments, N of them or as many as S seconds hold: the same command again until it is
             done; no checkpoint that was there is lost, and the weights are those of an undisturbed run
    flips    a bit of each file of the newest checkpoint in turn: the run goes on from the one before it
    rivals   a second training in the same folder is refused, and the first does not notice
    clock    the time of day jumps by days and years while it trains (faketime)
    cache    the cache folder's file system is full (needs the right to mount one)
    home     no cache folder can be made
    signals  SIGINT and SIGTERM at N moments of every long command: it ends soon, says one line, leaves nothing

Prints what was done and each finding; exit status 1 with findings.
"""
import argparse
import concurrent.futures
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import trial

FAKETIME = "/usr/lib/{}-linux-gnu/faketime/libfaketimeMT.so.1".format(os.uname().machine)


class Report:
    """Findings, from any thread."""

    def __init__(self):
        self.findings = 0
        self.lock = threading.Lock()

    def expect(self, good, text):
        if not good:
            with self.lock:
                self.findings += 1
                print("FOUND: " + text, flush=True)
        return good


def start(place, command, environment=None):
    words = place.launcher + [str(word) for word in command]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                            start_new_session=True, env=dict(place.environment, **(environment or {})))


def kills(place, reference, report, options, stop_at, seed):
    """Gives the number of kills, and of runs that were brought to their end."""
    random_ = random.Random(seed)
    done = ended = 0
    work = trial.Train(place)
    usual = 1.0  # seconds of an undisturbed run, as far as is known
    while time.monotonic() < stop_at and done < options.kills:
        work.prepare()
        kept = 0
        while True:
            begin = time.monotonic()
            process = start(place, work.command())
            # The last go is left alone, and so is every sixth, so that runs come to an end.
            spared = done >= options.kills or time.monotonic() >= stop_at or random_.random() < 1 / 6
            delay = random_.uniform(0, usual)
            try:
                out, err = process.communicate(timeout=None if spared else delay)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                done += 1
                now = work.kept()
                report.expect(now >= kept, f"kill after {delay:.3f} s: checkpoint {kept} is gone, {now} is there")
                kept = now
                continue
            usual = 0.9 * usual + 0.1 * (time.monotonic() - begin)
            outcome = trial.Outcome(process.returncode, out, err, 0)
            if report.expect(outcome.code == 0, f"after kills it ends with {outcome.code}: {err[-300:]}"):
                report.expect(work.digest() == reference, "after kills the weights differ")
                lost = work.check_kept(kept, outcome)
                report.expect(not lost, "after kills " + lost)
                left = trial.litter(work.out.parent)
                report.expect(not left, f"after kills there is {left}")
            ended += 1
            break
    return done, ended


def kill_many(places, reference, report, options):
    stop_at = time.monotonic() + options.seconds
    share = argparse.Namespace(kills=-(-options.kills // len(places)))
    with concurrent.futures.ThreadPoolExecutor(len(places)) as pool:
        futures = [pool.submit(kills, place, reference, report, share, stop_at, options.seed + i)
                   for i, place in enumerate(places)]
        results = [future.result() for future in futures]
    print(f"kills: {sum(n for n, _ in results)} kills, {sum(n for _, n in results)} runs brought to their end")


def flips(place, reference, report, options):
    random_ = random.Random(options.seed)
    work = trial.Train(place)
    work.prepare()
    outcome = trial.run(place, work.command())
    report.expect(outcome.code == 0, outcome.err)
    whole = place.folder / "whole"
    shutil.rmtree(whole, ignore_errors=True)
    work.out.rename(whole)
    files = sorted(path.relative_to(whole) for path in (whole / "checkpoint-4").rglob("*") if path.is_file())
    warned = refused = 0
    for name in files:
        shutil.rmtree(work.out, ignore_errors=True)
        shutil.copytree(whole, work.out)
        content = bytearray((work.out / name).read_bytes())
        bit = random_.randrange(len(content) * 8)
        content[bit // 8] ^= 1 << bit % 8
        (work.out / name).write_bytes(content)
        outcome = trial.run(place, work.command())
        what = f"bit {bit} of {name} flipped: "
        if outcome.code == 1:
            refused += 1
            report.expect(len(outcome.errors()) == 1, what + f"not one line of error: {outcome.err[-300:]}")
            continue
        if report.expect(outcome.code == 0, what + f"ends with {outcome.code}: {outcome.err[-300:]}"):
            warned += "checkpoint-4" in outcome.err
            report.expect("checkpoint-4" in outcome.err, what + "nobody says so")
            report.expect(work.digest() == reference, what + "the results differ")
    print(f"flips: {len(files)} files of a checkpoint, {warned} runs went on from the one before, {refused} were refused")


def rivals(place, reference, report, options):
    work = trial.Train(place)
    for attempt in range(3):
        work.prepare()
        both = [start(place, work.command()) for _ in range(2)]
        results = [(process.communicate(timeout=300), process.returncode) for process in both]
        codes = sorted(code for _, code in results)
        # One may have ended before the other looked: then that one finds the run done.
        report.expect(codes in ([0, 1], [0, 0]), f"two trainings in one folder end with {codes}")
        for (out, err), code in results:
            if code == 1:
                report.expect(len(trial.Outcome(code, out, err, 0).errors()) == 1, f"the rival says {err[-300:]!r}")
        report.expect(work.digest() == reference, "with a rival the results differ")
    print("rivals: 3 pairs of trainings in one folder")


def clock(place, reference, report, options):
    if not Path(FAKETIME).exists():
        print("clock: skipped, the package faketime is not installed")
        return
    work = trial.Train(place)
    work.prepare()
    now = place.folder / "now"
    jumps = ["+0", "-3d", "+400d", "-20y", "+0"]
    now.write_text(jumps[0])
    process = start(place, work.command(), {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": str(now),
                                            "FAKETIME_NO_CACHE": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                                            "DONT_FAKE_MONOTONIC": "1"})
    jumped = 0
    while process.poll() is None:
        time.sleep(0.07)
        jumped += 1
        now.write_text(jumps[jumped % len(jumps)])
    out, err = process.communicate()
    if report.expect(process.returncode == 0, f"with a jumping clock it ends with {process.returncode}: {err[-300:]}"):
        report.expect(work.digest() == reference, "with a jumping clock the results differ")
    print(f"clock: {jumped} jumps of the time of day during a training")


def cache(place, reference, report, options):
    disk = place.folder / "disk"
    disk.mkdir(exist_ok=True)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "tmpfs", str(disk)], capture_output=True).returncode:
        print("cache: skipped, mounting a file system is not allowed here")
        return
    try:
        try:
            (disk / "filler").write_bytes(b"x" * 65536)
        except OSError:
            pass  # full
        work = trial.Train(place)
        work.prepare()
        outcome = trial.run(place, work.command(), {"XDG_CACHE_HOME": str(disk)}, limit=600)
        if report.expect(outcome.code == 0, f"with a full cache it ends with {outcome.code}: {outcome.err[-300:]}"):
            report.expect(work.digest() == reference, "with a full cache the results differ")
        print("cache: a training with a full cache folder")
    finally:
        subprocess.run(["umount", str(disk)], check=False)


def home(place, reference, report, options):
    work = trial.Train(place)
    work.prepare()
    # Nothing keeps root from writing into a folder that may only be read, but nobody makes one in /proc.
    outcome = trial.run(place, work.command(), {"HOME": "/proc", "XDG_CACHE_HOME": ""}, limit=600)
    if report.expect(outcome.code == 0, f"without a home it ends with {outcome.code}: {outcome.err[-300:]}"):
        report.expect(work.digest() == reference, "without a home the results differ")
    print("home: a training without a folder for caches")


def long_commands(place):
    """NAME → words, exit codes of a stop."""
    model = trial.Sample(place)
    model.prepare()
    out, ito = model.out, place.ito
    network = ["--channels", 8, "--size", 8]
    data = ["--data", place.data]
    judge = place.folder / "judge"
    if not judge.exists():
        outcome = trial.run(place, [ito, "train", "--classifier", *data, "--out", judge, *network, "--batch", 2,
                                    "--steps", 2], limit=600)
        assert outcome.code == 0, outcome.err
    pictures = place.folder / "pictures"
    if not pictures.exists():
        outcome = trial.run(place, [ito, "sample", "--model", model.model, "--steps", 2, "--seeds", "0-1", "--out",
                                    pictures], limit=600)
        assert outcome.code == 0, outcome.err
    ends = sorted(pictures.glob("*.png"))
    return {
        "train": ([ito, "train", *data, "--out", out, *network, "--batch", 2, "--steps", 10**6], (0, 130)),
        "sample": ([ito, "sample", "--model", model.model, "--steps", 4, "--seeds", "0-99999", "--batch", 4,
                    "--out", out], (130,)),
        "likelihood": ([ito, "likelihood", "--model", model.model, *data, "--num", 48, "--rtol", "1e-6", "--atol",
                        "1e-6"], (0, 130)),
        "evaluate": ([ito, "evaluate", "--model", f"a={model.model}", "--classifier", judge, *data, "--sampler",
                      "ddim --steps 1000", "--num", 4000, "--out", f"{out}.md"], (130,)),
        "interpolate": ([ito, "interpolate", "--model", model.model, "--a", ends[0], "--b", ends[1], "--points", 64,
                         "--out", f"{out}.png"], (130,)),
        "toy": ([ito, "toy", "two_moons", "--out", f"{out}.png"], (130,)),
        "verify": ([ito, "verify"], (130,)),
        "bench": ([ito, "bench", "all"], (130,)),
        "inspect": ([ito, "inspect", "--plan", "train", "--channels", "128,256,256,512", "--image-size", 64], (130,)),
    }


def signals(place, reference, report, options):
    random_ = random.Random(options.seed)
    slowest, done_before = {}, {}
    for name, (words, codes) in long_commands(place).items():
        for i in range(options.signals):
            out = place.folder / "work"
            shutil.rmtree(out, ignore_errors=True)
            out.mkdir()
            number = (signal.SIGINT, signal.SIGTERM)[i % 2]
            delay = random_.uniform(0.02, options.until)
            process = start(place, words)
            try:
                _, err = process.communicate(timeout=delay)
                report.expect(process.returncode == 0, f"{name} ended by itself: {process.returncode} {err[-300:]}")
                done_before[name] = done_before.get(name, 0) + 1
                continue
            except subprocess.TimeoutExpired:
                pass
            begin = time.monotonic()
            os.killpg(process.pid, number)
            try:
                _, err = process.communicate(timeout=60)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                report.expect(False, f"{name} does not answer {number.name} after {delay:.2f} s")
                continue
            seconds = time.monotonic() - begin
            slowest[name] = max(slowest.get(name, 0), seconds)
            # A launcher that has not yet become the program dies of the signal itself.
            early = process.returncode == -number and not err
            report.expect(early or process.returncode in codes,
                          f"{name}: {number.name} after {delay:.2f} s ends with {process.returncode}: {err[-200:]!r}")
            report.expect(seconds < options.answer, f"{name}: {number.name} after {delay:.2f} s took {seconds:.1f} s")
            left = trial.litter(out)
            report.expect(not left, f"{name}: {number.name} after {delay:.2f} s left {left}")
    print(f"signals: {options.signals} at each command; the slowest answers: "
          + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in slowest.items())
          + "".join(f"; {name} was done before {n} of them" for name, n in done_before.items()))


TRIALS = {"flips": flips, "rivals": rivals, "clock": clock, "cache": cache, "home": home, "signals": signals}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--only", default="kills," + ",".join(TRIALS))
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seconds", type=float, default=3600)
    parser.add_argument("--signals", type=int, default=6)
    parser.add_argument("--until", type=float, default=3.0, help="signals come at most so many seconds after the start")
    parser.add_argument("--answer", type=float, default=3.0, help="seconds in which a signal must be answered")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    begin = time.monotonic()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="ito_kill_and_disk_") as folder:
        first = trial.Place(options.build, Path(folder) / "0")
        work = trial.Train(first)
        for _ in range(2):  # the first compiles
            work.prepare()
            outcome = trial.run(first, work.command(), limit=600)
            assert outcome.code == 0, outcome.err
        reference = work.digest()
        for name in options.only.split(","):
            if name == "kills":
                places = [first.copy(Path(folder) / str(i + 1)) for i in range(options.workers)]
                kill_many(places, reference, report, options)
            else:
                TRIALS[name](first, reference, report, options)
    print(f"{report.findings} findings, {time.monotonic() - begin:.0f} s")
    return 1 if report.findings else 0


if __name__ == "__main__":
    sys.exit(main())
