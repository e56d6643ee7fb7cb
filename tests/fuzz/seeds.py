#!/usr/bin/env python3
"""Seeds of the fuzzer: what each reader begins with, as READER/FILE in a folder:
    seeds.py FOLDER TESTS_DATA [CORPORA]
Small files of the repository's tests and of the corpora, and a few that are written here. A seed need
not be valid; one that is none teaches the fuzzer less.
"""

import gzip
import hashlib
import io
import json
import pathlib
import struct
import sys
import tarfile
import zipfile
import zlib

LARGEST = 16384  # larger ones only slow the fuzzer down

# Which kinds of file a reader begins with: endings in tests/data, folders of the corpora.
KINDS = {
    "safetensors": ([], ["safetensors"]),
    "torch": ([".pt", ".ckpt", ".pth", ".bin"], ["zip"]),
    "pickle": ([".pkl"], ["pickle"]),
    "json": ([], ["json"]),
    "png": ([".png"], ["png"]),
    "png_text": ([".png"], []),
    "jpeg": ([".jpg"], ["jpeg"]),
    "webp": ([".webp"], []),
    "tiff": ([".tif"], []),
    "gif": ([".gif"], ["gif"]),
    "bmp": ([".bmp"], []),
    "picture": ([".bmp", ".gif", ".webp"], []),
    "cifar_pickle": ([".pkl"], []),
    "npy": ([], ["npy"]),
    "npy_texts": ([], ["npy"]),
    "npz": ([".npz"], ["npz"]),
    "zip": ([], ["zip"]),
    "gzip": ([], ["gzip"]),
    "deflate": ([], ["deflate"]),
    "tar": ([], ["tar"]),
    "tar_of_pictures": ([], ["tar"]),
}


def npy(descr, shape, data, order="False"):
    header = f"{{'descr': '{descr}', 'fortran_order': {order}, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + data


def zipped(files, method=zipfile.ZIP_STORED):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files:
            archive.writestr(name, content)
    return out.getvalue()


def tarred(files):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def pack(description, modules=b""):
    sizes = struct.pack("<QQ", len(description), len(modules))
    digest = hashlib.sha256(sizes + description + modules).hexdigest()
    return b"itopack1" + sizes + digest.encode() + description + modules


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(*extra):
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 3, 8, 2, 0, 0, 0))
        + b"".join(extra)
        + chunk(b"IDAT", zlib.compress((b"\0" + bytes(range(12))) * 3))
        + chunk(b"IEND", b"")
    )


