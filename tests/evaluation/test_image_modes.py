"""evaluate is compress and decompress: the bytes and the pixels of the very files, for images of every mode."""

import numpy as np
import pytest
from PIL import Image
from rounding import photo
from skimage.metrics import peak_signal_noise_ratio

from gcn.coding import transcode
from gcn.data.images import decode
from gcn.data.output import one_channel
from gcn.evaluation import settings
from gcn.metrics.fidelity import decibels, squared_error
from gcn.models import package
from gcn.models.places import model_path

COLOUR = photo(37, 50)
GREY = COLOUR[..., 1].copy()
ALPHA = np.tile(np.linspace(0, 255, 50).astype(np.uint8), (37, 1))


def turned():
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif.tobytes()


CASES = {
    "1.png": lambda path: Image.fromarray(GREY > 128).save(path),
    "L.png": lambda path: Image.fromarray(GREY).save(path),
    "LA.png": lambda path: Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(ALPHA))).save(path),
    "P.png": lambda path: Image.fromarray(COLOUR).quantize(40).save(path),
    "RGB.png": lambda path: Image.fromarray(COLOUR).save(path),
    "RGBA.png": lambda path: Image.fromarray(np.dstack([COLOUR, ALPHA])).save(path),
    "I16.png": lambda path: Image.fromarray(GREY.astype(np.uint16) * 257).save(path),
    "F.tiff": lambda path: Image.fromarray(GREY.astype(np.float32) / 255).save(path),
    "CMYK.jpg": lambda path: Image.fromarray(COLOUR).convert("CMYK").save(path, quality=90),
    "L.jpg": lambda path: Image.fromarray(GREY).save(path, quality=90),
    "turned.jpg": lambda path: Image.fromarray(COLOUR).save(path, quality=90, exif=turned()),
    "turned_grey.jpg": lambda path: Image.fromarray(GREY).save(path, quality=90, exif=turned()),
    "one.png": lambda path: Image.fromarray(GREY[:1, :1]).save(path),
    "tiny.png": lambda path: Image.fromarray(COLOUR[:7, :9]).save(path),
    "flat.png": lambda path: Image.fromarray(np.full_like(COLOUR, 255)).save(path),
}
GREYS = {"1.png", "L.png", "LA.png", "I16.png", "F.tiff", "L.jpg", "turned_grey.jpg", "one.png"}


@pytest.fixture(scope="module")
def codec():
    return package.load(model_path("low"))


@pytest.mark.parametrize(
    ("name", "background"),
    [
        *((name, "white") for name in CASES),
        *((name, "#4080c0") for name in ("RGB.png", "RGBA.png", "LA.png")),
    ],
)
def test_the_numbers_are_those_of_the_files(name, background, codec, tmp_path):
    source, file, target = tmp_path / name, tmp_path / "a.gcn", tmp_path / "out.png"
    CASES[name](source)
    transcode.compress(codec, source, file, background)
    transcode.decompress(file, target, lambda _: (codec, ()))
    written = np.asarray(Image.open(target))
    image = decode(source, background)
    found = settings.through_file(codec, image)
    assert found.file_bytes == file.stat().st_size
    assert np.array_equal(found.pixels, written)
    original = settings.stored(image)
    grey = name in GREYS and (name, background) != ("LA.png", "#4080c0")  # grey glass before blue
    assert (original.ndim == 2) == (written.ndim == 2) == grey
    if written.ndim == 2:
        assert np.array_equal(original, one_channel(image.pixels))
    assert decibels(squared_error(original, found.pixels)) == pytest.approx(
        peak_signal_noise_ratio(original, written, data_range=255), abs=1e-9
    )


def test_a_grey_image_is_what_decompress_writes_not_what_the_codec_draws(codec):
    """The mean of the three channels that the codec draws has less error than these."""
    image = decode_grey()
    found = settings.through_file(codec, image)
    drawn = transcode.to_pixels(codec, transcode.parse(transcode.to_bytes(codec, image)))
    assert found.pixels.shape == image.pixels.shape[:2]
    assert squared_error(settings.stored(image), found.pixels) < squared_error(image.pixels, drawn)


def decode_grey():
    from gcn.data.images import Decoded

    return Decoded(np.dstack([GREY] * 3), (), grey=True)


def test_a_file_that_is_not_the_reconstruction_stops_the_evaluation(codec, monkeypatch):
    """No number of this codec would mean anything."""
    monkeypatch.setattr(transcode, "to_pixels", lambda codec, file: np.zeros((37, 50, 3), np.uint8))
    with pytest.raises(settings.NotTheReconstruction, match="own reconstruction"):
        settings.through_file(codec, decode_grey())


def test_learned_codecs_are_curves():
    found = settings.members({"model": "low,mid,low", "series.other": "low"})
    assert [(m.series, m.name) for m in found] == [("gcn", "low"), ("gcn", "mid"), ("other", "low")]


def test_models_of_one_name_are_told_apart(tmp_path):
    for place in ("a", "b"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "x.safetensors").touch()
    words = {"series.mine": f"{tmp_path}/a/x.safetensors,{tmp_path}/b/x.safetensors"}
    assert len({m.name for m in settings.members(words)}) == 2


def test_other_weights_have_another_id(codec):
    mid = package.load(model_path("mid"))
    gan = package.load(model_path("low-gan"))
    assert len({settings._id_of(one) for one in (codec, mid, gan)}) == 3
    assert settings._id_of(codec) == settings._id_of(package.load(model_path("low")))
