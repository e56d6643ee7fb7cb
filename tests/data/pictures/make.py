#!/usr/bin/python3
"""Makes the pictures in made/ and writes expected.json: what Pillow reads in them and in pngsuite/.

    tests/data/pictures/make.py

Wants Debian's python3-pil and python3-numpy. The values that the tests compare with are those of
Pillow 9.4. pngsuite/ and invalid/ are copied from golang-1.19-src (/usr/share/go-1.19/src/image/png/
testdata). expected.json has for every file its size and the CRC-32 of its pixels: of RGBA bytes after
turning it as its EXIF orientation says, or, where "bits" is 16, of little-endian grey words. Pillow
keeps the upper eight bits of 16-bit colour; "alpha": false marks files whose transparent colour it
cannot tell.
"""
import io
import json
import pathlib
import struct
import zlib

import numpy
from PIL import Image, ImageOps

HERE = pathlib.Path(__file__).parent
MADE = HERE / "made"


def pattern(h, w, c, seed):
    """Smooth colours with some noise, so that every decoder has something to do."""
    random = numpy.random.RandomState(seed)
    y, x = numpy.mgrid[0:h, 0:w]
    planes = [127 + 100 * numpy.sin(x / (3.0 + k) + y / (5.0 - k) + seed) for k in range(c)]
    noisy = numpy.stack(planes, -1) + random.uniform(-9, 9, (h, w, c))
    return noisy.clip(0, 255).astype(numpy.uint8)


def exif(orientation, endian="<"):
    mark = b"II*\0" if endian == "<" else b"MM\0*"
    entry = struct.pack(endian + "HHIHH", 274, 3, 1, orientation, 0)
    return b"Exif\0\0" + mark + struct.pack(endian + "IH", 8, 1) + entry + b"\0\0\0\0"


def tiff(path, h, w, bits, samples, photometric, strips, planar=1, extra=None, endian="<"):
    """An uncompressed TIFF of one strip per plane."""
    data = b"".join(strips)
    entries = [(256, 3, [w]), (257, 3, [h]), (258, 3, [bits] * samples), (259, 3, [1]),
               (262, 3, [photometric]), (273, 4, None), (277, 3, [samples]), (278, 3, [h]),
               (279, 4, [len(s) for s in strips]), (284, 3, [planar])]
    if extra is not None:
        entries.append((338, 3, [extra]))
    offsets, at = [], 8
    for strip in strips:
        offsets.append(at)
        at += len(strip)
    head = (b"II" if endian == "<" else b"MM") + struct.pack(endian + "HI", 42, at)
    table, tail = b"", b""
    tail_at = at + 2 + 12 * len(entries) + 4
    for tag, kind, values in entries:
        values = offsets if values is None else values
        packed = struct.pack(endian + ("H" if kind == 3 else "I") * len(values), *values)
        if len(packed) <= 4:
            field = packed.ljust(4, b"\0")
        else:
            field = struct.pack(endian + "I", tail_at + len(tail))
            tail += packed
        table += struct.pack(endian + "HHI", tag, kind, len(values)) + field
    path.write_bytes(head + data + struct.pack(endian + "H", len(entries)) + table + b"\0\0\0\0" + tail)