def written():
    """READER: its seeds."""
    header = json.dumps(
        {
            "__metadata__": {"format": "pt"},
            "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
            "b": {"dtype": "I64", "shape": [], "data_offsets": [24, 32]},
            "c": {"dtype": "F8_E4M3", "shape": [4], "data_offsets": [32, 36]},
        }
    ).encode()
    parameters = json.dumps({"software": "ito", "seed": 3, "steps": 50}).encode()
    images = struct.pack(">IIII", 0x803, 2, 2, 3) + bytes(12)
    pictures = [("a/1.png", png()), ("a/1.cls", b"3"), ("b/2.png", png()), ("b/2.json", b'{"label": 1}')]
    unet = {
        "_class_name": "UNet2DModel", "sample_size": 8, "in_channels": 1, "out_channels": 1,
        "block_out_channels": [8, 16], "layers_per_block": 1, "norm_num_groups": 4,
        "down_block_types": ["DownBlock2D", "AttnDownBlock2D"], "up_block_types": ["AttnUpBlock2D", "UpBlock2D"],
    }  # fmt: skip
    classes = ("UNet2DConditionModel", "AutoencoderKL", "DiTTransformer2DModel", "Transformer2DModel")
    schedulers = (
        {"_class_name": "DDPMScheduler", "num_train_timesteps": 10, "beta_schedule": "linear"},
        {"_class_name": "EulerDiscreteScheduler", "trained_betas": [0.1, 0.2], "timestep_spacing": "leading"},
        {"_class_name": "DPMSolverMultistepScheduler", "sigma_max": float("inf"), "use_karras_sigmas": True},
    )
    trainer = b'{"files":{"state.safetensors":{"bytes":3,"crc32":1}},"format":1,"metadata":{},"step":4}'
    arrays = [("x.npy", npy("<f4", "(2, 3)", bytes(24))), ("y.npy", npy("<i8", "(2,)", bytes(16)))]
    return {
        "safetensors": [struct.pack("<Q", len(header)) + header + bytes(36)],
        "json": [json.dumps(unet).encode()],
        "network_config": [json.dumps(unet).encode()]
        + [json.dumps({**unet, "_class_name": name}).encode() for name in classes],
        "scheduler_config": [json.dumps(value).encode() for value in schedulers],
        "weights_index": [b'{"metadata": {}, "weight_map": {"a": "model-1.safetensors", "b": "../x.safetensors"}}'],
        "class_names": [b'{"names": ["a", "b"], "images": [3, 1e3]}'],
        "png": [png(chunk(b"tRNS", bytes(6)))],
        "png_text": [
            png(chunk(b"tEXt", b"parameters\0" + parameters)),
            png(chunk(b"zTXt", b"parameters\0\0" + zlib.compress(parameters))),
            png(chunk(b"iTXt", b"parameters\0\1\0en\0\0" + zlib.compress(parameters))),
        ],
        "idx": [images, gzip.compress(images), struct.pack(">II", 0x801, 3) + bytes(3)],
        "cifar": [bytes(3073)],
        "npy": [arrays[0][1], npy(">u2", "(2, 2)", bytes(8), "True"), npy("|b1", "()", b"\1")],
        "npy_texts": [npy("<U3", "(2,)", "abcdef".encode("utf-32-le")), npy("|S4", "(2,)", b"aaaabbbb")],
        "npz": [zipped(arrays), zipped(arrays, zipfile.ZIP_DEFLATED)],
        "zip": [zipped(arrays), zipped(arrays, zipfile.ZIP_DEFLATED)],
        "gzip": [gzip.compress(b"abc"), gzip.compress(b"abc") * 2 + bytes(8)],
        "zlib": [zlib.compress(bytes(range(200)))],
        "deflate": [zlib.compress(bytes(range(200)))[2:-4]],
        "tar": [tarred(pictures)],
        "tar_of_pictures": [tarred(pictures)],
        "metadata_csv": [b'file_name,label,split\n1.png,"a, b",train\n2.png,c,test\n'],
        "metadata_jsonl": [b'{"file_name": "1.png", "label": 3}\n{"file_name": "2.png", "class": "a"}\n'],
        "dataset_json": [b'{"labels": [["0/1.png", 6], ["0/2.png", 1]]}', b'{"labels": null}'],
        "metrics": [b'{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n'],
        "checkpoint": [
            b'{"crc32": %d, "trainer": %s}' % (zlib.crc32(trainer), trainer),
        ],
        "manifest": [b'{"block": 0, "file": "00000.tar", "bytes": 3}\n{"name": "1"}\n', b'{"file": "../x"}\n'],
        "pack": [pack(b'{"forms":[],"jobs":["sample"],"kernels":[],"model":"m"}')],
        "shader_cache": [struct.pack("<8sQQQQ", b"itocach1", 1, 2, 3, 4) + b"abc"],
    }


def main():
    out, data = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    corpora = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
    for reader, seeds in written().items():
        (out / reader).mkdir(parents=True, exist_ok=True)
        for i, content in enumerate(seeds):
            (out / reader / f"written-{i}").write_bytes(content)
    files = [path for path in sorted(data.rglob("*")) if path.is_file() and path.stat().st_size <= LARGEST]
    for reader, (endings, kinds) in KINDS.items():
        (out / reader).mkdir(parents=True, exist_ok=True)
        for path in files:
            if path.suffix in endings:
                (out / reader / ("data-" + path.name)).write_bytes(path.read_bytes())
        for kind in kinds if corpora else []:
            for path in sorted((corpora / kind).glob("*")):
                if path.stat().st_size <= LARGEST:
                    (out / reader / ("corpus-" + path.name)).write_bytes(path.read_bytes())


main()
