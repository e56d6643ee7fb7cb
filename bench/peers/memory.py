#!/usr/bin/env python3
"""The memory of a training beside PyTorch's: the largest resident set of each process.

    bench/peers/memory.py [--batch 4] [--steps 3] [--python /usr/bin/python3]

Both train a network of google/ddpm-cifar10-32's size (channels 128, 256, 256, 256, two residual
blocks a level, attention where it is smallest) for a few steps in float32 with AdamW and an average
of the weights, and write a checkpoint of everything at the end. What a CPU driver calls device
memory is the process's own, so both figures hold everything. Prints one row each and the ratio;
above 1 Ito takes more.
"""

import argparse
import os
import shlex
import struct
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
PYTORCH = """
import sys
sys.path.insert(0, {here!r})
import pytorch_bench, torch
pytorch_bench.MODELS["measured"] = dict(channels=(128, 256, 256, 256), layers=2, groups=32, attention=(3,),
                                        image_channels=3, classes=0)
step, state = pytorch_bench.training("measured", {batch}, "cpu")
for _ in range({steps}):
    step()
torch.save(state(), {out!r})
"""


def peak_of(command):
    """The largest resident set, in MB, of a process and those that it became."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        sys.exit(f"{shlex.join(command)}: exit {process.returncode}")
    return usage.ru_maxrss / 1024


def write_images(path, count):
    """Bytes [count, 32, 32, 3] as NumPy writes them."""
    shape = f"{{'descr': '|u1', 'fortran_order': False, 'shape': ({count}, 32, 32, 3), }}"
    header = shape.encode().ljust(118 - 1) + b"\n"
    with open(path, "wb") as file:
        file.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header)
        file.write(bytes(i * 73 % 256 for i in range(count * 32 * 32 * 3)))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--python", default=sys.executable, help="a Python that has PyTorch")
    parser.add_argument("--ito", default=f"{ROOT}/scripts/with-lavapipe {ROOT}/build/release/apps/ito")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        images = os.path.join(folder, "images.npy")
        write_images(images, 300)
        ito = peak_of([*shlex.split(options.ito), "train", "--data", images, "--out", os.path.join(folder, "run"),
                       "--channels", "128,256,256,256", "--layers-per-block", "2", "--norm-groups", "32",
                       "--batch", str(options.batch), "--steps", str(options.steps)])
        print(f"ito      {ito:7.0f} MB", flush=True)
        code = PYTORCH.format(here=HERE, batch=options.batch, steps=options.steps,
                              out=os.path.join(folder, "checkpoint.pt"))
        pytorch = peak_of([options.python, "-c", code])
        print(f"pytorch  {pytorch:7.0f} MB\nratio    {ito / pytorch:7.2f}")


if __name__ == "__main__":
    main()
