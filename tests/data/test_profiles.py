"""Colour profiles: converted where they say something, untouched where they do not, never fatal."""

import struct

import numpy as np
import pytest
from PIL import Image, ImageCms

from gcn.data.images import decode
from gcn.data.profiles import CONVERTED, UNUSABLE

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)


def fixed16(value):
    return struct.pack(">i", round(value * 65536))


def profile(space, tags):
    """An ICC profile of version 2 with these tags, big-endian."""
    table, body, at = b"", b"", 128 + 4 + 12 * len(tags)
    for name, tag in tags.items():
        data = tag + b"\0" * (-len(tag) % 4)
        table += name.encode() + struct.pack(">II", at + len(body), len(data))
        body += data
    size = at + len(body)
    head = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"mntr", space.encode(), b"XYZ ")
    head += struct.pack(">6H4s", 2020, 1, 1, 0, 0, 0, b"acsp").ljust(68 - len(head) + 0, b"\0")
    head = head.ljust(68, b"\0") + fixed16(0.9642) + fixed16(1.0) + fixed16(0.8249)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


def xyz(*values):
    return b"XYZ \0\0\0\0" + b"".join(map(fixed16, values))


def gamma(value):
    return b"curv\0\0\0\0" + struct.pack(">IH", 1, round(value * 256)) + b"\0\0"


def wide_gamut():
    """Adobe RGB's primaries, adapted to D50, with gamma 2.2."""
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + b"\0" * 78
    return profile("RGB ", {
        "desc": text, "wtpt": xyz(0.9642, 1, 0.8249), "rXYZ": xyz(0.60974, 0.31111, 0.01947),
        "gXYZ": xyz(0.20528, 0.62567, 0.06087), "bXYZ": xyz(0.14919, 0.06322, 0.74457),
        "rTRC": gamma(2.2), "gTRC": gamma(2.2), "bTRC": gamma(2.2),
    })  # fmt: skip


def grey_gamma(value):
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + b"\0" * 78
    return profile("GRAY", {"desc": text, "wtpt": xyz(0.9642, 1, 0.8249), "kTRC": gamma(value)})


def srgb():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def saved(tmp_path, image, icc, name="a.png"):
    image.save(tmp_path / name, icc_profile=icc, **({"quality": 100} if name.endswith("jpg") else {}))
    return decode(tmp_path / name)


def test_a_wide_gamut_becomes_more_saturated_numbers(tmp_path):
    """A mid green of Adobe RGB lies outside of sRGB's: red is cut to 0."""
    found = saved(tmp_path, Image.new("RGB", (4, 4), (60, 200, 60)), wide_gamut())
    assert found.notes == (CONVERTED,)
    red, green, blue = found.pixels[0, 0]
    assert red < 10
    assert abs(int(green) - 201) <= 3
    assert blue < 60
    neutral = saved(tmp_path, Image.new("RGB", (4, 4), (128, 128, 128)), wide_gamut())
    assert np.ptp(neutral.pixels) <= 2


def test_srgb_changes_nothing(tmp_path):
    found = saved(tmp_path, Image.fromarray(PIXELS), srgb())
    assert found.notes == ()
    assert np.array_equal(found.pixels, PIXELS)


@pytest.mark.parametrize(
    "icc", [b"", b"no profile at all", srgb()[:100], b"\0" * 200], ids=["none", "text", "cut", "zeros"]
)
def test_broken_profiles_keep_the_values_and_are_mentioned(tmp_path, icc):
    found = saved(tmp_path, Image.fromarray(PIXELS), icc)
    assert found.notes == ((UNUSABLE,) if icc else ())
    assert np.array_equal(found.pixels, PIXELS)


def test_a_profile_of_another_space_is_unusable(tmp_path):
    assert saved(tmp_path, Image.fromarray(PIXELS), grey_gamma(1.0)).notes == (UNUSABLE,)


def test_alpha_survives_a_profile(tmp_path):
    half = np.dstack([PIXELS, np.full((20, 30), 128, np.uint8)])
    found = saved(tmp_path, Image.fromarray(half), wide_gamut())
    assert found.notes == (CONVERTED, "transparent over white")


def test_linear_grey_becomes_brighter_and_stays_grey(tmp_path):
    found = saved(tmp_path, Image.new("L", (4, 4), 55), grey_gamma(1.0))
    assert found.notes == ("grayscale", CONVERTED)
    assert found.grey
    assert np.ptp(found.pixels) <= 1
    assert abs(int(found.pixels[0, 0, 0]) - 128) <= 2  # 55 / 255 of the light is 128 in sRGB


def test_a_palette_is_converted(tmp_path):
    image = Image.new("RGB", (4, 4), (60, 200, 60)).quantize()
    assert CONVERTED in saved(tmp_path, image, wide_gamut()).notes


@pytest.mark.parametrize("mode", ["L", "1", "I;16", "F", "LA"])
def test_one_channel_is_grey(tmp_path, mode):
    name = "a.tif" if mode == "F" else "a.png"
    array = np.linspace(0, 1, 12, dtype=np.float32).reshape(3, 4)
    if mode == "F":
        image = Image.fromarray(array)
    elif mode == "I;16":
        image = Image.fromarray((array * 65535).astype(np.uint16))
    else:
        image = Image.fromarray((array * 255).astype(np.uint8)).convert(mode)
    image.save(tmp_path / name)
    found = decode(tmp_path / name)
    assert found.grey
    assert np.ptp(found.pixels.astype(int), axis=2).max() == 0


def test_colour_is_not_grey_even_where_it_is_without_colour(tmp_path):
    Image.new("RGB", (3, 3), (7, 7, 7)).save(tmp_path / "a.png")
    assert not decode(tmp_path / "a.png").grey


def test_sixteen_bits_a_colour_are_mentioned(tmp_path):
    import zlib

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    rows = b"\0" + struct.pack(">6H", 65535, 0, 256, 32768, 511, 1)
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(data)
    found = decode(tmp_path / "a.png")
    assert found.notes == ("16-bit colour",)
    assert found.pixels[0, :, 0].tolist() == [255, 128]
