"""Conversion of pixels with an embedded colour profile to sRGB, by LittleCMS through Pillow."""

import io
from typing import NamedTuple

from PIL import Image, ImageCms

CONVERTED = "colour profile converted to sRGB"
UNUSABLE = "colour profile unusable, values kept"
_SPACES = {"RGB": "RGB", "RGBA": "RGB", "L": "GRAY", "CMYK": "CMYK"}
_SRGB = ImageCms.createProfile("sRGB")
_LEVEL = 1  # a profile that moves no colour by more is sRGB in another wording


class Converted(NamedTuple):
    """An image in sRGB, and a note in a fixed wording if it was converted."""

    image: Image.Image
    note: str | None


def to_srgb(image: Image.Image) -> Converted:
    """The image with its embedded profile applied, perceptually; grey and CMYK become RGB.

    Without a profile, or with one of sRGB, it is returned as it is. Gamma and chromaticities outside of a profile
    (PNG's gAMA and cHRM) are not looked at, as in browsers' default settings.
    """
    data = image.info.get("icc_profile")
    if not data:
        return Converted(image, None)
    if image.mode == "P":
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(data))
        if profile.profile.xcolor_space.strip() != _SPACES.get(image.mode):
            return Converted(image, UNUSABLE)
        if _is_srgb(profile, image.mode):
            return Converted(image, None)
        return Converted(_apply(image, profile), CONVERTED)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return Converted(image, UNUSABLE)


def _apply(image: Image.Image, profile: ImageCms.ImageCmsProfile) -> Image.Image:
    mode = "RGBA" if image.mode == "RGBA" else "RGB"
    converted = ImageCms.profileToProfile(image, profile, _SRGB, outputMode=mode)
    assert converted is not None
    return converted


def _is_srgb(profile: ImageCms.ImageCmsProfile, mode: str) -> bool:
    """Whether the profile leaves the colours of a grid unchanged."""
    if mode == "CMYK":
        return False
    levels = range(0, 256, 15)
    if mode == "L":
        probe = Image.new("L", (len(levels), 1))
        probe.putdata(list(levels))
    else:
        probe = Image.new("RGB", (len(levels) ** 2, len(levels)))
        probe.putdata([(r, g, b) for r in levels for g in levels for b in levels])
    moved = _apply(probe, profile).tobytes()
    return all(abs(a - b) <= _LEVEL for a, b in zip(probe.convert("RGB").tobytes(), moved, strict=True))
