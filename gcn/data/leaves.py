"""Dead-leaves images: random shapes that hide one another, coloured and textured from given photographs.

Four photographs are too few to learn what photographs in general look like. Occluding shapes whose sizes follow a
power law share the statistics that matter to a codec (edges at all scales, flat regions between them, a power spectrum
near 1/f²) and come in any number (Lee, Mumford, Huang: Occlusion models for natural images, IJCV 2001).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from gcn.data.images import Pixels

_OVERSAMPLING = 2  # drawn at twice the size, then reduced: smooth edges


def dead_leaves(photographs: Sequence[Pixels], count: int, size: int = 256, seed: int = 0) -> list[Pixels]:
    """``count`` images of ``size``×``size``; the same arguments give the same images."""
    sources = [Image.fromarray(p) for p in photographs]
    return [_image(sources, size, np.random.Generator(np.random.Philox(key=[seed, i]))) for i in range(count)]


def _image(photographs: Sequence[Image.Image], size: int, rng: np.random.Generator) -> Pixels:
    side = _OVERSAMPLING * size
    palette = _palette(photographs, rng)
    canvas = _texture(photographs, side, side, rng).filter(ImageFilter.GaussianBlur(rng.uniform(4, 24)))
    smallest, steepness = np.exp(rng.uniform(np.log(3), np.log(16))), rng.uniform(2.6, 3.2)
    cover = rng.uniform(1.0, 2.5)  # how often a point is covered, on average
    layers = rng.choice((1, 2, 3), p=(0.4, 0.3, 0.3))  # all but the nearest are out of focus
    for layer in range(layers):
        if layer:
            canvas = canvas.filter(ImageFilter.GaussianBlur(float(np.exp(rng.uniform(0, np.log(8))))))
        for radius in _radii(side, smallest, 0.5 * side, steepness, cover / layers, rng):
            _leaf(canvas, photographs, palette, radius, rng)
    if rng.random() < 0.5:
        canvas = canvas.filter(ImageFilter.GaussianBlur(rng.uniform(0.5, 2)))
    small = canvas.resize((size, size), Image.Resampling.BOX)
    return _illuminate(np.asarray(small, np.float32), rng)


def _palette(photographs: Sequence[Image.Image], rng: np.random.Generator) -> NDArray[np.float32]:
    """Colours (n, 3) of one photograph: an image keeps to one light and a few materials."""
    pixels = np.asarray(photographs[rng.integers(len(photographs))]).reshape(-1, 3)
    return pixels[rng.integers(len(pixels), size=64)].astype(np.float32)


def _radii(
    side: int, smallest: float, largest: float, steepness: float, cover: float, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Radii with a density proportional to r^-steepness whose discs have ``cover`` times the area of the canvas."""
    power = 1 - steepness
    u = rng.random(20_000)
    radii = (smallest**power + u * (largest**power - smallest**power)) ** (1 / power)
    area = np.cumsum(np.pi * radii**2 * 0.6)  # .6: shapes are no full discs
    return radii[: np.searchsorted(area, cover * side * side) + 1]


def _leaf(
    canvas: Image.Image,
    photographs: Sequence[Image.Image],
    palette: NDArray[np.float32],
    radius: float,
    rng: np.random.Generator,
) -> None:
    """Draw one shape: small ones in a flat colour, larger ones with shading and the texture of a photograph."""
    outline = _outline(radius, rng) + rng.uniform(0, canvas.width, 2)
    base = palette[rng.integers(len(palette))] + rng.normal(0, 6, 3)
    left, top = np.maximum(np.floor(outline.min(0)), 0).astype(int)
    right, bottom = np.minimum(np.ceil(outline.max(0)) + 1, canvas.width).astype(int)
    if right - left < 1 or bottom - top < 1:
        return
    if radius < 10:
        fill = tuple(int(c) for c in base.clip(0, 255))
        ImageDraw.Draw(canvas).polygon([tuple(p) for p in outline], fill=fill)
        return
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).polygon([tuple(p) for p in outline - (left, top)], fill=255)
    canvas.paste(_surface(photographs, base, mask.size, rng), (left, top), mask)


def _outline(radius: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Corners (n, 2) of a polygon, an ellipse, or a blob, of random elongation and direction, about the origin."""
    kind = rng.random()
    corners = rng.integers(3, 7) if kind < 0.3 else int(np.clip(radius, 12, 64))
    angle = np.linspace(0, 2 * np.pi, corners, endpoint=False)
    length = np.ones(corners)
    if kind < 0.3:
        angle = angle + rng.uniform(-0.4, 0.4, corners)
        length = rng.uniform(0.7, 1.2, corners)
    elif kind < 0.7:
        for wave in range(2, 6):
            length = length + rng.normal(0, 0.25 / wave) * np.cos(wave * angle + rng.uniform(0, 2 * np.pi))
    x, y = radius * length * np.cos(angle), radius * length * np.sin(angle) * np.exp(rng.uniform(-1.6, 0))
    turn = rng.uniform(0, 2 * np.pi)
    return np.stack([x * np.cos(turn) - y * np.sin(turn), x * np.sin(turn) + y * np.cos(turn)], axis=1)


def _surface(
    photographs: Sequence[Image.Image],
    base: NDArray[np.float32],
    size: tuple[int, int],
    rng: np.random.Generator,
) -> Image.Image:
    """A piece of material: a colour, a linear shading and, often, the deviation of a photograph from its mean."""
    width, height = size
    slope = rng.normal(0, 30, 2) / max(width, height)
    shade = slope[0] * (np.arange(width) - width / 2) + slope[1] * (np.arange(height)[:, None] - height / 2)
    surface = base + shade[:, :, None].astype(np.float32)
    if rng.random() < 0.6:
        texture = np.asarray(_texture(photographs, width, height, rng), np.float32)
        grain = texture - texture.mean((0, 1))
        surface = surface + grain * np.float32(rng.uniform(0.2, 1))
    return Image.fromarray(surface.clip(0, 255).astype(np.uint8))


def _texture(
    photographs: Sequence[Image.Image], width: int, height: int, rng: np.random.Generator
) -> Image.Image:
    """A region of a photograph at a random scale, stretched to fill the size, its colours exchanged at random."""
    photograph = photographs[rng.integers(len(photographs))]
    zoom = np.exp(rng.uniform(np.log(0.5), np.log(2)))
    w, h = (min(max(2.0, n * zoom), limit) for n, limit in zip((width, height), photograph.size, strict=True))
    left, top = rng.uniform(0, photograph.width - w), rng.uniform(0, photograph.height - h)
    piece = photograph.resize((width, height), Image.Resampling.BILINEAR, box=(left, top, left + w, top + h))
    channels = piece.split()
    return Image.merge("RGB", [channels[i] for i in rng.permutation(3)])


def _illuminate(image: NDArray[np.float32], rng: np.random.Generator) -> Pixels:
    """Light that falls off across the scene, and a little sensor noise in some."""
    size = len(image)
    ramp = np.linspace(-1, 1, size, dtype=np.float32)
    a, b = rng.normal(0, 0.15, 2).astype(np.float32)
    image = image * (1 + a * ramp[None, :, None] + b * ramp[:, None, None])
    if rng.random() < 0.3:
        image = image + rng.normal(0, rng.uniform(1, 4), image.shape).astype(np.float32)
    return image.clip(0, 255).round().astype(np.uint8)
