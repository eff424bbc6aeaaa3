"""Codecs on images that they have not seen: real files, distortion, realism, and classical codecs at the same bits."""

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gcn import coding
from gcn.build import build
from gcn.codec.container import read, write
from gcn.config import load
from gcn.data.loader import Whole, WholeImages
from gcn.data.photos import VAL, photograph
from gcn.data.scan import scan
from gcn.data.store import Store
from gcn.errors import InputError
from gcn.metrics.bd_rate import bd_rate
from gcn.metrics.classical import Classical, Coded, at_rate, chosen, curve
from gcn.metrics.distortion import ms_ssim, psnr, to_uint8
from gcn.metrics.learned import Learned, resolve
from gcn.metrics.realism import Slicing, real_floor, sliced_wasserstein
from gcn.models import package
from gcn.models.codec import Codec
from gcn.report.rates.crops import Column, Pixels
from gcn.report.rates.record import CLASSICAL, LEARNED, BDRate, EvaluationRecord, ImageRow, PooledRow

SEED = 0  # of patches and directions, the same for every evaluation
KEPT = 24  # images of which pictures are kept for the crops
RATES = 3  # least points of a curve for a BD-rate
SERIES = "series."


class Member(NamedTuple):
    """One setting of a learned codec, loaded when its turn comes."""

    series: str
    setting: str
    load: Callable[[], Codec]


class Images(NamedTuple):
    """What is evaluated on."""

    name: str
    images: Sequence[Whole]


def members(options: Mapping[str, str]) -> list[Member]:
    """The codecs that ``run=A,B``, ``model=low,mid`` and ``series.NAME=…`` name; each list is a curve.

    Shipped models whose name ends in ``-gan`` are a curve of their own. By default all models that ship.

    Raises:
        InputError: a name that is neither a run folder nor a model.
    """
    said = {key: value for key, value in options.items() if key in ("run", "model") or key.startswith(SERIES)}
    for key, value in said.items():
        if not _list(value) or key == SERIES:
            raise InputError(f"{key}={value}: give a name and one codec or more")
    if not said:
        options = {"model": ",".join(package.shipped())}
    found = []
    for run in _list(options.get("run")):
        if not Path(run).is_dir():
            raise InputError(f"run={run}: no such folder; give run folders of scripts/train.py")
        found.append(Member("run", Path(run).name, _loader(run)))
    for name in _list(options.get("model")):
        found.append(Member("gcn GAN" if name.endswith("-gan") else "gcn", name, _loader(name)))
    for key, value in options.items():
        if key.startswith(SERIES):
            series = key.removeprefix(SERIES)
            found += [Member(series, Path(name).stem, _loader(name)) for name in _list(value)]
    return found


def _list(value: str | None) -> list[str]:
    return [part for part in (value or "").split(",") if part]


def _loader(name: str) -> Callable[[], Codec]:
    if Path(name).is_dir():
        return lambda: coding.of_run(Path(name))
    path = coding.model_path(name)
    return lambda: package.load(path)


def images_of(options: Mapping[str, str]) -> Images:
    """All usable images below ``data.root``, or the validation images: of the run, or of the demonstration data."""
    root, data = (
        options.get("data.root"),
        options.get("data", "folder" if "data.root" in options else "photos"),
    )
    if data not in ("folder", "photos") or (data == "folder") != (root is not None):
        raise InputError(f"data={data}: give data.root=FOLDER, or data=photos without one")
    if root is not None:
        found = scan(root)
        print(found.report(), flush=True)
        names = [entry.path.name for entry in found.entries]
        return Images(Path(root).resolve().name, WholeImages(Store(found.entries), names))
    runs = _list(options.get("run"))
    if runs and (Path(runs[0]) / "config.yaml").is_file():
        return Images(f"validation of {Path(runs[0]).name}", build(load(Path(runs[0])).data).val_images())
    return Images("chelsea and coffee", WholeImages([photograph(name) for name in VAL], list(VAL)))


