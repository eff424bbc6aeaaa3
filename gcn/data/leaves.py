"""Dead-leaves images: random shapes that hide one another, with the colours and textures of given
photographs.

A handful of photographs is too little to learn what photographs in general look like. Occluding shapes whose
sizes follow a power law share with them what matters to a codec (edges at all scales, flat or textured
regions between them, a power spectrum near 1/f²) and come in any number.

A. B. Lee, D. Mumford, J. Huang: Occlusion models for natural images. IJCV 41 (2001).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from gcn.data.images import Pixels

Floats = NDArray[np.float32]

_OVERSAMPLING = 2  # drawn at twice the size and then reduced, for smooth edges
_CORNERS = 32
_TEXTURES = 5  # different materials in an image
_GREY = np.array([0.299, 0.587, 0.114], np.float32)


def dead_leaves(photographs: Sequence[Pixels], count: int, size: int = 192, seed: int = 0) -> list[Pixels]:
    """``count`` images (size, size, 3); the same arguments give the same images."""
    pictures = [Image.fromarray(photograph) for photograph in photographs]
    generators = (np.random.Generator(np.random.Philox(key=[seed, i])) for i in range(count))
    return [_image(pictures, size, rng) for rng in generators]


def _image(photographs: Sequence[Image.Image], size: int, rng: np.random.Generator) -> Pixels:
    side = _OVERSAMPLING * size
    palette = _palette(photographs, rng)
    textures = np.stack([_texture(photographs, side, rng) for _ in range(_TEXTURES)])
    roughness = _log_uniform(rng, 3, 32)  # of the textures, in grey levels
    smallest, steepness, cover = _log_uniform(rng, 3, 20), rng.uniform(2.6, 3.3), rng.uniform(2, 4)
    canvas = np.broadcast_to(palette[0], (side, side, 3)).astype(np.float32)
    layers = rng.integers(1, 4)  # all but the nearest are out of focus
    for layer in range(layers):
        if layer:
            canvas = _blur(canvas, _log_uniform(rng, 1, 8))
        radii = _radii(side, smallest, side / 2, steepness, (cover if layer == 0 else 0.7) * side * side, rng)
        labels = _draw(_outlines(radii, side, rng), side)
        canvas = _paint(canvas, labels, len(radii), palette, textures, roughness, rng)
    if rng.random() < 0.3:
        canvas = _blur(canvas, rng.uniform(0.5, 2))
    small = canvas.reshape(size, _OVERSAMPLING, size, _OVERSAMPLING, 3).mean((1, 3))
    return _expose(small, rng)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def _palette(photographs: Sequence[Image.Image], rng: np.random.Generator) -> Floats:
    """Colours (64, 3) in few hues, taken from one photograph, with other brightnesses."""
    pixels = np.asarray(photographs[rng.integers(len(photographs))]).reshape(-1, 3)
    colours = pixels[rng.integers(len(pixels), size=64)][:, rng.permutation(3)].astype(np.float32)
    grey = colours @ _GREY
    hue = (colours - grey[:, None]) / (grey[:, None] + 16)
    hue = hue.clip(-1, 1.5) * np.float32(rng.uniform(0.1, 1)) + rng.normal(0, 0.12, 3).astype(np.float32)
    light = rng.normal(rng.uniform(60, 170), rng.uniform(15, 60), 64).clip(4, 250).astype(np.float32)
    return light[:, None] * (1 + hue)


def _texture(photographs: Sequence[Image.Image], side: int, rng: np.random.Generator) -> Floats:
    """Texture (side, side) from a region of a photograph at a random scale, with mean 0 and deviation 1."""
    photograph = photographs[rng.integers(len(photographs))].convert("L")
    extent = min(side * _log_uniform(rng, 0.5, 1.5), *photograph.size)
    left, top = (rng.uniform(0, limit - extent) for limit in photograph.size)
    box = (left, top, left + extent, top + extent)
    region = photograph.resize((side, side), Image.Resampling.BICUBIC, box=box)
    coarse = region.filter(ImageFilter.GaussianBlur(_log_uniform(rng, 4, 64)))  # objects are no material
    grain = np.asarray(region, np.float32) - np.asarray(coarse, np.float32)
    return (grain / (grain.std() + 1)).clip(-4, 4)


def _radii(
    side: int, smallest: float, largest: float, steepness: float, area: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Radii with a density proportional to r^-steepness, as many as cover the given area in all."""
    power = 1 - steepness
    u = rng.random(6000)
    radii = (smallest**power + u * (largest**power - smallest**power)) ** (1 / power)
    return radii[: np.searchsorted(np.cumsum(1.9 * radii**2), area) + 1]


