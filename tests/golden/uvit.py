#!/usr/bin/env python3
"""U-ViT in plain PyTorch (1.13), after Bao et al. 2023 and with the parameter names of the authors' release:
prints what a test of such a network expects (weights and samples as tests/nn/sine_network.h has them). In
double precision.

    python3 tests/golden/uvit.py
"""
import math

import numpy as np
import torch
from torch import nn
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)


class Block(nn.Module):
    def __init__(self, c, joined):
        super().__init__()
        d = c["features"]
        self.heads = c["heads"]
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(d, 3 * d, bias=c["qkv_bias"]), "proj": nn.Linear(d, d)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(d, 4 * d), "fc2": nn.Linear(4 * d, d)})
        if joined:
            self.skip_linear = nn.Linear(2 * d, d)

    def attention(self, x):
        n, tokens, d = x.shape
        q, k, v = (part.view(n, tokens, self.heads, -1).transpose(1, 2)
                   for part in self.attn["qkv"](x).chunk(3, 2))
        weights = (q @ k.transpose(2, 3) / math.sqrt(d // self.heads)).softmax(-1)
        return self.attn["proj"]((weights @ v).transpose(1, 2).reshape(n, tokens, d))

    def forward(self, x, early=None):
        if early is not None:
            x = self.skip_linear(torch.cat([x, early], 2))
        x = x + self.attention(self.norm1(x))
        return x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x))))


class UViT(nn.Module):
    def __init__(self, c):
        super().__init__()
        d, p, self.c = c["features"], c["patch_size"], c
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(c["in_channels"], d, p, stride=p)})
        tokens = c["height"] // p * (c["width"] // p) + 1
        if c["classes"]:
            self.label_emb = nn.Embedding(c["classes"], d)
            tokens += 1
        self.pos_embed = nn.Parameter(torch.zeros(1, tokens, d))
        half = c["depth"] // 2
        self.in_blocks = nn.ModuleList(Block(c, False) for _ in range(half))
        self.mid_block = Block(c, False)
        self.out_blocks = nn.ModuleList(Block(c, True) for _ in range(half))
        self.norm = nn.LayerNorm(d)
        self.decoder_pred = nn.Linear(d, p * p * c["out_channels"])
        if c["final_conv"]:
            self.final_layer = nn.Conv2d(c["out_channels"], c["out_channels"], 3, padding=1)

    def forward(self, x, t, y=None):
        d, p, (h, w) = self.c["features"], self.c["patch_size"], x.shape[2:]
        # Half of the features are cosines, half sines, of t times 10000^(-i/half), where the frequencies are
        # rounded to single precision at each step, as DDPM's are.
        exponents = np.float32(-math.log(10000)) * np.arange(d // 2, dtype=np.float32) / np.float32(d // 2)
        angles = t[:, None] * torch.from_numpy(np.exp(exponents.astype(np.float64)).astype(np.float32)).double()
        tokens = [torch.cat([angles.cos(), angles.sin()], 1)[:, None],
                  self.patch_embed["proj"](x).flatten(2).transpose(1, 2)]
        if self.c["classes"]:
            tokens.insert(0, self.label_emb(y)[:, None])
        x = torch.cat(tokens, 1) + self.pos_embed
        kept = []
        for block in self.in_blocks:
            x = block(x)
            kept.append(x)
        x = self.mid_block(x)
        for block in self.out_blocks:
            x = block(x, kept.pop())
        x = self.decoder_pred(self.norm(x))[:, len(tokens) - 1:]
        x = x.view(-1, h // p, w // p, p, p, self.c["out_channels"]).permute(0, 5, 1, 3, 2, 4)
        x = x.reshape(-1, self.c["out_channels"], h, w)
        return self.final_layer(x) if self.c["final_conv"] else x


TINY = {"in_channels": 2, "out_channels": 2, "height": 4, "width": 8, "patch_size": 2, "features": 12,
        "depth": 5, "heads": 2, "classes": 4, "final_conv": True, "qkv_bias": False}


def summary(array):
    flat = array.detach().reshape(-1)
    return {"norm": flat.norm().item(), "dot": (flat * torch.arange(len(flat)).cos()).sum().item()}


def print_case(name, config, images, t, y):
    """Output and gradients for weights and a sample that are sines, NHWC as Ito has it."""
    c = {**TINY, **config}
    net = UViT(c)
    parameters = dict(sorted(net.named_parameters()))
    for k, p in enumerate(parameters.values()):
        p.data = (0.3 * torch.sin(0.7 * torch.arange(p.numel()) + 1.3 * k)).view(p.shape)
    shape = (images, c["height"], c["width"], c["in_channels"])
    x = torch.sin(1.1 * torch.arange(math.prod(shape))).view(shape).permute(0, 3, 1, 2)
    out = net(x, torch.tensor(t), torch.tensor(y))
    out.square().mean().backward()
    gradient = torch.cat([p.grad.reshape(-1) for p in parameters.values()])
    nhwc = out.permute(0, 2, 3, 1)
    print(f"{name}: first {nhwc.reshape(-1)[:4].tolist()}\n  output {summary(nhwc)}\n"
          f"  gradient {summary(gradient)}, of {len(gradient)}")


def count(**config):
    return sum(p.numel() for p in UViT({**TINY, **config}).parameters())


if __name__ == "__main__":
    print_case("classes", {}, 2, [7.0, 801.0], [2, 3])
    print_case("no classes, a variance, other options",
               {"classes": 0, "out_channels": 4, "final_conv": False, "qkv_bias": True, "depth": 3,
                "patch_size": 3, "height": 6, "width": 6, "heads": 3}, 1, [250.0], [0])
    print("U-ViT-S/2 for CIFAR-10:",
          count(in_channels=3, out_channels=3, height=32, width=32, features=512, depth=13, heads=8, classes=0))
