"""Depths, transparent colours and layouts that Pillow reads in its own way: as the file means, or refused."""

import io
import json
import struct
import subprocess
import sys
import zlib

import numpy as np
import pytest
import tifffile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gcn.data import modes
from gcn.data.images import BadImage, decode, read_size

SHORT, LONG = 3, 4  # types of TIFF fields


def png(values, bits, colour_type, transparent=None):
    """A PNG file of these values (H, W) or (H, W, C); Pillow writes neither few bits nor 16 of colour."""

    def chunk(kind, body):
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    height, width = values.shape[:2]
    if bits == 16:
        rows = values.astype(">u2").reshape(height, -1).view(np.uint8)
    else:
        each = np.unpackbits(values.astype(np.uint8)[:, :, None], axis=2)[:, :, 8 - bits :]
        rows = np.packbits(each.reshape(height, -1), axis=1)
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0))
    clear = b"" if transparent is None else chunk(b"tRNS", np.array(transparent, ">u2").tobytes())
    data = chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)))
    return b"\x89PNG\r\n\x1a\n" + head + clear + data + chunk(b"IEND", b"")


def tiff(bits, photometric, data, width, more=()):
    """A TIFF file of one row and one channel, with further tags (number, type, value)."""
    tags = [
        (256, LONG, width),
        (257, LONG, 1),
        (258, SHORT, bits),
        (259, SHORT, 1),
        (262, SHORT, photometric),
    ]
    tags += [(277, SHORT, 1), (278, LONG, 1), (279, LONG, len(data)), *more]
    at = 8 + 2 + 12 * (len(tags) + 1) + 4
    fields = b"".join(
        struct.pack("<HHII", tag, kind, 1, v) for tag, kind, v in sorted([*tags, (273, LONG, at)])
    )
    return b"II*\0" + struct.pack("<IH", 8, len(tags) + 1) + fields + b"\0\0\0\0" + data


@pytest.fixture
def read(tmp_path):
    """Decode these bytes."""

    def decoded(data, background="white"):
        (tmp_path / "image").write_bytes(data)
        return decode(tmp_path / "image", background)

    return decoded


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
def test_a_transparent_value_of_grey_is_meant_in_the_file_s_depth(read, bits):
    found = read(png(np.array([[0, 1, 2**bits - 1]]), bits, 0, transparent=1), background="#808080")
    assert found.pixels[0, :2, 0].tolist() == [0, 128]
    assert found.pixels[0, 2, 0] == (128 if bits == 1 else 255)
    assert "transparent over #808080" in found.notes
    assert found.grey


def test_a_transparent_colour_of_16_bits(read):
    found = read(png(np.array([[[300, 300, 300], [65535, 0, 0]]]), 16, 2, transparent=(300, 300, 300)))
    assert found.pixels[0].tolist() == [[255, 255, 255], [255, 0, 0]]
    assert found.notes == ("16-bit colour", "transparent over white")


def test_grey_with_alpha_of_16_bits_is_grey(read):
    found = read(png(np.array([[[65535, 65535], [257 * 7, 65535]]]), 16, 4))
    assert found.pixels[0].tolist() == [[255] * 3, [7] * 3]
    assert found.notes == ("16-bit grey",)
    assert found.grey


def test_grey_over_a_coloured_background_has_three_channels(tmp_path):
    Image.new("LA", (2, 2), (9, 100)).save(tmp_path / "a.png")
    Image.new("LA", (2, 2), (9, 255)).save(tmp_path / "opaque.png")
    assert decode(tmp_path / "a.png", "gray").grey
    assert not decode(tmp_path / "a.png", "red").grey
    assert decode(tmp_path / "opaque.png", "red").grey


TWO = np.full((2, 3, 3), 40_000, np.uint16)


def encoded(pixels, form, **options):
    file = io.BytesIO()
    if form == "tifffile":
        tifffile.imwrite(file, pixels, **options)
    else:
        Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def jpeg2000_of(bits):
    """A JPEG 2000 stream that says to have so many bits a channel."""
    data = bytearray(encoded(np.zeros((8, 8, 3), np.uint8), "JPEG2000", no_jp2=True))
    assert data[42] == 7
    data[42:51:3] = bytes([bits - 1] * 3)
    return bytes(data)


DEEP = {
    "png": (png(TWO, 16, 2), "16-bit colour"),
    "png with alpha": (png(np.full((2, 3, 4), 65535), 16, 6), "16-bit colour"),
    "tiff": (encoded(TWO, "tifffile", photometric="rgb"), "16-bit colour"),
    "tiff, packed": (encoded(TWO, "tifffile", photometric="rgb", compression="zlib"), "16-bit colour"),
    "ppm": (b"P6 2 1 65535\n" + bytes(12), "16-bit colour"),
    "ppm of 10 bits": (b"P6 2 1 1023\n" + bytes(12), "10-bit colour"),
    "ppm in words": (b"P3 1 1 4095\n1 2 3\n", "12-bit colour"),
    "jpeg 2000": (jpeg2000_of(12), "12-bit colour"),
}
SHALLOW = {
    "png": png(TWO % 256, 8, 2),
    "tiff": encoded((TWO % 256).astype(np.uint8), "tifffile", photometric="rgb"),
    "ppm": b"P6 2 1 255\n" + bytes(6),
    "ppm of 4 bits": b"P6 2 1 15\n" + bytes(6),
    "jpeg 2000": jpeg2000_of(8),
    "avif": encoded(np.zeros((8, 8, 3), np.uint8), "AVIF"),
}


