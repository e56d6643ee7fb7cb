"""What the drivers of faults share: the small works that are disturbed, how a program is run and judged.

A work is a command of `ito` (or a program that embeds it) on tiny inputs, with a digest of what it leaves behind. Not
for which faults there are (failure_points.py, kill_and_disk.py).
"""
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import time
import zipfile
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]


def npy(shape, values):
    """An array of bytes as an .npy file."""
    header = "{'descr': '|u1', 'fortran_order': False, 'shape': (%s,), }" % ", ".join(map(str, shape))
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + bytes(values)


def write_data(path):
    """48 images of 8x8 in three classes."""
    pixels = [(p * (i % 3 + 1) * 7 + i * 5) % 256 for i in range(48) for p in range(64)]
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("images.npy", npy((48, 8, 8), pixels))
        file.writestr("labels.npy", npy((48,), [i % 3 for i in range(48)]))


class Place:
    """The programs, the launcher that gives them a device, and folders of one worker."""

    def __init__(self, build, folder):
        self.build = Path(build).resolve()
        self.ito = self.build / "apps/ito"
        self.job = self.build / "tests/faults/ito_fault_job"
        self.layer = self.build / "layers/faults/layer"
        self.interpose = self.build / "tests/faults/libito_interpose.so"
        launcher = os.environ.get("ITO_LAUNCHER", "")
        self.launcher = launcher.split()
        self.folder = Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.cache = self.folder / "cache"
        self.data = self.folder / "data.npz"
        write_data(self.data)
        home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
        self.environment = dict(os.environ, XDG_CACHE_HOME=str(self.cache))
        self.environment.setdefault("MESA_SHADER_CACHE_DIR", str(home))
        # The launcher looks for its driver in the user's cache folder, once.
        if self.launcher:
            chosen = subprocess.run(self.launcher + ["env"], capture_output=True, text=True, check=True, env=os.environ)
            lines = chosen.stdout
            found = re.search(r"^ITO_LAVAPIPE_CHOICE=((?:.*\n){5})", lines, re.M)
            if found:
                self.environment["ITO_LAVAPIPE_CHOICE"] = found.group(1).rstrip("\n") + "\n"

    def copy(self, folder):
        """The same with folders of its own, the caches as they are now."""
        other = Place(self.build, folder)
        if self.cache.exists():
            shutil.copytree(self.cache, other.cache, dirs_exist_ok=True)
        return other


class Outcome:
    """code: the exit status, or minus the signal that ended the program."""

    def __init__(self, code, out, err, seconds):
        self.code, self.out, self.err, self.seconds = code, out, err, seconds

    def errors(self):
        return [line for line in self.err.splitlines() if line.startswith("ito: ")]


def run(place, command, environment=None, limit=120):
    """Runs a command of this place's to its end; one that takes longer than `limit` seconds counts as hanging."""
    begin = time.monotonic()
    words = place.launcher + [str(word) for word in command]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, errors="replace",
                               start_new_session=True, env=dict(place.environment, **(environment or {})))
    try:
        out, err = process.communicate(timeout=limit)
        code = process.returncode
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        out, err = process.communicate()
        code = "hangs"
    # A shell between says 128 and the signal's number.
    if isinstance(code, int) and 128 < code < 160 and code != 130:
        code = 128 - code
    return Outcome(code, out, err, time.monotonic() - begin)


def digest(paths):
    """Of files' names and bytes; of a metrics.jsonl without what a clock says."""
    total = hashlib.sha256()
    for path in paths:
        content = path.read_bytes()
        if path.name == "metrics.jsonl":
            rows = [json.loads(line) for line in content.decode().splitlines()]
            content = json.dumps([{k: v for k, v in row.items() if k != "seconds"} for row in rows]).encode()
        total.update(path.name.encode() + b"\0" + content)
    return total.hexdigest()


