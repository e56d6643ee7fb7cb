#!/usr/bin/env python3
"""Writes a folder of the shape of google/ddpm-cifar10-32, with random weights.

Configuration, file names and names of tensors are those of the published folder (of diffusers 0.0.4: a
PyTorch checkpoint whose attention is called query, key, value and proj_attn), 35,746,307 weights. It wants
PyTorch. Usage: ddpm_cifar10_shaped.py FOLDER
"""
import json
import pathlib
import sys

import torch

CHANNELS, LAYERS, EMBEDDING = [128, 256, 256, 256], 2, 512
DOWN = ["DownBlock2D", "AttnDownBlock2D", "DownBlock2D", "DownBlock2D"]
UP = ["UpBlock2D", "UpBlock2D", "AttnUpBlock2D", "UpBlock2D"]
weights = {}


def layer(name, *shape):
    fan_in = 1
    for extent in shape[1:]:
        fan_in *= extent
    weights[name + ".weight"] = torch.randn(*shape) * (0.5 / fan_in**0.5)
    weights[name + ".bias"] = torch.zeros(shape[0])


def norm(name, channels):
    weights[name + ".weight"] = torch.ones(channels)
    weights[name + ".bias"] = torch.zeros(channels)


def resnet(name, inside, outside):
    norm(name + ".norm1", inside)
    layer(name + ".conv1", outside, inside, 3, 3)
    layer(name + ".time_emb_proj", outside, EMBEDDING)
    norm(name + ".norm2", outside)
    layer(name + ".conv2", outside, outside, 3, 3)
    if inside != outside:
        layer(name + ".conv_shortcut", outside, inside, 1, 1)


def attention(name, channels):
    norm(name + ".group_norm", channels)
    for part in ("query", "key", "value", "proj_attn"):
        layer(f"{name}.{part}", channels, channels)


def main():
    torch.manual_seed(0)
    layer("conv_in", CHANNELS[0], 3, 3, 3)
    layer("time_embedding.linear_1", EMBEDDING, CHANNELS[0])
    layer("time_embedding.linear_2", EMBEDDING, EMBEDDING)
    before, skips = CHANNELS[0], [CHANNELS[0]]
    for level, channels in enumerate(CHANNELS):
        for k in range(LAYERS):
            resnet(f"down_blocks.{level}.resnets.{k}", before, channels)
            if DOWN[level].startswith("Attn"):
                attention(f"down_blocks.{level}.attentions.{k}", channels)
            before = channels
            skips.append(channels)
        if level + 1 < len(CHANNELS):
            layer(f"down_blocks.{level}.downsamplers.0.conv", channels, channels, 3, 3)
            skips.append(channels)
    for k in range(2):
        resnet(f"mid_block.resnets.{k}", before, before)
    attention("mid_block.attentions.0", before)
    for level, channels in enumerate(reversed(CHANNELS)):
        for k in range(LAYERS + 1):
            resnet(f"up_blocks.{level}.resnets.{k}", before + skips.pop(), channels)
            if UP[level].startswith("Attn"):
                attention(f"up_blocks.{level}.attentions.{k}", channels)
            before = channels
        if level + 1 < len(CHANNELS):
            layer(f"up_blocks.{level}.upsamplers.0.conv", channels, channels, 3, 3)
    norm("conv_norm_out", before)
    layer("conv_out", 3, before, 3, 3)
    count = sum(tensor.numel() for tensor in weights.values())
    assert count == 35_746_307, count

    out = pathlib.Path(sys.argv[1])
    (out / "unet").mkdir(parents=True)
    (out / "scheduler").mkdir()
    torch.save(weights, out / "unet" / "diffusion_pytorch_model.bin")
    unet = {
        "_class_name": "UNet2DModel", "_diffusers_version": "0.0.4", "act_fn": "silu",
        "attention_head_dim": None, "block_out_channels": CHANNELS, "center_input_sample": False,
        "down_block_types": DOWN, "downsample_padding": 0, "flip_sin_to_cos": False, "freq_shift": 1,
        "in_channels": 3, "layers_per_block": LAYERS, "mid_block_scale_factor": 1, "norm_eps": 1e-06,
        "norm_num_groups": 32, "out_channels": 3, "resnet_time_scale_shift": "default",
        "sample_size": 32, "time_embedding_type": "positional", "up_block_types": UP}
    scheduler = {
        "_class_name": "DDPMScheduler", "_diffusers_version": "0.0.4", "beta_end": 0.02,
        "beta_schedule": "linear", "beta_start": 0.0001, "clip_sample": True,
        "num_train_timesteps": 1000, "trained_betas": None, "variance_type": "fixed_large"}
    index = {
        "_class_name": "DDPMPipeline", "_diffusers_version": "0.0.4",
        "scheduler": ["diffusers", "DDPMScheduler"], "unet": ["diffusers", "UNet2DModel"]}
    for name, content in (("unet/config.json", unet), ("scheduler/scheduler_config.json", scheduler),
                          ("model_index.json", index)):
        (out / name).write_text(json.dumps(content, indent=2) + "\n")


main()
