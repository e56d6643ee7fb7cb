"""Writes the files beside it: PyTorch checkpoints, and their tensors as safetensors.

Made with Debian's python3-torch 1.13.1; run it again only to add a case.
"""
import collections
import json
import os
import pickle
import struct
import sys

import torch

torch.manual_seed(0)
here = os.path.dirname(os.path.abspath(__file__))
NAMES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16", torch.float64: "F64",
         torch.int64: "I64", torch.int32: "I32", torch.uint8: "U8", torch.bool: "BOOL"}


def safetensors(path, tensors):
    header, data = {}, b""
    for name, tensor in tensors.items():
        tensor = tensor.detach().contiguous()
        view = tensor.view(torch.int16) if tensor.dtype == torch.bfloat16 else tensor
        raw = view.numpy().tobytes()
        header[name] = {"dtype": NAMES[tensor.dtype], "shape": list(tensor.shape),
                        "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + data)


base = torch.randn(6, 4)
weight = torch.nn.Parameter(torch.randn(3, 5))
state = collections.OrderedDict([
    ("plain", torch.randn(2, 3, 4)), ("half", torch.randn(5).half()),
    ("brain", torch.randn(7).bfloat16()), ("double", torch.randn(2).double()),
    ("count", torch.tensor(12345678901)), ("int", torch.tensor([[1, -2], [3, 4]], dtype=torch.int32)),
    ("byte", torch.arange(5, dtype=torch.uint8)), ("flag", torch.tensor([True, False])),
    ("transposed", base.t()), ("sliced", base[1:5:2, 1:3]), ("repeated", torch.randn(3, 1).expand(3, 2)),
    ("empty", torch.zeros(0, 3)), ("tied", weight.data), ("parameter", weight)])
nested = {
    "epoch": 3, "lr": 0.5, "nothing": None, "long": 2**40, "size": torch.Size([2, 3]),
    "state_dict": collections.OrderedDict([("a.weight", torch.randn(2, 2)), ("a.bias", torch.randn(2))]),
    "optimizer": {"state": {0: {"step": torch.tensor(4.0), "exp_avg": torch.randn(2, 2)}},
                  "param_groups": [{"lr": 0.1, "betas": (0.9, 0.999), "params": [0]}]}}
flat = {"state_dict." + k: v for k, v in nested["state_dict"].items()}
flat["optimizer.state.0.step"] = nested["optimizer"]["state"][0]["step"]
flat["optimizer.state.0.exp_avg"] = nested["optimizer"]["state"][0]["exp_avg"]
layer = torch.nn.Linear(3, 2)

torch.save(state, os.path.join(here, "state.bin"))
safetensors(os.path.join(here, "state.safetensors"), state)
torch.save(nested, os.path.join(here, "nested.ckpt"))
safetensors(os.path.join(here, "nested.safetensors"), flat)
torch.save(state, os.path.join(here, "legacy.pt"), _use_new_zipfile_serialization=False)
torch.save(layer.state_dict(), os.path.join(here, "module.pt"))  # with _metadata
safetensors(os.path.join(here, "module.safetensors"), layer.state_dict())


class Runs:
    def __reduce__(self):
        return os.system, ("true",)


torch.save({"weight": torch.zeros(2), "callback": Runs()}, os.path.join(here, "runs.bin"))
torch.save(layer, os.path.join(here, "whole_module.bin"))
for protocol in range(6):
    with open(os.path.join(here, f"plain{protocol}.pkl"), "wb") as file:
        pickle.dump({"text": "ü", "list": [1, -2, 2**40, 0.25, None, True], "tuple": (1, (2,), ()),
                     "bytes": b"\x00\xff", "negative": -(2**33)}, file, protocol=protocol)
