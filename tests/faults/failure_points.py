#!/usr/bin/env python3
"""Fails every call that can fail, one a run, and looks at what becomes of it.

    failure_points.py BUILD [--works train,resume,...] [--only NAME,...] [--most N] [--sample N] [--seconds S]
                      [--workers N]

The works (trial.py) run once undisturbed, counted: their calls of Vulkan by the layer of layers/faults; their writes,
fsyncs, renames, creations of files and large allocations by libito_interpose.so. Then each of these calls fails, once
and, from some calls on, for ever. A run that fails must end with status 1 and one line of error, leave nothing
temporary and no Vulkan object, and the same command must go on afterwards to the same results, bit for bit, from no
less than what was there. A run may also do without what failed: then its results are the same.

Of a function that is called more than --most times not every call fails but the 1st, 2nd, 3rd ... in strides that
grow by a quarter: its calls are one loop's. --only: these functions and kinds of calls. --sample N takes N points,
spread evenly over all; --seconds S tries as many as come within S seconds, in an order of which every beginning is
spread over all. Prints what was counted, what was tried and left out, and each finding; exit status 1 with findings.
"""
import argparse
import concurrent.futures
import queue
import shutil
import sys
import tempfile
import time
from pathlib import Path

import trial

# What functions say when they fail, where it is not that host memory is short.
RESULTS = {
    "vkCreateInstance": "VK_ERROR_INCOMPATIBLE_DRIVER",
    "vkEnumeratePhysicalDevices": "VK_ERROR_INITIALIZATION_FAILED",
    "vkCreateDevice": "VK_ERROR_INITIALIZATION_FAILED",
    "vkAllocateMemory": "VK_ERROR_OUT_OF_DEVICE_MEMORY",
    "vkCreateBuffer": "VK_ERROR_OUT_OF_DEVICE_MEMORY",
    "vkBindBufferMemory": "VK_ERROR_OUT_OF_DEVICE_MEMORY",
    "vkCreateComputePipelines": "VK_ERROR_OUT_OF_DEVICE_MEMORY",
    "vkMapMemory": "VK_ERROR_MEMORY_MAP_FAILED",
}
MAY_LOSE = ["vkQueueSubmit", "vkWaitForFences", "vkGetFenceStatus", "vkWaitSemaphores", "vkGetSemaphoreCounterValue",
            "vkGetQueryPoolResults", "vkDeviceWaitIdle"]
ERRORS = {"write": "ENOSPC", "fsync": "EIO", "rename": "EIO", "create": "ENOSPC", "allocate": "ENOMEM"}
# Large is what the smallest network still allocates; of real ones all this is above 1 MiB.
LARGE = 1 << 18
PAIRS = [("vkCreate" + name, "vkDestroy" + name) for name in
         ("Instance", "Device", "Buffer", "Fence", "Semaphore", "QueryPool", "ShaderModule", "PipelineCache",
          "PipelineLayout", "CommandPool")] + [("vkAllocateMemory", "vkFreeMemory")]


def read_counts(path):
    """NAME → (calls, failed); failed is None of what cannot fail."""
    counts = {}
    if path.exists():
        for line in path.read_text().splitlines():
            name, calls, failed = line.split()
            counts[name] = (int(calls), None if failed == "-" else int(failed))
    return counts


def environment(place, program, vulkan_rule="", call_rule=""):
    return {
        "VK_LAYER_PATH": str(place.layer), "VK_INSTANCE_LAYERS": "VK_LAYER_ITO_faults",
        "ITO_FAULTS_COUNT": str(place.folder / "vulkan.txt"), "ITO_FAULTS_FAIL": vulkan_rule,
        "LD_PRELOAD": str(place.interpose), "ITO_INTERPOSE_PROGRAM": program,
        "ITO_INTERPOSE_COUNT": str(place.folder / "calls.txt"), "ITO_INTERPOSE_FAIL": call_rule,
        "ITO_INTERPOSE_BYTES": str(LARGE),
    }


def clear_counts(place):
    for name in ("vulkan.txt", "calls.txt"):
        (place.folder / name).unlink(missing_ok=True)


def numbers(count, most):
    """Which of `count` calls fail."""
    if count <= most:
        return list(range(1, count + 1))
    out, n = [], 1
    while n < count:
        out.append(n)
        n += 1 + n // 4
    return out + [count]