def _outlines(radii: NDArray[np.float64], side: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Corners (n, 32, 2) of polygons, ellipses and blobs of random elongation, direction and place."""
    n = len(radii)
    kind = rng.random((n, 1))
    place = np.arange(_CORNERS)[None] / _CORNERS
    few = rng.integers(3, 7, (n, 1))
    angle = 2 * np.pi * np.where(kind < 0.35, np.floor(place * few) / few, place)
    length = np.ones((n, _CORNERS))
    for wave in range(1, 6):
        swing = rng.normal(0, 0.3 / wave, (n, 1)) * (kind < 0.75)  # the rest are ellipses
        length += swing * np.cos(wave * angle + rng.uniform(0, 2 * np.pi, (n, 1)))
    length = radii[:, None] * length.clip(0.2, 2)
    x, y = length * np.cos(angle), length * np.sin(angle) * np.exp(rng.uniform(-1.6, 0, (n, 1)))
    turn = rng.uniform(0, 2 * np.pi, (n, 1))
    turned = np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=2)
    return turned + rng.uniform(0, side, (n, 1, 2))


def _draw(outlines: NDArray[np.float64], side: int) -> NDArray[np.int32]:
    """Number (from 1) of the last outline that covers each point, 0 where none does."""
    labels = Image.new("I", (side, side))
    draw = ImageDraw.Draw(labels)
    for number, outline in enumerate(outlines.reshape(len(outlines), -1).tolist(), start=1):
        draw.polygon(outline, fill=number)
    return np.asarray(labels)


def _paint(
    canvas: Floats,
    labels: NDArray[np.int32],
    n: int,
    palette: Floats,
    textures: Floats,
    roughness: float,
    rng: np.random.Generator,
) -> Floats:
    """Give each leaf a colour, a gradient of brightness and the texture of a material."""
    side = len(labels)
    colour = palette[rng.integers(len(palette), size=n)]
    slope = rng.normal(0, 0.5, (2, n)).astype(np.float32)  # relative change of the light over the image
    grain = roughness * np.exp(rng.normal(0, 0.8, (n, 1))) * rng.normal(1, 0.15, (n, 3))
    material, down, right = rng.integers(len(textures), size=n), *rng.integers(side, size=(2, n))
    drawn = labels > 0
    y, x = np.nonzero(drawn)
    leaf = labels[drawn] - 1
    across = np.linspace(-1, 1, side, dtype=np.float32)
    light = 1 + slope[0][leaf] * across[y] + slope[1][leaf] * across[x]
    value = textures[material[leaf], (y + down[leaf]) % side, (x + right[leaf]) % side]
    out = canvas.copy()
    out[drawn] = colour[leaf] * light[:, None].clip(0.2, 2) + value[:, None] * grain.astype(np.float32)[leaf]
    return out.clip(0, 255)


def _blur(canvas: Floats, radius: float) -> Floats:
    picture = Image.fromarray(canvas.astype(np.uint8))
    return np.asarray(picture.filter(ImageFilter.GaussianBlur(radius)), np.float32)


def _expose(image: Floats, rng: np.random.Generator) -> Pixels:
    """The image in 8 bits, in some images with the noise of a sensor."""
    if rng.random() < 0.5:
        image = image + rng.normal(0, rng.uniform(1, 5), image.shape[:2])[:, :, None]
    return image.clip(0, 255).round().astype(np.uint8)
