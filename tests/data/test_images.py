"""Every oddity of an image file, made here and read back."""

import struct
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from gcn.data.images import BadImage, decode, load_image, read_size
from gcn.errors import InputError


def noise(height, width, channels=3, seed=0):
    shape = (height, width, channels) if channels > 1 else (height, width)
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def smooth(height, width):
    ramp = np.linspace(0, 255, height * width).reshape(height, width).astype(np.uint8)
    return np.stack([ramp, ramp[::-1], ramp[:, ::-1]], axis=2)


def test_rgb_is_unchanged(tmp_path):
    pixels = noise(5, 7)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert np.array_equal(load_image(tmp_path / "a.png"), pixels)
    assert decode(tmp_path / "a.png").notes == ()


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_keeps_its_range(tmp_path, suffix):
    values = np.array([[0, 257, 128 * 257, 65535], [1, 128, 129, 300]], np.uint16)
    Image.fromarray(values).save(tmp_path / f"a.{suffix}")
    pixels, notes, _ = decode(tmp_path / f"a.{suffix}")
    assert pixels[:, :, 0].tolist() == [[0, 1, 128, 255], [0, 0, 1, 1]]
    assert (pixels == pixels[:, :, :1]).all()
    assert notes == ("16-bit grey",)


def test_32_bit_integers_are_16_bit_values_or_refused(tmp_path):
    Image.fromarray(np.array([[0, 65535]], np.int32)).save(tmp_path / "a.tif")
    assert load_image(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 255]
    for wrong in (-1, 65536):
        Image.fromarray(np.array([[0, wrong]], np.int32)).save(tmp_path / "a.tif")
        with pytest.raises(BadImage, match="beyond 16 bits"):
            load_image(tmp_path / "a.tif")


def test_floating_point_is_taken_in_the_unit_interval_only(tmp_path):
    Image.fromarray(np.array([[0, 0.5, 1]], np.float32)).save(tmp_path / "a.tif")
    assert load_image(tmp_path / "a.tif")[0, :, 1].tolist() == [0, 128, 255]
    for wrong in (2, -0.1, np.nan):
        Image.fromarray(np.array([[0, wrong]], np.float32)).save(tmp_path / "a.tif")
        with pytest.raises(BadImage, match="outside"):
            load_image(tmp_path / "a.tif")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P", "L", "RGB"])
def test_transparent_parts_show_the_background(tmp_path, mode):
    image = Image.new("RGBA", (2, 1), (0, 0, 0, 0))
    image.putpixel((1, 0), (0, 0, 0, 255))
    options = {}
    if mode in ("L", "RGB"):  # a colour declared transparent
        image = Image.new("RGB", (2, 1), (9, 9, 9)).convert(mode)
        image.putpixel((1, 0), 0 if mode == "L" else (0, 0, 0))
        options = {"transparency": 9 if mode == "L" else (9, 9, 9)}
    elif mode == "P":
        image = Image.new("P", (2, 1), 1)
        image.putpalette([0] * 768)
        image.putpixel((1, 0), 0)
        options = {"transparency": 1}
    image.convert(mode).save(tmp_path / "a.png", **options)
    pixels, notes, _ = decode(tmp_path / "a.png")
    assert pixels[0].tolist() == [[255] * 3, [0] * 3]
    assert "transparent over white" in notes
    assert load_image(tmp_path / "a.png", background="#102030")[0].tolist() == [[16, 32, 48], [0] * 3]


