"""Colour profiles: converted where they say something, untouched where they do not, never fatal."""

import struct
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from icc import grey_gamma, grey_srgb, press, srgb, srgb_in_other_words, wide_gamut
from PIL import Image

from gcn.data.images import decode
from gcn.data.profiles import CONVERTED, UNUSABLE

RNG = np.random.default_rng(0)
PIXELS = RNG.integers(0, 256, (20, 30, 3), dtype=np.uint8)


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
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 2, 1, 16, 2, 0, 0, 0))
    rows = b"\0" + struct.pack(">6H", 65535, 0, 256, 32768, 511, 1)
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    (tmp_path / "a.png").write_bytes(data)
    found = decode(tmp_path / "a.png")
    assert found.notes == ("16-bit colour",)
    assert found.pixels[0, :, 0].tolist() == [255, 128]


@pytest.mark.parametrize("white", [(0.9642, 1, 0.8249), (0.9505, 1, 1.0891)])  # D50; D65, as HP's has it
def test_srgb_in_other_words_changes_nothing(tmp_path, white):
    found = saved(tmp_path, Image.fromarray(PIXELS), srgb_in_other_words(white))
    assert found.notes == ()
    assert np.array_equal(found.pixels, PIXELS)


def test_grey_with_the_curve_of_srgb_changes_nothing(tmp_path):
    found = saved(tmp_path, Image.fromarray(PIXELS[..., 0]), grey_srgb())
    assert found.notes == ("grayscale",)
    assert np.array_equal(found.pixels[..., 0], PIXELS[..., 0])


@pytest.mark.parametrize("suffix", ["tif", "jpg"])  # JPEG has them inverted, as Adobe writes them
def test_inks_are_those_of_the_press(tmp_path, suffix):
    inks = Image.new("CMYK", (3, 1))
    inks.putdata([(0, 0, 0, 0), (0, 0, 0, 255), (255, 0, 0, 0)])
    inks = inks.resize((48, 16), Image.Resampling.NEAREST)
    found = saved(tmp_path, inks, press(), f"a.{suffix}")
    assert found.notes == ("CMYK", CONVERTED)
    white, black, cyan = found.pixels[8, 8::16].astype(int)
    assert white.min() > 250
    assert black.max() < 12
    assert 100 < cyan[1] < 200
    assert saved(tmp_path, inks, wide_gamut(), "a.tif").notes == ("CMYK", UNUSABLE)


@pytest.mark.parametrize("suffix", ["png", "jpg", "webp", "tif", "avif"])
def test_every_format_s_profile_is_found(tmp_path, suffix):
    found = saved(tmp_path, Image.new("RGB", (16, 16), (60, 200, 60)), wide_gamut(), f"a.{suffix}")
    assert found.notes == (CONVERTED,)


GREYS = {
    "L": Image.new("L", (4, 4), 55),
    "LA": Image.new("LA", (4, 4), (55, 255)),
    "I;16": Image.fromarray(np.full((4, 4), 55 * 257, np.uint16)),
    "F": Image.fromarray(np.full((4, 4), 55 / 255, np.float32)),
}


@pytest.mark.parametrize("mode", GREYS)
def test_every_grey_has_its_profile_applied(tmp_path, mode):
    found = saved(tmp_path, GREYS[mode], grey_gamma(1.0), "a.tif")
    assert found.notes[1:] == (CONVERTED,)
    assert found.grey
    assert np.ptp(found.pixels) == 0
    assert abs(int(found.pixels[0, 0, 0]) - 128) <= 2


@pytest.mark.parametrize("mode", GREYS)
def test_grey_under_a_profile_of_three_colours(tmp_path, mode):
    """Programs that work in RGB leave their profile in grey files."""
    plain = saved(tmp_path, GREYS[mode], srgb(), "a.tif")
    assert len(plain.notes) == 1
    assert (plain.pixels == 55).all()
    other = saved(tmp_path, GREYS[mode], wide_gamut(), "a.tif")
    assert other.notes[1:] == (CONVERTED,)
    assert other.grey
    assert np.ptp(other.pixels) == 0
    assert saved(tmp_path, GREYS[mode], press(), "a.tif").notes[1:] == (UNUSABLE,)


def test_black_and_white_stay_so(tmp_path):
    bilevel = Image.fromarray(PIXELS[..., 0]).convert("1")
    found = saved(tmp_path, bilevel, grey_gamma(1.0))
    assert np.array_equal(found.pixels[..., 0], np.asarray(bilevel) * np.uint8(255))


def test_colours_under_alpha_are_converted_before_they_are_laid_over_the_background(tmp_path):
    plain = saved(tmp_path, Image.new("RGB", (2, 2), (60, 200, 60)), wide_gamut()).pixels.astype(float)
    half = saved(tmp_path, Image.new("RGBA", (2, 2), (60, 200, 60, 102)), wide_gamut()).pixels
    assert np.abs(half - (0.4 * plain + 0.6 * 255)).max() <= 1


def test_a_profile_that_pillow_cannot_unpack_is_mentioned(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    body = b"iCCP" + b"name\0\0" + b"not deflated"
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    found = decode(tmp_path / "a.png")
    assert found.notes == (UNUSABLE,)
    assert np.array_equal(found.pixels, PIXELS)


def test_a_jpeg_whose_profile_lacks_a_part_is_mentioned(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.jpg", icc_profile=srgb())
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    data[data.index(b"ICC_PROFILE\0") + 13] = 2  # the first of two
    (tmp_path / "a.jpg").write_bytes(data)
    assert decode(tmp_path / "a.jpg").notes == (UNUSABLE,)


def test_gamma_and_primaries_without_a_profile_change_nothing(tmp_path):
    Image.fromarray(PIXELS).save(tmp_path / "a.png")
    data = (tmp_path / "a.png").read_bytes()
    body = b"gAMA" + struct.pack(">I", 100_000)
    chunk = struct.pack(">I", 4) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(data[:33] + chunk + data[33:])
    assert np.array_equal(decode(tmp_path / "a.png").pixels, PIXELS)
    assert decode(tmp_path / "a.png").notes == ()


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_damaged_profile_never_ends_in_an_error(tmp_path, data):
    icc = bytearray(data.draw(st.sampled_from([srgb(), wide_gamut(), grey_gamma(2.0), press()])))
    for _ in range(data.draw(st.integers(1, 6))):
        icc[data.draw(st.integers(0, len(icc) - 1))] = data.draw(st.integers(0, 255))
    image = Image.fromarray(PIXELS).convert(data.draw(st.sampled_from(["RGB", "RGBA", "L", "LA", "CMYK"])))
    assert saved(tmp_path, image, bytes(icc), "a.tif").pixels.shape == PIXELS.shape