@dataclass
class Evaluation:
    """Collects rows, and pictures of settings at a common rate."""

    images: Sequence[Whole]
    learned: Learned
    rows: list[ImageRow] = field(default_factory=list)
    pooled: list[PooledRow] = field(default_factory=list)
    pictures: dict[tuple[str, str], list[Pixels]] = field(default_factory=dict)
    columns: list[Column] = field(default_factory=list)  # of classical codecs, at the common rate

    def __post_init__(self) -> None:
        self.names = [image.name for image in self.images]
        self.xs = [image.x[0] for image in self.images]
        self.pixels = sum(x.shape[-2] * x.shape[-1] for x in self.xs)

    def add_learned(self, member: Member) -> None:
        """Every image through real files of one codec."""
        codec = member.load()
        done = [_through_file(codec, x[None], name) for x, name in zip(self.xs, self.names, strict=True)]
        extra = {
            "bpp_estimate": sum(one.estimate for one in done) / self.pixels,
            "bpp_tables": sum(one.tables for one in done) / self.pixels,
            "encode_seconds": 1e6 * sum(one.encode for one in done) / self.pixels,
            "decode_seconds": 1e6 * sum(one.decode for one in done) / self.pixels,
        }
        coded = [Coded(one.file_bytes, one.x_hat) for one in done]
        sizes = (x.shape[-2] * x.shape[-1] for x in self.xs)
        pairs = zip(done, sizes, strict=True)
        rows = [{"bpp_estimate": one.estimate / n, "bpp_tables": one.tables / n} for one, n in pairs]
        self._add(member.series, member.setting, LEARNED, coded, rows, extra)

    def add_classical(self, codec: Classical, low: float, high: float) -> None:
        """The settings of a classical codec in a range of rates."""
        for point in curve(codec, self.xs, low, high):
            self._add(codec.title, f"{point.setting:g}", CLASSICAL, point.coded, [{}] * len(self.xs), {})
        matched = at_rate(codec, self.xs, self.common_rate())
        self.columns.append(
            Column(codec.title, matched.bpp, [_picture(one.x_hat) for one in matched.coded[:KEPT]])
        )

    def _add(
        self,
        series: str,
        setting: str,
        kind: str,
        coded: Sequence[Coded],
        extras: Iterable[dict],
        pooled: dict,
    ) -> None:
        x_hats = [one.x_hat for one in coded]
        own = []
        for name, x, one, extra in zip(self.names, self.xs, coded, extras, strict=True):
            own.append(
                ImageRow(
                    series, setting, name, x.shape[-1], x.shape[-2], one.file_bytes,
                    8 * one.file_bytes / (x.shape[-1] * x.shape[-2]), float(psnr(x[None], one.x_hat[None])),
                    float(ms_ssim(x[None], one.x_hat[None])), extra | self.learned.of_pair(x, one.x_hat),
                )
            )  # fmt: skip
        self.rows += own
        pooled = pooled | {name: _mean(row.extra[name] for row in own) for name in self.learned.pairs}
        row = PooledRow(
            series, setting, kind, len(own), 8 * sum(r.bytes for r in own) / self.pixels,
            _mean(r.psnr for r in own), _mean(r.ms_ssim for r in own),
            sliced_wasserstein(self.xs, x_hats, SEED)["mean"], pooled | self.learned.of_sets(self.xs, x_hats),
        )  # fmt: skip
        self.pooled.append(row)
        if kind == LEARNED:
            self.pictures[series, setting] = [_picture(x_hat) for x_hat in x_hats[:KEPT]]
        print(
            f"{series} {setting}: {row.bpp:.3f} bit/pixel, {row.psnr:.2f} dB, SWD {row.swd:.4f}", flush=True
        )

    def common_rate(self) -> float:
        """The middle one of the learned codecs' rates."""
        rates = sorted(row.bpp for row in self.pooled if row.kind == LEARNED)
        return rates[len(rates) // 2]

    def learned_columns(self) -> list[Column]:
        """For each learned codec its setting nearest to the common rate."""
        target = self.common_rate()
        nearest: dict[str, PooledRow] = {}
        for row in self.pooled:
            known = nearest.get(row.codec)
            if known is None or abs(math.log(row.bpp / target)) < abs(math.log(known.bpp / target)):
                nearest[row.codec] = row
        rows = [row for row in nearest.values() if row.kind == LEARNED]
        return [Column(row.codec, row.bpp, self.pictures[row.codec, row.setting]) for row in rows]

    def originals(self) -> list[Pixels]:
        """The first images as pixels."""
        return [_picture(x) for x in self.xs[:KEPT]]


class _Done(NamedTuple):
    x_hat: Tensor
    file_bytes: int
    estimate: float  # bits
    tables: float  # bits
    encode: float  # seconds
    decode: float


def _through_file(codec: Codec, x: Tensor, name: str) -> _Done:
    begun = time.perf_counter()
    data = write(codec, x)
    written = time.perf_counter()
    decoded = read(codec, data)
    ended = time.perf_counter()
    out = codec.reconstruct(x)
    if not torch.equal(decoded, out.x_hat.clamp(0, 1)):
        raise RuntimeError(f"{name}: the decoded file is not the codec's own reconstruction")
    estimate = sum(-p.double().log2().sum().item() for p in out.likelihoods.values())
    x_hat = to_uint8(decoded[0]).float() / 255  # what an image file will hold
    return _Done(x_hat, len(data), estimate, codec.count(x).bits, written - begun, ended - written)


def _mean(values: Iterable[float]) -> float:
    numbers = [value for value in values if math.isfinite(value)]
    return sum(numbers) / len(numbers) if numbers else math.nan


def _picture(x: Tensor) -> Pixels:
    return to_uint8(x).permute(1, 2, 0).cpu().numpy()


def evaluate(options: Mapping[str, str], command: str) -> tuple[EvaluationRecord, Evaluation]:
    """All that the words of the command line ask for, printed line by line as it comes.

    Raises:
        InputError: a codec, data or weights that are not there.
    """
    codecs = chosen(_list(options.get("compare", "jpeg")))
    wanted = members(options)
    weights = Path(options["weights"]) if "weights" in options else None
    learned = resolve(weights)
    data = images_of(options)
    for note in learned.notes:
        print(note, flush=True)
    said = len(learned.notes)
    evaluation = Evaluation(data.images, learned)
    for member in wanted:
        evaluation.add_learned(member)
    rates = [row.bpp for row in evaluation.pooled]
    for codec in codecs:
        evaluation.add_classical(codec, min(rates), 1.3 * max(rates))
    for note in learned.notes[said:]:
        print(note, flush=True)
    record = EvaluationRecord(
        title=f"{len(data.images)} images: {data.name}",
        command=command,
        images=evaluation.rows,
        pooled=evaluation.pooled,
        swd_floor=real_floor(evaluation.xs, SEED)["mean"],
        swd_options=_described(Slicing()),
        notes=learned.notes,
        bd_rates=_bd_rates(evaluation.pooled),
    )
    return record, evaluation


def _described(slicing: Slicing) -> str:
    return (
        f"sliced Wasserstein distance over Laplacian pyramids of {slicing.levels} levels, {slicing.patches} patches of"
        f" {slicing.patch}x{slicing.patch} pixels an image and level, {slicing.directions} directions"
    )


def _bd_rates(rows: Sequence[PooledRow]) -> list[BDRate]:
    curves: dict[tuple[str, str], list[tuple[float, float]]] = {}
    for row in rows:
        curves.setdefault((row.kind, row.codec), []).append((row.bpp, row.psnr))
    found = []
    for (kind, codec), points in curves.items():
        for (other_kind, reference), others in curves.items():
            if kind == LEARNED and other_kind == CLASSICAL:
                found.append(BDRate(codec, reference, *bd_rate(others, points, RATES)))
    return found
