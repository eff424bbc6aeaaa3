"""Validation of the instruments of realism: each on photographs degraded by known amounts, and on a codec."""

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gcn.errors import InputError
from gcn.evaluation.sources import Source
from gcn.files.atomic import make_folder, write_text
from gcn.files.names import printable
from gcn.files.reading import read_json
from gcn.metrics.c2st import Classifier
from gcn.metrics.degradations import ladder, rungs
from gcn.metrics.fidelity import psnr, to_uint8
from gcn.metrics.realism import Patches, Slicing, compare, compare_disjoint, describe
from gcn.metrics.realism_of_sets import Look, classify, crops_of, enough, kernel_distances, lattices, look
from gcn.models.codec import Codec
from gcn.report.summary import plain, write_json_atomic

SEED = 0  # of places, noise and directions
SLICING = Slicing(patches=32, directions=128)
HALVINGS = 4  # random ways to halve the images, for the spread of SWD
PHOTOGRAPHS, CODEC, SIZES = "photographs", "codec", "sizes"
ON_CODEC = (("noise", 6.0), ("lattice_2", 4.0), ("lattice_4", 4.0))  # added to a codec's reconstructions
CLASSIFIERS = {
    "4 channels, learning rate 3e-3": Classifier(width=4, rate=3e-3),  # that of conf/study/margin.yaml
    "4 channels": Classifier(width=4),
    "8 channels, learning rate 3e-3": Classifier(width=8, rate=3e-3),
    "16 channels (default)": Classifier(),
    "16 channels, twice the passes": Classifier(epochs=4),
    "16 channels, patches of 8 pixels": Classifier(side=8, epochs=1),
}

Row = dict[str, Any]


class Case(NamedTuple):
    """One version of all images: a kind of degradation at a strength, perhaps on top of a codec."""

    kind: str
    strength: float
    codec: bool = False

    @property
    def key(self) -> str:
        """Name of the case in the journal."""
        if self.kind in (PHOTOGRAPHS, CODEC):
            return self.kind
        return f"{'codec + ' if self.codec else ''}{self.kind} {self.strength:g}"


ON_SIZES = (
    Case(CODEC, 0.0, codec=True), Case("lattice_4", 4.0, codec=True), Case("noise", 6.0, codec=True),
    Case("lattice_4", 4.0), Case("blur", 0.8), Case("noise", 2.0), Case("blocks", 20.0),
)  # fmt: skip


class Validation:
    """Photographs, their middles of a few hundred pixels, and all cases made of them.

    Args:
        sources: of the photographs.
        side: pixels of the middles.
        codec: whose reconstructions are measured as well.
        seeds: number of classifiers for each case.
    """

    def __init__(self, sources: Sequence[Source], side: int, codec: Codec | None, seeds: int) -> None:
        self.codec, self.seeds = codec, range(seeds)
        self.images = [image for source in sources if (image := _middle(source, side)) is not None]
        self.count = crops_of(len(self.images))
        self.looks, self.patches = self._seen(self.images)
        if problem := enough(self.looks):
            raise InputError(
                f"data.root: {problem}; give more images of at least {side} pixels a side, or a smaller side="
            )
        self.floor = self._halved(self.patches)[0]
        self.coded: list[Tensor] = []

    def cases(self, names: Sequence[str] | None) -> Iterator[Case]:
        """The photographs themselves, all steps of the ladders, and the codec with something added."""
        yield Case(PHOTOGRAPHS, 0.0)
        for one, strength in rungs(names):
            yield Case(one.name, strength)
        if self.codec is not None:
            yield Case(CODEC, 0.0, codec=True)
            for kind, strength in ON_CODEC:
                yield Case(kind, strength, codec=True)

    def measure(self, case: Case) -> Row:
        """All numbers of a case."""
        versions = self._version(case)
        looks, patches = self._seen(versions)
        found = classify(self.looks, looks, self.seeds)
        kid = kernel_distances(self.looks, looks)
        lattice = lattices(self.looks, looks)
        period = max(lattice, key=lambda p: lattice[p].value)
        halves = self._halved(patches)
        errors = [
            float(psnr(x[None], to_uint8(y)[None] / 255)) for x, y in zip(self.images, versions, strict=True)
        ]
        row: Row = {
            "case": case.key, "kind": case.kind, "strength": case.strength, "on_codec": case.codec,
            "images": len(self.images), "psnr": sum(errors) / len(errors),
            "auc": found.auc, "c2st_of_seeds": found.of_seeds, "c2st_of_images": found.of_images,
            "lattice_at": period,
            "swd": compare(self.patches, patches, 3, SEED, SLICING)["mean"],
            "swd_disjoint": halves[0], "swd_disjoint_low": halves[0] - 1.96 * halves[1],
            "swd_disjoint_high": halves[0] + 1.96 * halves[1], "swd_floor": self.floor,
        }  # fmt: skip
        intervals = {"c2st": found.bits, "lattice": lattice[period]}
        intervals |= {f"kid_{name}": one for name, one in kid.items()}
        for name, one in intervals.items():
            row |= {name: one.value, f"{name}_low": one.low, f"{name}_high": one.high}
        return row | {f"lattice_{p}": one.value for p, one in lattice.items()}

    def sizes(self, size: str) -> Row:
        """Bits of a few cases by a classifier of another size."""
        row: Row = {"case": f"{SIZES} {size}", "kind": SIZES, "size": size}
        for case in ON_SIZES:
            if case.codec and self.codec is None:
                continue
            looks, _ = self._seen(self._version(case), patches=False)
            found = classify(self.looks, looks, self.seeds, CLASSIFIERS[size])
            row |= {case.key: found.bits.value, f"{case.key}, seeds": found.of_seeds}
        return row

    @torch.no_grad()
    def _version(self, case: Case) -> list[Tensor]:
        if case.codec and not self.coded:
            assert self.codec is not None
            self.coded = [self.codec.reconstruct(x[None]).x_hat[0].clamp(0, 1) for x in self.images]
        images = self.coded if case.codec else self.images
        if case.kind in (PHOTOGRAPHS, CODEC):
            return list(images)
        one = ladder(case.kind)
        return [one.at(x[None], case.strength, SEED + i)[0] for i, x in enumerate(images)]

    def _seen(self, images: Sequence[Tensor], patches: bool = True) -> tuple[list[Look], list[Patches]]:
        looks = [look(x, i, SEED, self.count) for i, x in enumerate(images)]
        cut = [describe(to_uint8(x) / 255, i, SEED, SLICING) for i, x in enumerate(images)] if patches else []
        return looks, cut

    def _halved(self, patches: Sequence[Patches]) -> tuple[float, float]:
        """Mean and standard deviation over random halvings of the SWD with different images on the two sides."""
        values = []
        for k in range(HALVINGS):
            order = torch.randperm(len(patches), generator=torch.Generator().manual_seed(k)).tolist()
            real, fake = ([one[i] for i in order] for one in (self.patches, patches))
            values.append(compare_disjoint(real, fake, 3, SEED, SLICING))
        mean = sum(values) / len(values)
        return mean, math.sqrt(sum((v - mean) ** 2 for v in values) / (len(values) - 1))