def test_half_transparent_is_blended_and_opaque_is_no_peculiarity(tmp_path):
    Image.new("RGBA", (1, 1), (0, 100, 200, 51)).save(tmp_path / "a.png")  # 51 of 255: a fifth
    assert np.abs(load_image(tmp_path / "a.png")[0, 0].astype(int) - [204, 224, 244]).max() <= 1
    Image.new("RGBA", (1, 1), (0, 100, 200, 255)).save(tmp_path / "b.png")
    assert decode(tmp_path / "b.png").notes == ()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_the_camera_s_rotation_is_applied(tmp_path, orientation):
    upright = noise(3, 5)
    stored = {
        1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1],
        5: upright.transpose(1, 0, 2), 6: np.rot90(upright), 7: np.rot90(upright, 2).transpose(1, 0, 2),
        8: np.rot90(upright, -1),
    }[orientation]  # fmt: skip
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / "a.png", exif=exif)
    assert np.array_equal(load_image(tmp_path / "a.png"), upright)
    assert read_size(tmp_path / "a.png") == (3, 5)


def test_a_rotation_that_follows_the_pixels_of_a_png_file_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    chunk = b"eXIf" + exif.tobytes()[6:]
    written = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    path = tmp_path / "a.png"
    Image.fromarray(np.ascontiguousarray(np.rot90(noise(3, 5)))).save(path)
    data = path.read_bytes()
    path.write_bytes(data[:-12] + written + data[-12:])  # before the chunk of the end
    assert np.array_equal(load_image(path), noise(3, 5))
    assert read_size(path) == (3, 5)


def test_no_pixel_is_decoded_for_the_size(tmp_path, monkeypatch):
    Image.fromarray(noise(3, 5)).save(tmp_path / "a.png")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda _: pytest.fail("pixels were decoded"))
    assert read_size(tmp_path / "a.png") == (3, 5)


def test_cmyk_palette_bilevel_and_grey(tmp_path):
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(tmp_path / "red.jpg")
    red, notes, _ = decode(tmp_path / "red.jpg")
    assert notes == ("CMYK",)
    assert np.abs(red.astype(int) - [255, 0, 0]).max() <= 4
    for mode, name in (("P", "palette"), ("1", "bilevel"), ("L", "grayscale")):
        source = Image.fromarray(noise(6, 6, 1)).convert(mode)
        source.save(tmp_path / "a.png")
        pixels, notes, _ = decode(tmp_path / "a.png")
        assert notes == (name,)
        assert np.array_equal(pixels, np.asarray(source.convert("RGB")))


@pytest.mark.parametrize("suffix", ["png", "gif", "tif", "webp", "avif"])
def test_of_several_frames_or_pages_the_first_is_taken(tmp_path, suffix):
    frames = [Image.new("RGB", (16, 16), colour) for colour in ("red", "blue")]
    frames[0].save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:])
    pixels, notes, _ = decode(tmp_path / f"a.{suffix}")
    assert np.abs(pixels.astype(int) - [255, 0, 0]).max() <= 4
    assert notes[0] == "first frame of several"


