"""Colour profiles built byte by byte (ICC.1:2001-04), and LittleCMS' own sRGB."""

import struct

import numpy as np
from PIL import ImageCms


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


def srgb():
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def wide_gamut():
    """Adobe RGB's primaries, adapted to D50, with gamma 2.2."""
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"wide\0" + b"\0" * 78
    return profile("RGB ", {
        "desc": text, "wtpt": xyz(0.9642, 1, 0.8249), "rXYZ": xyz(0.60974, 0.31111, 0.01947),
        "gXYZ": xyz(0.20528, 0.62567, 0.06087), "bXYZ": xyz(0.14919, 0.06322, 0.74457),
        "rTRC": gamma(2.2), "gTRC": gamma(2.2), "bTRC": gamma(2.2),
    })  # fmt: skip


def srgb_curve():
    """A table of 1024 values."""
    x = np.linspace(0, 1, 1024)
    light = np.where(x <= 0.04045, x / 12.92, ((x + 0.055) / 1.055) ** 2.4)
    return b"curv\0\0\0\0" + struct.pack(">I", 1024) + np.rint(light * 65535).astype(">u2").tobytes()


def srgb_in_other_words(white=(0.9642, 1, 0.8249)):
    """sRGB as version 2 states it: its primaries adapted to D50, its curve as a table."""
    curve = srgb_curve()
    return profile("RGB ", {
        "wtpt": xyz(*white), "rXYZ": xyz(0.43607, 0.22249, 0.01392),
        "gXYZ": xyz(0.38515, 0.71687, 0.09708), "bXYZ": xyz(0.14307, 0.06061, 0.71410),
        "rTRC": curve, "gTRC": curve, "bTRC": curve,
    })  # fmt: skip


def grey_gamma(value):
    text = b"desc\0\0\0\0" + struct.pack(">I", 5) + b"grey\0" + b"\0" * 78
    return profile("GRAY", {"desc": text, "wtpt": xyz(0.9642, 1, 0.8249), "kTRC": gamma(value)})


def grey_srgb():
    return profile("GRAY", {"wtpt": xyz(0.9642, 1, 0.8249), "kTRC": srgb_curve()})


def press():
    """A CMYK profile of two points an ink: paper white, black of K, and a cyan far from (0, 255, 255)."""
    table = b""
    for index in range(16):
        c, m, y, k = (index >> shift & 1 for shift in (3, 2, 1, 0))
        lightness = 255 * (1 - k) * (1 - 0.4 * c) * (1 - 0.4 * m) * (1 - 0.1 * y)
        a, b = (128 + (1 - k) * tint for tint in (-35 * c + 70 * m - 5 * y, -45 * c + 90 * y))
        table += bytes(round(min(max(value, 0), 255)) for value in (lightness, a, b))
    identity = b"".join(map(fixed16, (1, 0, 0, 0, 1, 0, 0, 0, 1)))
    ramp = bytes(range(256))
    lut = b"mft1\0\0\0\0" + bytes([4, 3, 2, 0]) + identity + ramp * 4 + table + ramp * 3
    built = bytearray(profile("CMYK", {"wtpt": xyz(0.9642, 1, 0.8249), "A2B0": lut}))
    built[12:16], built[20:24] = b"prtr", b"Lab "
    return bytes(built)