def _middle(source: Source, side: int) -> Tensor | None:
    """The middle (3, side, side) of an image in [0, 1]; None of smaller images."""
    pixels = torch.from_numpy(source.load().pixels).permute(2, 0, 1)
    top, left = ((size - side) // 2 for size in pixels.shape[1:])
    return None if min(top, left) < 0 else pixels[:, top : top + side, left : left + side].contiguous() / 255


def measured(
    validation: Validation,
    names: Sequence[str] | None,
    folder: Path,
    words: Mapping[str, Any],
    say: Callable[[str], None],
) -> list[Row]:
    """Rows of all cases and of the sizes; each is saved when it is measured, and the same command resumes.

    Raises:
        InputError: the folder holds rows of another command.
    """
    make_folder(folder)
    journal, said = folder / "rows.jsonl", folder / "words.json"
    if journal.exists() and (not said.exists() or read_json(said) != plain(dict(words))):
        raise InputError(
            f"out={printable(folder)}: holds the rows of another command; give another folder, or overwrite=true"
        )
    write_json_atomic(said, plain(dict(words)))
    known = (
        {row["case"]: row for row in map(json.loads, journal.read_text().splitlines())}
        if journal.exists()
        else {}
    )
    work: dict[str, Callable[[], Row]] = {
        case.key: lambda case=case: validation.measure(case)  # type: ignore[misc]
        for case in validation.cases(names)
    }
    if names is None:
        work |= {f"{SIZES} {size}": lambda size=size: validation.sizes(size) for size in CLASSIFIERS}  # type: ignore[misc]
    rows = []
    for key, measure in work.items():
        row = known.get(key)
        if row is None:
            row = measure()
            known[key] = row
            text = "".join(json.dumps(plain(one), allow_nan=False) + "\n" for one in known.values())
            write_text(journal, text)
        rows.append(row)
        say(line(row))
    return rows


def line(row: Row) -> str:
    """A row as a line of text."""
    if row["kind"] == SIZES:
        return ", ".join(
            f"{k} {v:.3f}" if isinstance(v, float) else str(v) for k, v in row.items() if k != "kind"
        )
    return (
        f"{row['case']:<24} bits {row['c2st']:.3f} [{row['c2st_low']:.3f}, {row['c2st_high']:.3f}]"
        f"  KID {row['kid_random']:.4g}, {row['kid_trained']:.4g}  SWD {row['swd']:.3f},"
        f" disjoint {row['swd_disjoint']:.3f}  lattice {row['lattice']:.2f} at {row['lattice_at']}"
    )
