#!/usr/bin/env python3
"""The workloads of `ito bench` in PyTorch, eager and in float32.

    bench/peers/pytorch_bench.py train_step_b32 matmul_512 [--threads 2] [--device cpu] [--rounds 7]

Names are those of the rows of `ito bench`. Prints one JSON object: about PyTorch, and for each name
the milliseconds of every round. With --serve it reads requests {"names": [...], "rounds": 3,
"seconds": 0.3} line by line instead and answers each with such a line: bench/peers/compare.py takes
turns with it. Without PyTorch it says so and ends with 3.
"""

import argparse
import json
import os
import re
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    print("PyTorch is not installed for this Python (Debian: python3-torch libopenblas0-openmp, "
          "and /usr/bin/python3)", file=sys.stderr)
    sys.exit(3)


def conv(channels, side, direction, stride, device):
    x = torch.randn(16, channels, side, side, device=device)
    w = torch.randn(channels, channels, 3, 3, device=device)
    dy = torch.randn(16, channels, side // stride, side // stride, device=device)
    if direction == "forward":
        return lambda: F.conv2d(x, w, stride=stride, padding=1)
    masks = {"grad_input": (True, False, False), "grad_weight": (False, True, False)}
    return lambda: torch.ops.aten.convolution_backward(
        dy, x, w, None, (stride, stride), (1, 1), (1, 1), False, (0, 0), 1, masks[direction])


def matmul(n, transposed, device):
    a, b = torch.randn(n, n, device=device), torch.randn(n, n, device=device)
    return lambda: a @ (b.t() if transposed else b)


def attention(batch, tokens, channels, heads, with_gradient, device):
    shape = (batch, heads, tokens, channels // heads)
    q, k, v = (torch.randn(shape, device=device, requires_grad=with_gradient) for _ in range(3))
    dy = torch.randn(shape, device=device)

    def attend():
        if hasattr(F, "scaled_dot_product_attention"):
            return F.scaled_dot_product_attention(q, k, v)
        return torch.softmax(q @ k.transpose(-1, -2) * (channels // heads) ** -0.5, -1) @ v

    if with_gradient:
        return lambda: torch.autograd.grad(attend(), (q, k, v), dy)
    return attend


def group_norm(activated, n, h, w, c, device):
    x = torch.randn(n, c, h, w, device=device)
    gamma, beta = torch.randn(c, device=device), torch.randn(c, device=device)

    def norm():
        y = F.group_norm(x, 8, gamma, beta, 1e-5)
        return F.silu(y) if activated else y

    return norm


class TimeEmbedding(torch.nn.Module):
    """Sinusoidal features of t and two linear layers, plus the class embedding where there is one."""

    def __init__(self, width, classes):
        super().__init__()
        self.width = width
        self.linear_1 = torch.nn.Linear(width, 4 * width)
        self.linear_2 = torch.nn.Linear(4 * width, 4 * width)
        self.classes = torch.nn.Embedding(classes, 4 * width) if classes else None

    def forward(self, t, labels):
        half = self.width // 2
        rate = torch.exp(torch.arange(half, device=t.device) * (-9.210340371976184 / half))
        angle = t[:, None].float() * rate
        features = torch.cat([torch.cos(angle), torch.sin(angle)], 1)
        embedding = self.linear_2(F.silu(self.linear_1(features)))
        return embedding if self.classes is None else embedding + self.classes(labels)


class Residual(torch.nn.Module):
    def __init__(self, inputs, outputs, embedding, groups):
        super().__init__()
        self.norm_1, self.norm_2 = torch.nn.GroupNorm(groups, inputs), torch.nn.GroupNorm(groups, outputs)
        self.conv_1 = torch.nn.Conv2d(inputs, outputs, 3, padding=1)
        self.conv_2 = torch.nn.Conv2d(outputs, outputs, 3, padding=1)
        self.embed = torch.nn.Linear(embedding, outputs)
        same = inputs == outputs
        self.shortcut = torch.nn.Identity() if same else torch.nn.Conv2d(inputs, outputs, 1)

    def forward(self, x, e):
        y = self.conv_1(F.silu(self.norm_1(x))) + self.embed(F.silu(e))[:, :, None, None]
        return self.shortcut(x) + self.conv_2(F.silu(self.norm_2(y)))


class Attention(torch.nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.norm = torch.nn.GroupNorm(groups, channels)
        self.qkv, self.out = torch.nn.Linear(channels, 3 * channels), torch.nn.Linear(channels, channels)

    def forward(self, x):
        n, c, h, w = x.shape
        q, k, v = self.qkv(self.norm(x).flatten(2).transpose(1, 2)).chunk(3, -1)
        y = torch.softmax(q @ k.transpose(1, 2) * c ** -0.5, -1) @ v
        return x + self.out(y).transpose(1, 2).reshape(n, c, h, w)


class UNet(torch.nn.Module):
    """diffusers' UNet2DModel with one head of attention in the levels named. Where diffusers pads a
    downsampling convolution on one side only, this pads on both: the work is the same."""

    def __init__(self, channels, layers, groups, attention, image_channels, classes):
        super().__init__()
        embedding = 4 * channels[0]
        self.image = (image_channels, 32, 32)
        self.time = TimeEmbedding(channels[0], classes)
        self.conv_in = torch.nn.Conv2d(image_channels, channels[0], 3, padding=1)
        skips, width = [channels[0]], channels[0]

        def stage(inputs, outputs, level):
            parts = [Residual(inputs, outputs, embedding, groups)]
            if level in attention:
                parts.append(Attention(outputs, groups))
            return torch.nn.ModuleList(parts)

        self.down, self.shrink = torch.nn.ModuleList(), torch.nn.ModuleList()
        for level, c in enumerate(channels):
            block = torch.nn.ModuleList()
            for _ in range(layers):
                block.append(stage(width, c, level))
                width = c
                skips.append(c)
            self.down.append(block)
            if level + 1 < len(channels):
                self.shrink.append(torch.nn.Conv2d(c, c, 3, stride=2, padding=1))
                skips.append(c)
        self.middle = torch.nn.ModuleList([Residual(width, width, embedding, groups), Attention(width, groups),
                                           Residual(width, width, embedding, groups)])
        self.up, self.grow = torch.nn.ModuleList(), torch.nn.ModuleList()
        for level, c in reversed(list(enumerate(channels))):
            block = torch.nn.ModuleList()
            for _ in range(layers + 1):
                block.append(stage(width + skips.pop(), c, level))
                width = c
            self.up.append(block)
            if level > 0:
                self.grow.append(torch.nn.Conv2d(c, c, 3, padding=1))
        self.norm = torch.nn.GroupNorm(groups, width)
        self.conv_out = torch.nn.Conv2d(width, image_channels, 3, padding=1)

    def forward(self, x, t, labels):
        def through(parts, x):
            x = parts[0](x, e)
            return parts[1](x) if len(parts) > 1 else x

        e = self.time(t, labels)
        x = self.conv_in(x)
        skips = [x]
        for level, block in enumerate(self.down):
            for parts in block:
                x = through(parts, x)
                skips.append(x)
            if level < len(self.shrink):
                x = self.shrink[level](x)
                skips.append(x)
        x = self.middle[2](self.middle[1](self.middle[0](x, e)), e)
        for level, block in enumerate(self.up):
            for parts in block:
                x = through(parts, torch.cat([x, skips.pop()], 1))
            if level < len(self.grow):
                x = self.grow[level](F.interpolate(x, scale_factor=2.0, mode="nearest"))
        return self.conv_out(F.silu(self.norm(x)))


# As apps/bench_models.cpp has them; "default" is the network of `ito train` without options.
MODELS = {
    "default": dict(channels=(16, 32, 64), layers=1, groups=8, attention=(2,), image_channels=1, classes=10),
    "fmnist_small": dict(channels=(32, 64, 64), layers=1, groups=8, attention=(2,), image_channels=1, classes=10),
    "ddpm_cifar10": dict(channels=(128, 256, 256, 256), layers=2, groups=32, attention=(1,), image_channels=3,
                         classes=0),
}


def batch_of(model, batch, device):
    x = torch.rand(batch, *model.image, device=device) * 2 - 1
    return x, torch.randint(0, 1000, (batch,), device=device), torch.randint(0, 10, (batch,), device=device)


def evaluation(name, batch, device):
    model = UNet(**MODELS[name]).to(device).eval()
    x, t, labels = batch_of(model, batch, device)

    def evaluate():
        with torch.no_grad():
            model(x, t, labels)

    return evaluate


def training(name, batch, device):
    """A step of training, and what a checkpoint of it holds."""
    model = UNet(**MODELS[name]).to(device)
    average = [p.detach().clone() for p in model.parameters()]
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0)
    u = (torch.arange(1001, dtype=torch.float64) / 1000 + 0.008) / 1.008
    alpha_bar = (torch.cos(u * 1.5707963267948966) ** 2)[1:].float().clamp(min=1e-5).to(device)
    x0, _, labels = batch_of(model, batch, device)

    def step():
        t, noise = torch.randint(0, 1000, (batch,), device=device), torch.randn_like(x0)
        a = alpha_bar[t][:, None, None, None]
        loss = F.mse_loss(model(a.sqrt() * x0 + (1 - a).sqrt() * noise, t, labels), noise)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        with torch.no_grad():
            for mean, p in zip(average, model.parameters()):
                mean.lerp_(p, 0.001)

    return step, lambda: {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "average": average}


def workload(name, device):
    """The function to time for a row of ito.json, or None."""
    if m := re.fullmatch(r"conv_(\d+)x\d+_(\d+)x\d+_([a-z_]+?)(?:_stride(\d+))?", name):
        return conv(int(m[1]), int(m[2]), m[3], int(m[4] or 1), device)
    if m := re.fullmatch(r"matmul_(\d+)(_transposed)?", name):
        return matmul(int(m[1]), m[2] is not None, device)
    if m := re.fullmatch(r"attention_(\d+)x(\d+)x(\d+)h(\d+)_forward(_and_gradient)?", name):
        return attention(int(m[1]), int(m[2]), int(m[3]), int(m[4]), m[5] is not None, device)
    if m := re.fullmatch(r"groupnorm_(silu_)?(\d+)x(\d+)x(\d+)x(\d+)", name):
        return group_norm(m[1] is not None, *(int(m[i]) for i in range(2, 6)), device)
    if m := re.fullmatch(r"train_step_b(\d+)", name):
        return training("default", int(m[1]), device)[0]
    if (m := re.fullmatch(r"(\w+)_(forward|train)_b(\d+)", name)) and m[1] in MODELS:
        kind = evaluation if m[2] == "forward" else lambda *what: training(*what)[0]
        return kind(m[1], int(m[3]), device)
    return None


def milliseconds(function, rounds, seconds, device):
    """The time of one call, in each round."""
    def run(n):
        start = time.perf_counter()
        for _ in range(n):
            function()
        if device.startswith("cuda"):
            torch.cuda.synchronize()
        return time.perf_counter() - start

    run(2)
    n = max(1, int(seconds / max(run(1), 1e-6)))
    return [run(n) / n * 1e3 for _ in range(rounds)]


def blas():
    """The library that serves matrix products, where the system tells: Debian's PyTorch calls
    whatever libblas.so.3 is, and the reference BLAS is ten times slower than OpenBLAS."""
    try:
        with open("/proc/self/maps") as file:
            paths = {line.split()[-1] for line in file if "/" in line}
    except OSError:
        return "unknown"
    names = sorted({os.path.basename(p) for p in paths
                    if re.search(r"openblas|mkl_|blis|libblas|atlas", p) and "lapack" not in p})
    if any("openblas" in p for p in paths):
        names = [n for n in names if "openblas" in n] or ["openblas"]
    return " ".join(names) or "built in"


class Workloads:
    """Functions by row name, made when first asked for."""

    def __init__(self, device):
        self.device, self.functions = device, {}

    def measure(self, names, rounds, seconds):
        rows = {}
        for name in names:
            if name not in self.functions:
                torch.manual_seed(0)
                self.functions[name] = workload(name, self.device)
            if self.functions[name] is not None:
                rows[name] = milliseconds(self.functions[name], rounds, seconds, self.device)
        return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="names of rows of `ito bench`")
    parser.add_argument("--threads", type=int, default=0, help="0: one for each processor")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.1, help="per workload and round")
    parser.add_argument("--serve", action="store_true", help="answer requests on standard input")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads or len(os.sched_getaffinity(0)))
    about = {"pytorch": torch.__version__, "device": arguments.device, "blas": blas(),
             "threads": torch.get_num_threads()}
    workloads = Workloads(arguments.device)
    if not arguments.serve:
        rows = workloads.measure(arguments.names, arguments.rounds, arguments.seconds)
        print(json.dumps({**about, "rows": rows}, indent=2))
        return
    print(json.dumps(about), flush=True)
    for line in sys.stdin:
        print(json.dumps(workloads.measure(**json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