def bmp(path, h, w, bits, compression, palette, pixels, masks=b"", header=40):
    offset = 14 + header + len(masks if header == 40 else b"") + len(palette)
    info = struct.pack("<IiiHHIIiiII", header, w, h, 1, bits, compression, len(pixels), 2835, 2835,
                       len(palette) // 4, 0)
    body = info + masks.ljust(header - 40, b"\0") if header > 40 else info + masks
    path.write_bytes(b"BM" + struct.pack("<IHHI", offset + len(pixels), 0, 0, offset) + body + palette + pixels)


def make():
    MADE.mkdir(exist_ok=True)
    rgb = Image.fromarray(pattern(21, 34, 3, 1))
    grey = Image.fromarray(pattern(21, 34, 1, 2)[:, :, 0])
    rgba = Image.fromarray(pattern(21, 34, 4, 3))
    la = Image.merge("LA", (grey, Image.fromarray(pattern(21, 34, 1, 9)[:, :, 0])))
    cmyk = Image.fromarray(pattern(21, 34, 4, 4), "CMYK")

    rgb.save(MADE / "lossy.webp", quality=60)
    rgba.save(MADE / "lossless-alpha.webp", lossless=True, exact=True)
    rgba.save(MADE / "lossy-alpha.webp", quality=50)
    rgb.save(MADE / "turned.webp", lossless=True, exif=exif(6)[6:])
    rgba.save(MADE / "animated.webp", save_all=True, append_images=[rgba.rotate(180)], duration=50, lossless=True)

    rgb.save(MADE / "lzw.tif", compression="tiff_lzw")
    rgb.save(MADE / "deflate.tif", compression="tiff_adobe_deflate")
    rgb.save(MADE / "jpeg.tif", compression="jpeg", quality=80)
    grey.save(MADE / "packbits.tif", compression="packbits")
    grey.point(lambda v: 255 * (v > 127)).convert("1").save(MADE / "bilevel.tif", compression="group4")
    rgb.quantize(13).save(MADE / "palette.tif")
    cmyk.save(MADE / "cmyk.tif", compression="tiff_lzw")
    rgba.save(MADE / "alpha.tif")
    deep = (pattern(21, 34, 3, 5).astype(numpy.uint16) * 257 + numpy.arange(21 * 34 * 3).reshape(21, 34, 3) % 200)
    tiff(MADE / "grey16.tif", 21, 34, 16, 1, 1, [deep[:, :, 0].astype("<u2").tobytes()])
    tiff(MADE / "grey16-big-endian.tif", 21, 34, 16, 1, 1, [deep[:, :, 0].astype(">u2").tobytes()], endian=">")
    tiff(MADE / "rgb16.tif", 21, 34, 16, 3, 2, [deep.astype("<u2").tobytes()])
    planes = numpy.asarray(rgb)
    tiff(MADE / "planes.tif", 21, 34, 8, 3, 2, [planes[:, :, k].tobytes() for k in range(3)], planar=2)
    tiff(MADE / "white-is-zero.tif", 21, 34, 8, 1, 0, [numpy.asarray(grey).tobytes()])
    for orientation in range(2, 9):
        rgb.save(MADE / f"turned-{orientation}.tif", tiffinfo={274: orientation}, compression="tiff_lzw")

    rgb.save(MADE / "420.jpg", quality=80)
    rgb.save(MADE / "444-progressive.jpg", quality=90, subsampling=0, progressive=True)
    grey.save(MADE / "grey.jpg")
    cmyk.save(MADE / "cmyk.jpg", quality=90)
    for orientation in range(1, 9):
        rgb.save(MADE / f"turned-{orientation}.jpg", quality=70, exif=exif(orientation, "<>"[orientation % 2]))

    rgb.save(MADE / "turned.png", exif=exif(8)[6:])
    rgb.quantize(7).save(MADE / "palette.png")
    alpha_palette = rgb.quantize(9)
    alpha_palette.save(MADE / "palette-alpha.png", transparency=bytes([0, 80, 255, 200]))
    la.save(MADE / "grey-alpha.png")

    frames = [rgb.quantize(16), rgb.rotate(180).quantize(16)]
    frames[0].save(MADE / "animated.gif", save_all=True, append_images=frames[1:], duration=40)
    frames[0].save(MADE / "transparent.gif", transparency=3, interlace=1)
    grey.save(MADE / "grey.gif")

    rgb.save(MADE / "24.bmp")
    grey.save(MADE / "8.bmp")
    rgb.quantize(11).save(MADE / "palette.bmp")
    grey.point(lambda v: 255 * (v > 127)).convert("1").save(MADE / "1.bmp")
    rgba.save(MADE / "32.bmp")
    words = pattern(21, 34, 2, 6).tobytes()
    bmp(MADE / "555.bmp", 21, 34, 16, 0, b"", words)
    bmp(MADE / "565.bmp", 21, 34, 16, 3, b"", words, struct.pack("<III", 0xF800, 0x07E0, 0x001F))
    bmp(MADE / "32-top-down.bmp", -21, 34, 32, 0, b"", pattern(21, 34, 4, 7).tobytes())
    palette = pattern(16, 1, 4, 8)
    palette[:, :, 3] = 0
    nibbles = pattern(21, 20, 1, 9).tobytes()  # rows of 34 nibbles, padded to 20 bytes
    bmp(MADE / "4.bmp", 21, 34, 4, 0, palette.tobytes(), nibbles)
    run = b""
    for y in range(21):
        run += bytes([20, y % 16]) + bytes([0, 5, 1, 2, 3, 4, 5, 0]) + bytes([9, (y + 3) % 16]) + b"\0\0"
    bmp(MADE / "rle8.bmp", 21, 34, 8, 1, palette.tobytes(), run + b"\0\1")


def describe(path):
    image = Image.open(path)
    image.load()
    if image.format != "TIFF":  # which Pillow turns by itself
        image = ImageOps.exif_transpose(image)
    entry = {"width": image.width, "height": image.height}
    if image.mode in ("I;16", "I;16B", "I"):
        values = numpy.asarray(image).astype(numpy.int64)
        return entry | {"bits": 16, "crc32": zlib.crc32(values.astype("<u2").tobytes()), "alpha": False}
    # It compares the transparent colour with 8 bits of 16, and with 4-bit grey spread to 8.
    alpha = path.name not in ("ftbbn2c16.png", "ftbgn2c16.png", "ftbbn0g02.png", "ftbbn0g04.png")
    if not alpha:
        del image.info["transparency"]
    if image.mode == "CMYK":
        image = image.convert("RGB")
    return entry | {"bits": 8, "crc32": zlib.crc32(image.convert("RGBA").tobytes()), "alpha": alpha}


make()
files = sorted(list((HERE / "pngsuite").glob("*.png")) + list(MADE.iterdir()))
expected = {str(path.relative_to(HERE)): describe(path) for path in files}
(HERE / "expected.json").write_text(json.dumps(expected, indent=1, sort_keys=True) + "\n")
print(len(expected), "files")
