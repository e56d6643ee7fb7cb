#!/usr/bin/env python3
"""A diffusion transformer in plain PyTorch (1.13), after Peebles & Xie 2023 and with the parameter names
of diffusers' DiTTransformer2DModel: writes tests/golden/unet/dit_class, and prints what
tests/nn/dit_test.cpp expects. Everything in double precision from float32 inputs.

    python3 tests/golden/dit.py
"""
import json
import math
import os
import struct

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


def axis_features(places, features):
    """[len(places), features]: sines, then cosines, of places times 10000^(-2 i/features)."""
    half = features // 2
    angles = places[:, None] / 10000 ** (torch.arange(half) / half)
    return torch.cat([angles.sin(), angles.cos()], 1)


class Embedder(nn.Module):
    def __init__(self, classes, width):
        super().__init__()
        self.timestep_embedder = nn.ModuleDict(
            {"linear_1": nn.Linear(256, width), "linear_2": nn.Linear(width, width)})
        self.class_embedder = nn.ModuleDict({"embedding_table": nn.Embedding(classes + 1, width)})

    def forward(self, t, y):
        # 128 frequencies from 1 to 1/10000, cosines first; the frequencies are rounded to single
        # precision at each step, as DDPM's and diffusers' are: t is up to a thousand.
        exponents = np.float32(-math.log(10000)) * np.arange(128, dtype=np.float32) / np.float32(127)
        frequencies = np.exp(exponents.astype(np.float64)).astype(np.float32)
        angles = t[:, None] * torch.from_numpy(frequencies).to(t.dtype)
        h = self.timestep_embedder["linear_1"](torch.cat([angles.cos(), angles.sin()], 1))
        return (self.timestep_embedder["linear_2"](F.silu(h))
                + self.class_embedder["embedding_table"](y))


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        d = c["num_attention_heads"] * c["attention_head_dim"]
        self.c, self.heads = c, c["num_attention_heads"]
        self.norm1 = nn.ModuleDict(
            {"emb": Embedder(c["num_embeds_ada_norm"], d), "linear": nn.Linear(d, 6 * d)})
        bias = c["attention_bias"]
        self.attn1 = nn.ModuleDict({n: nn.Linear(d, d, bias=bias) for n in ("to_q", "to_k", "to_v")})
        self.attn1["to_out"] = nn.ModuleList([nn.Linear(d, d)])
        if c["norm_elementwise_affine"]:
            self.norm3 = nn.LayerNorm(d)
        self.ff = nn.ModuleDict({"net": nn.ModuleList(
            [nn.ModuleDict({"proj": nn.Linear(d, 4 * d)}), nn.Identity(), nn.Linear(4 * d, d)])})

    def attention(self, x):
        n, tokens, d = x.shape
        q, k, v = (self.attn1[name](x).view(n, tokens, self.heads, -1).transpose(1, 2)
                   for name in ("to_q", "to_k", "to_v"))
        scores = q @ k.transpose(2, 3) / math.sqrt(d // self.heads)
        return self.attn1["to_out"][0]((scores.softmax(-1) @ v).transpose(1, 2).reshape(x.shape))

    def forward(self, x, told):
        d = x.shape[-1:]
        shift_a, scale_a, gate_a, shift_f, scale_f, gate_f = (
            m[:, None] for m in self.norm1["linear"](F.silu(told)).chunk(6, 1))
        h = F.layer_norm(x, d, eps=1e-6) * (1 + scale_a) + shift_a
        x = x + gate_a * self.attention(h)
        affine = self.c["norm_elementwise_affine"]
        h = F.layer_norm(x, d, self.norm3.weight if affine else None,
                         self.norm3.bias if affine else None, self.c["norm_eps"])
        h = self.ff["net"][0]["proj"](h * (1 + scale_f) + shift_f)
        h = F.gelu(h, approximate="tanh" if self.c["activation_fn"] == "gelu-approximate" else "none")
        return x + gate_f * self.ff["net"][2](h)


class DiT(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, p = c["num_attention_heads"] * c["attention_head_dim"], c["patch_size"]
        self.c, self.d, self.p = c, d, p
        self.out = c["out_channels"] or c["in_channels"]
        self.pos_embed = nn.ModuleDict({"proj": nn.Conv2d(c["in_channels"], d, p, stride=p)})
        self.transformer_blocks = nn.ModuleList(Block(c) for _ in range(c["num_layers"]))
        self.proj_out_1 = nn.Linear(d, 2 * d)
        self.proj_out_2 = nn.Linear(d, p * p * self.out)

    def forward(self, x, t, y):
        h, w = x.shape[2] // self.p, x.shape[3] // self.p
        base = self.c["sample_size"] // self.p
        columns = axis_features(torch.arange(w) * (base / w), self.d // 2)
        rows = axis_features(torch.arange(h) * (base / h), self.d // 2)
        places = torch.cat([columns[None].expand(h, w, -1), rows[:, None].expand(h, w, -1)], 2)
        x = self.pos_embed["proj"](x).flatten(2).transpose(1, 2) + places.reshape(1, h * w, self.d)
        for block in self.transformer_blocks:
            x = block(x, block.norm1["emb"](t, y))
        told = self.transformer_blocks[0].norm1["emb"](t, y)
        shift, scale = (m[:, None] for m in self.proj_out_1(F.silu(told)).chunk(2, 1))
        x = self.proj_out_2(F.layer_norm(x, (self.d,), eps=1e-6) * (1 + scale) + shift)
        x = x.view(-1, h, w, self.p, self.p, self.out).permute(0, 5, 1, 3, 2, 4)
        return x.reshape(-1, self.out, h * self.p, w * self.p)


TINY = {"num_attention_heads": 2, "attention_head_dim": 6, "in_channels": 2, "out_channels": None,
        "num_layers": 2, "dropout": 0.0, "norm_num_groups": 32, "attention_bias": True,
        "sample_size": 8, "patch_size": 2, "activation_fn": "gelu-approximate",
        "num_embeds_ada_norm": 3, "upcast_attention": False, "norm_type": "ada_norm_zero",
        "norm_elementwise_affine": False, "norm_eps": 1e-5}


def summary(array):
    flat = array.detach().reshape(-1)
    return {"norm": flat.norm().item(), "dot": (flat * torch.arange(len(flat)).cos()).sum().item()}


def print_case(name, config, shape, t, y):
    """Output and gradients for weights and a sample that are sines, NHWC as Ito has it."""
    net = DiT({**TINY, **config})
    parameters = dict(sorted(net.named_parameters()))
    for k, p in enumerate(parameters.values()):
        p.data = (0.3 * torch.sin(0.7 * torch.arange(p.numel()) + 1.3 * k)).view(p.shape)
    n, h, w, c = shape
    x = torch.sin(1.1 * torch.arange(n * h * w * c)).view(shape).permute(0, 3, 1, 2)
    out = net(x, torch.tensor(t), torch.tensor(y))
    out.square().mean().backward()
    gradient = torch.cat([p.grad.reshape(-1) for p in parameters.values()])
    nhwc = out.permute(0, 2, 3, 1)
    print(f"{name}: first {nhwc.reshape(-1)[:4].tolist()}\n  output {summary(nhwc)}\n"
          f"  gradient {summary(gradient)}, of {len(gradient)}")


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, array in tensors.items():
        kind = {"float32": "F32", "int64": "I64"}[str(array.dtype)]
        raw = np.ascontiguousarray(array).tobytes()
        header[name] = {"dtype": kind, "shape": list(array.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps({"__metadata__": {"format": "pt"}, **header}).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


def write_golden(folder):
    config = {**TINY, "in_channels": 3, "out_channels": 6, "attention_head_dim": 8}
    torch.manual_seed(0)
    net = DiT(config)
    for name, p in net.named_parameters():  # nothing is zero, as nothing would be learnt of it
        scale = 1 / math.sqrt(p.shape[-1]) if p.dim() > 1 else 0.2
        p.data = (torch.randn(p.shape) * scale).float().double()
    x, noise = torch.randn(2, 3, 8, 8).float(), torch.randn(2, 6, 8, 8).float()
    t, y = torch.tensor([7, 801]), torch.tensor([1, 3])  # a class, and none

    def run(kind):
        net.to(kind).zero_grad()
        sample = x.to(kind).clone().requires_grad_()
        torch.set_default_dtype(kind)
        out = net(sample, t.to(kind), y)
        loss = (out - noise.to(kind)).square().mean()
        loss.backward()
        torch.set_default_dtype(torch.float64)
        return {"out": out.detach().double(), "d_sample": sample.grad.double(),
                "loss": loss.detach().double(),
                "grad": {n: p.grad.double() for n, p in net.named_parameters()}}

    single, exact = run(torch.float32), run(torch.float64)
    largest = max(g.abs().max().item() for g in exact["grad"].values())
    error = {k: ((single[k] - exact[k]).abs().max() / exact[k].abs().max()).item()
             for k in ("out", "d_sample", "loss")}
    error["grad"] = max((single["grad"][n] - g).abs().max().item()
                        for n, g in exact["grad"].items()) / largest
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "config.json"), "w") as file:
        json.dump({"_class_name": "DiTTransformer2DModel", "_diffusers_version": "0.40.0", **config},
                  file, indent=2, sort_keys=True)
        file.write("\n")
    numbers = lambda v: v.float().numpy()
    write_safetensors(os.path.join(folder, "diffusion_pytorch_model.safetensors"),
                      {n: numbers(p.detach()) for n, p in sorted(net.named_parameters())})
    tensors = {"sample": x.numpy(), "noise": noise.numpy(), "timestep": t.numpy(),
               "class_labels": y.numpy(), "out": numbers(exact["out"]),
               "d_sample": numbers(exact["d_sample"])}
    table = {}
    for name, g in sorted(exact["grad"].items()):
        table[name] = summary(g)
        flat = g.reshape(-1)
        if len(flat) > 256:
            table[name]["stride"] = 11
            flat = flat[::11]
        tensors["grad." + name] = numbers(flat if len(flat) != g.numel() else g)
    write_safetensors(os.path.join(folder, "io.safetensors"), tensors)
    case = {"grad": table, "grad_max_abs": largest, "kind": "dit", "loss": exact["loss"].item(),
            "params": sum(p.numel() for p in net.parameters()), "torch_fp32_err": error,
            "zero_grad_params": [n for n in table if n.endswith(".to_k.bias")]}
    with open(os.path.join(folder, "io.json"), "w") as file:
        json.dump(case, file, indent=1, sort_keys=True)
        file.write("\n")
    print(folder, case["params"], "weights", error)


if __name__ == "__main__":
    print_case("classes and a variance", {"out_channels": 4}, (2, 4, 8, 2), [7.0, 801.0], [2, 3])
    print_case("no classes, other options",
               {"num_embeds_ada_norm": 0, "attention_bias": False, "activation_fn": "gelu",
                "norm_elementwise_affine": True, "norm_eps": 1e-3, "patch_size": 3,
                "sample_size": 6, "num_attention_heads": 3, "attention_head_dim": 4},
               (1, 6, 6, 2), [250.0], [0])
    write_golden(os.path.join(os.path.dirname(__file__), "unet", "dit_class"))