def checkpoints(run_folder):
    """Steps of the checkpoints that a run shows."""
    names = [path.name for path in run_folder.glob("checkpoint-*")] if run_folder.exists() else []
    return sorted(int(name.split("-")[1]) for name in names if re.fullmatch(r"checkpoint-\d+", name))


def litter(folder):
    """Temporary files that nobody removed."""
    return [str(path.relative_to(folder)) for path in folder.rglob("*")
            if path.name.endswith(".tmp") or path.name.endswith(".old")]


class Train:
    """Four steps of a training with a checkpoint every two and a grid of samples; or the last two of them."""

    def __init__(self, place, resumes=False):
        self.name = "resume" if resumes else "train"
        self.place, self.resumes = place, resumes
        self.out = place.folder / "work" / "run"

    def command(self, steps=4):
        return [self.place.ito, "train", "--data", self.place.data, "--out", self.out, "--steps", steps, "--batch", 2,
                "--channels", 8, "--size", 8, "--checkpoint-every", 2, "--log-every", 1, "--keep", 3,
                "--sample-every", 4, "--json"]

    def prepare(self):
        shutil.rmtree(self.out.parent, ignore_errors=True)
        self.out.parent.mkdir(parents=True)
        if not self.resumes:
            return
        begun = self.place.folder / "begun"
        if not begun.exists():
            outcome = run(self.place, self.command(steps=2))
            assert outcome.code == 0, outcome.err
            self.out.rename(begun)
        shutil.copytree(begun, self.out)

    def digest(self):
        return digest([self.out / "unet/diffusion_pytorch_model.safetensors", self.out / "checkpoint-4/state.safetensors",
                       self.out / "metrics.jsonl"])

    def kept(self):
        """What must still be there, in a form that check_kept understands."""
        steps = checkpoints(self.out)
        return steps[-1] if steps else 0

    def check_kept(self, kept, outcome):
        first = json.loads(outcome.out)["first_step"]
        return "" if first >= kept else f"it goes on from step {first}, checkpoint {kept} was there"


class OnModel:
    """A work that uses the model of a training."""

    def __init__(self, place):
        self.place = place
        self.model = place.folder / "model"
        self.out = place.folder / "work" / "out"

    def prepare(self):
        shutil.rmtree(self.out.parent, ignore_errors=True)
        self.out.parent.mkdir(parents=True)
        if self.model.exists():
            return
        training = Train(self.place)
        training.prepare()
        outcome = run(self.place, training.command())
        assert outcome.code == 0, outcome.err
        training.out.rename(self.model)
        self.out.parent.mkdir(parents=True, exist_ok=True)

    def kept(self):
        return 0

    def check_kept(self, kept, outcome):
        return ""


class Sample(OnModel):
    name = "sample"

    def command(self):
        return [self.place.ito, "sample", "--model", self.model, "--sampler", "ddim", "--steps", 2, "--seeds", "0-3",
                "--batch", 2, "--out", self.out, "--json"]

    def digest(self):
        return digest(sorted(self.out.rglob("*.png")))

    def kept(self):
        return len(list(self.out.rglob("*.png"))) if self.out.exists() else 0

    def check_kept(self, kept, outcome):
        skipped = json.loads(outcome.out)["skipped"]
        return "" if skipped >= kept else f"{kept} images were there, {skipped} are taken for whole"


class Likelihood(OnModel):
    name = "likelihood"

    def command(self):
        return [self.place.ito, "likelihood", "--model", self.model, "--data", self.place.data, "--num", 2, "--rtol",
                "1e-2", "--atol", "1e-2", "--table", self.out.with_suffix(".csv")]

    def digest(self):
        return digest([self.out.with_suffix(".csv")])


class Job(OnModel):
    name = "job"

    def command(self):
        return [self.place.job, self.model, self.place.cache / "job", self.out]

    def digest(self):
        return digest([self.out])


WORKS = {"train": Train, "resume": lambda place: Train(place, resumes=True), "sample": Sample,
         "likelihood": Likelihood, "job": Job}