def bomb(width, height):
    """A small PNG that claims a large size, with the pixels to match."""

    def chunk(kind, body):
        return len(body).to_bytes(4) + kind + body + zlib.crc32(kind + body).to_bytes(4)

    head = width.to_bytes(4) + height.to_bytes(4) + bytes([1, 0, 0, 0, 0])  # one bit a pixel
    data = zlib.compress(bytes((width // 8 + 1) * height), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


@pytest.mark.parametrize("side", [12_000, 20_000])  # beyond Pillow's warning, beyond its error
def test_the_pixel_limit_is_an_error_and_no_warning(tmp_path, side):
    (tmp_path / "a.png").write_bytes(bomb(side, side))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(BadImage, match="over the limit of 100 million"):
            load_image(tmp_path / "a.png")


def test_the_pixel_limit_is_exact_and_may_exceed_pillow_s(tmp_path):
    Image.fromarray(noise(10, 10)).save(tmp_path / "a.png")
    assert load_image(tmp_path / "a.png", max_pixels=100).shape == (10, 10, 3)
    with pytest.raises(BadImage, match="10×10 pixels"):
        load_image(tmp_path / "a.png", max_pixels=99)
    (tmp_path / "b.png").write_bytes(bomb(20_000, 10_000))
    before = Image.MAX_IMAGE_PIXELS
    assert read_size(tmp_path / "b.png", max_pixels=10**9) == (10_000, 20_000)
    assert before == Image.MAX_IMAGE_PIXELS


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "tif", "bmp", "gif", "jp2", "avif"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_truncated_files_are_refused(tmp_path, suffix, share):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(smooth(64, 64)).save(path)
    load_image(path)
    data = path.read_bytes()
    path.write_bytes(data[: int(share * len(data))])
    with pytest.raises(BadImage) as caught:
        load_image(path)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 110


def test_a_jpeg_without_its_last_bytes_is_refused_even_if_pillow_takes_it(tmp_path):
    for progressive in (False, True):
        Image.fromarray(smooth(64, 64)).save(tmp_path / "a.jpg", progressive=progressive)
        whole = (tmp_path / "a.jpg").read_bytes()
        (tmp_path / "a.jpg").write_bytes(whole + b"trailing bytes of an editor")
        load_image(tmp_path / "a.jpg")
        (tmp_path / "a.jpg").write_bytes(whole[:-2])
        with pytest.raises(BadImage, match="truncated"):
            load_image(tmp_path / "a.jpg")


def test_a_stray_marker_in_jpeg_data_is_damage(tmp_path):
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.jpg")
    data = bytearray((tmp_path / "a.jpg").read_bytes())
    data[len(data) // 2 : len(data) // 2 + 2] = b"\xff\x01"
    (tmp_path / "a.jpg").write_bytes(data)
    Image.open(tmp_path / "a.jpg").load()  # Pillow does not mind
    with pytest.raises(BadImage, match="marker 01"):
        load_image(tmp_path / "a.jpg")


def test_a_flipped_byte_in_a_png_is_damage(tmp_path):
    Image.fromarray(noise(64, 64)).save(tmp_path / "a.png")
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(BadImage, match="damaged"):
        load_image(tmp_path / "a.png")


def test_what_is_no_image_and_what_is_not_there(tmp_path):
    (tmp_path / "a.jpg").write_text("a letter")
    with pytest.raises(BadImage, match="not an image"):
        load_image(tmp_path / "a.jpg")
    with pytest.raises(BadImage, match="missing"):
        load_image(tmp_path / "b.jpg")
    (tmp_path / "c.png").write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n"
    )  # runs no Ghostscript
    with pytest.raises(BadImage, match="not an image"):
        load_image(tmp_path / "c.png")


def test_an_unknown_colour_is_the_user_s_error(tmp_path):
    Image.fromarray(noise(2, 2)).save(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"data\.background='whit'"):
        load_image(tmp_path / "a.png", background="whit")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    mode=st.sampled_from(
        ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I", "F", "I;16", "HSV", "LAB"]
    ),
    suffix=st.sampled_from(["png", "jpg", "tif", "webp", "bmp", "gif", "jp2", "tga", "ppm"]),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    seed=st.integers(0, 9),
)
def test_whatever_pillow_can_write_is_read_or_refused_by_name(tmp_path, mode, suffix, height, width, seed):
    path = tmp_path / f"a.{suffix}"
    base = Image.fromarray(noise(height, width, seed=seed))
    try:
        (base.convert("L").convert("I").convert(mode) if mode == "I;16" else base.convert(mode)).save(path)
    except (OSError, ValueError, KeyError):
        return  # this format does not know this mode
    try:
        pixels = load_image(path)
    except BadImage as reason:
        assert mode in ("F", "LAB", "HSV"), reason  # noqa: PT017
    else:
        assert pixels.shape == (height, width, 3)
        assert pixels.dtype == np.uint8


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(suffix=st.sampled_from(["png", "jpg", "webp", "gif", "tif"]), data=st.data())
def test_damage_anywhere_never_raises_anything_else(tmp_path, suffix, data):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(smooth(32, 32)).save(path)
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content)
    try:
        assert load_image(path, max_pixels=10**6).dtype == np.uint8
    except BadImage as reason:
        assert "\n" not in str(reason)  # noqa: PT017