@pytest.mark.parametrize("name", DEEP)
def test_bits_that_are_dropped_are_mentioned(read, name):
    data, note = DEEP[name]
    assert read(data).notes == (note,)


@pytest.mark.parametrize("name", SHALLOW)
def test_eight_bits_are_not(read, name):
    assert read(SHALLOW[name]).notes == ()


@pytest.mark.parametrize(("flags", "notes"), [(0, []), (0x40, ["10-bit colour"]), (0x60, ["12-bit colour"])])
def test_deep_avif(flags, notes):
    """By the flags alone: Pillow writes no such stream."""
    data = bytearray(SHALLOW["avif"])
    data[data.find(b"av1C") + 6] |= flags
    with Image.open(io.BytesIO(SHALLOW["avif"])) as image:
        assert modes._kind(image, "RGB", bytes(data), grey=False) == notes


def test_16_bit_planes_are_refused_where_pillow_makes_noise_of_them(read):
    planes = np.moveaxis(TWO, 2, 0)
    with pytest.raises(BadImage, match="separate planes"):
        read(encoded(planes, "tifffile", photometric="rgb", planarconfig="separate"))
    packed = encoded(planes, "tifffile", photometric="rgb", planarconfig="separate", compression="zlib")
    assert (read(packed).pixels == 40_000 >> 8).all()
    eight = encoded((planes >> 8).astype(np.uint8), "tifffile", photometric="rgb", planarconfig="separate")
    assert (read(eight).pixels == 40_000 >> 8).all()


@pytest.mark.parametrize("bits", [8, 16])
def test_white_may_be_zero(read, bits):
    values = np.array([[0, 2**bits - 1]], f"uint{bits}")
    found = read(encoded(values, "tifffile", photometric="miniswhite"))
    assert found.pixels[0, :, 0].tolist() == [255, 0]


def test_grey_of_12_bits_reaches_white(read):
    data = bytes([0x00, 0x0F, 0xFF, 0x80, 0x00, 0x00])  # 0, 4095, 2048, 0
    assert read(tiff(12, 1, data, 4)).pixels[0, :, 1].tolist() == [0, 255, 128, 0]


def test_a_raw_file_s_preview_is_not_taken_for_the_photograph(read):
    data = bytes([1, 2, 3, 4])
    assert read(tiff(8, 1, data, 4)).pixels[0, :, 0].tolist() == [1, 2, 3, 4]
    with pytest.raises(BadImage, match="preview"):
        read(tiff(8, 1, data, 4, [(254, LONG, 1), (330, LONG, 8)]))


@pytest.mark.parametrize("suffix", ["tif", "jpg", "png", "webp", "avif"])
@pytest.mark.parametrize("orientation", [1, 3, 6, 0, 9, 65535])  # the last three mean nothing
def test_the_size_read_from_the_head_is_that_of_the_pixels(tmp_path, suffix, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", (30, 10)).save(tmp_path / f"a.{suffix}", exif=exif)
    assert decode(tmp_path / f"a.{suffix}").pixels.shape[:2] == read_size(tmp_path / f"a.{suffix}")
    assert read_size(tmp_path / f"a.{suffix}") == ((30, 10) if orientation == 6 else (10, 30))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mode=st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I;16", "F"]),
    height=st.integers(1, 30),
    width=st.integers(1, 30),
    strip=st.integers(1, 200),
)
def test_images_are_converted_in_strips_without_a_seam(tmp_path, monkeypatch, mode, height, width, strip):
    base = np.random.default_rng(height).integers(0, 256, (height, width, 4), dtype=np.uint8)
    if mode in ("I;16", "F"):
        source = Image.fromarray(
            base[..., 0].astype(np.uint16) * 257 if mode == "I;16" else base[..., 0] / 255
        )
    else:
        source = Image.fromarray(base).convert(mode if mode in ("RGBA", "LA") else "RGB").convert(mode)
    source = source.convert("F") if mode == "F" else source
    source.save(tmp_path / "a.tif")
    whole = decode(tmp_path / "a.tif", "#405060")
    monkeypatch.setattr(modes, "_STRIP", strip)
    parts = decode(tmp_path / "a.tif", "#405060")
    assert np.array_equal(whole.pixels, parts.pixels)
    assert whole[1:] == parts[1:]


PEAK = """
import json, re, sys
from gcn.data.images import decode
for name in sys.argv[1:]:
    shape = decode(name).pixels.shape
    status = open("/proc/self/status").read()  # getrusage would count what the parent had before the fork
    print(json.dumps([shape, int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) / 1024]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the peak from /proc")
def test_12_million_pixels_need_less_than_225_megabytes(tmp_path):
    """So the 48 million of a camera need less than 900, and the process itself is among them."""
    rng = np.random.default_rng(0)
    names = ("a.jpg", "a.png", "alpha.png", "deep.png")
    for name in names:
        if name == "deep.png":
            tile = rng.integers(0, 65536, (6, 8), dtype=np.uint16)
        else:
            tile = rng.integers(0, 256, (6, 8, 4 if name == "alpha.png" else 3), dtype=np.uint8)
        options = {"quality": 90} if name == "a.jpg" else {"compress_level": 1}
        Image.fromarray(np.tile(tile, (500, 500, 1)[: tile.ndim])).save(tmp_path / name, **options)
    command = [sys.executable, "-c", PEAK, *(str(tmp_path / name) for name in names)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    for name, line in zip(names, done.stdout.splitlines(), strict=True):
        shape, megabytes = json.loads(line)
        assert shape == [3000, 4000, 3]
        assert megabytes < 225, name  # the peak so far