def points_of(name, vulkan, calls, most):
    """(work, vulkan rule, rule of calls), and lines that say what is left out."""
    points, left_out = [], []
    for function, (count, failed) in vulkan.items():
        if failed is None:
            continue
        tried = numbers(count, most)
        if len(tried) < count:
            left_out.append(f"{function}: {len(tried)} of {count}")
        for n in tried:
            points.append((name, f"{function}:{n}:{RESULTS.get(function, 'VK_ERROR_OUT_OF_HOST_MEMORY')}", ""))
        result = "VK_ERROR_DEVICE_LOST" if function in MAY_LOSE else RESULTS.get(function, "VK_ERROR_OUT_OF_HOST_MEMORY")
        for n in sorted({1, (count + 1) // 2}):
            points.append((name, f"{function}:{n}:{result}:ever", ""))
    for kind, (count, _) in calls.items():
        tried = numbers(count, most)
        if len(tried) < count:
            left_out.append(f"{kind}: {len(tried)} of {count}")
        for n in tried:
            points.append((name, "", f"{kind}:{n}:{ERRORS[kind]}"))
            points.append((name, "", f"{kind}:{n}:{ERRORS[kind]}:ever"))
    return points, left_out


def spread(points):
    """The same in an order of which every beginning is spread over all."""
    return [point for _, point in sorted((0.6180339887498949 * i % 1, point) for i, point in enumerate(points))]


def judge(work, outcome, reference):
    """What is wrong with a disturbed run, '' if nothing, and whether it failed (else it did without what failed)."""
    place = work.place
    failed = outcome.code == 1
    wrong = []
    if outcome.code not in (0, 1):
        return f"it ended with {outcome.code}: {outcome.err[-300:]}", True
    if not failed:
        return ("" if work.digest() == reference else "it did without what failed, and its results differ"), False
    if len(outcome.errors()) != 1 or not outcome.err.splitlines()[-1].startswith("ito: "):
        wrong.append(f"its error is not one line at the end: {outcome.err[-300:]!r}")
    left = trial.litter(work.out.parent) + trial.litter(place.cache)
    if left:
        wrong.append(f"it left {', '.join(left)}")
    counts = read_counts(place.folder / "vulkan.txt")
    for make, destroy in PAIRS:
        made, refused = counts.get(make, (0, 0))
        if made - refused > counts.get(destroy, (0, 0))[0]:
            wrong.append(f"{make} succeeded {made - refused} times, {destroy} was called {counts.get(destroy, (0, 0))[0]}")
    kept = work.kept()
    again = trial.run(place, work.command())
    if again.code != 0:
        wrong.append(f"the next run ends with {again.code}: {again.err[-300:]}")
    else:
        if work.digest() != reference:
            wrong.append("the next run's results differ")
        lost = work.check_kept(kept, again)
        if lost:
            wrong.append("the next run: " + lost)
        left = trial.litter(work.out.parent)
        if left:
            wrong.append(f"the next run left {', '.join(left)}")
    return "; ".join(wrong), True


def program_of(work):
    return Path(work.command()[0]).name


def count_work(place, name, most, only):
    work = trial.WORKS[name](place)
    # Twice undisturbed, so that shaders are compiled, and then counted.
    for _ in range(2):
        work.prepare()
        outcome = trial.run(place, work.command(), limit=600)
        assert outcome.code == 0, f"{name} undisturbed: {outcome.err}"
    reference = work.digest()
    work.prepare()
    clear_counts(place)
    outcome = trial.run(place, work.command(), environment(place, program_of(work)), limit=600)
    assert outcome.code == 0, f"{name} counted: {outcome.err}"
    assert work.digest() == reference, f"{name} is not the same twice"
    vulkan, calls = read_counts(place.folder / "vulkan.txt"), read_counts(place.folder / "calls.txt")
    assert vulkan and calls, f"{name}: nothing was counted"
    if only:
        vulkan, calls = ({name: n for name, n in counts.items() if name in only} for counts in (vulkan, calls))
    points, left_out = points_of(name, vulkan, calls, most)
    can_fail = {f: c for f, (c, failed) in vulkan.items() if failed is not None}
    print(f"{name}: {sum(can_fail.values())} calls of {len(can_fail)} functions of Vulkan that can fail, "
          + ", ".join(f"{c} {kind}" for kind, (c, _) in calls.items()))
    if left_out:
        print(f"  more calls than {most}, the same loop's: " + ", ".join(left_out))
    return reference, points


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("build")
    parser.add_argument("--works", default=",".join(trial.WORKS))
    parser.add_argument("--only", default="")
    parser.add_argument("--most", type=int, default=16)
    parser.add_argument("--sample", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=0)
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="ito_failure_points_") as folder:
        first = trial.Place(options.build, Path(folder) / "0")
        references, points = {}, []
        for name in options.works.split(","):
            references[name], more = count_work(first, name, options.most, set(filter(None, options.only.split(","))))
            points += more
        of_all = len(points)
        if options.sample and options.sample < of_all:
            points = [points[i * of_all // options.sample] for i in range(options.sample)]
        if options.seconds:
            points = spread(points)
        print(f"{len(points)} of {of_all} points, {time.monotonic() - begin:.0f} s so far", flush=True)

        places = queue.Queue()
        for i in range(options.workers):
            places.put(first.copy(Path(folder) / str(i + 1)))
        for name in ("begun", "model"):
            if (first.folder / name).exists():
                for place in list(places.queue):
                    shutil.copytree(first.folder / name, place.folder / name)

        def attempt(point):
            if options.seconds and time.monotonic() - begin > options.seconds:
                return None
            name, vulkan_rule, call_rule = point
            place = places.get()
            try:
                work = trial.WORKS[name](place)
                work.prepare()
                clear_counts(place)
                outcome = trial.run(place, work.command(),
                                    environment(place, program_of(work), vulkan_rule, call_rule))
                counts = read_counts(place.folder / "vulkan.txt") | read_counts(place.folder / "calls.txt")
                reached = any(failed for _, failed in counts.values()) or outcome.code != 0
                wrong, failed = judge(work, outcome, references[name])
                return wrong, reached, failed
            finally:
                for path in place.cache.rglob("*.tmp"):
                    path.unlink(missing_ok=True)
                places.put(place)

        tally = {}
        findings = tried = 0
        with concurrent.futures.ThreadPoolExecutor(options.workers) as pool:
            for point, result in zip(points, pool.map(attempt, points)):
                if result is None:
                    continue
                wrong, reached, failed = result
                tried += 1
                kind = "found wrong" if wrong else "failed" if failed else "did without" if reached else "not reached"
                tally.setdefault(point[0], {}).setdefault(kind, 0)
                tally[point[0]][kind] += 1
                if wrong:
                    findings += 1
                    print(f"{point[0]} with {point[1] or point[2]}: {wrong}", flush=True)
        for name, kinds in tally.items():
            print(f"{name}: " + ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items())))
        print(f"{tried} of {of_all} points, {findings} findings, {time.monotonic() - begin:.0f} s")
        return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
