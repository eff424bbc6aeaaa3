"""Metrics of learned features: LPIPS, DISTS, FID and KID. Each needs weights that are published, not shipped.

Nothing is downloaded. Weights are looked for in one folder, by default torch's cache, under their publishers' names,
and must have the checksum in their names; `resolve` says once what is there and what is missing. The networks are
those of lpips, torchmetrics and torch-fidelity: a number from another network would be no FID.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gcn.errors import InputError
from gcn.losses.perceptual import BACKBONES, LPIPS
from gcn.metrics.feature_sets import frechet, kernel, patches
from gcn.models.unfilled import Unfilled

INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION}"
DIMENSIONS = 2048  # of Inception's features; a covariance of fewer samples is singular
BATCH = 8  # patches that a network sees at once
FEWEST = 100  # images from which the FID of whole images is stated at all
INSTALL = "pip install 'gcn[evaluation]'"
OTHER = "other_"  # begins the names of all numbers that come from unpublished weights

Pair = Callable[[Tensor, Tensor], float]
Features = Callable[[Tensor], Tensor]


class ImageFeatures(NamedTuple):
    """Inception's features of one image, of bounded size whatever the size of the image."""

    whole: Tensor  # (1, 2048), or (0, 2048) where the images are too few
    patches: Tensor  # (M, 2048), M at most `gcn.metrics.feature_sets.MOST`


class Learned:
    """The learned metrics whose weights are available.

    Attributes:
        notes: a line for each one that is missing, and where its file belongs.
        pairs: names and functions of two images (3, H, W) in [0, 1].
        inception: features (N, 2048) float64 of images (N, 3, H, W) uint8, or None.
        prefix: of the names of FID and KID; empty for published weights.
    """

    def __init__(
        self, pairs: dict[str, Pair], inception: Features | None, notes: Sequence[str], prefix: str = ""
    ) -> None:
        self.pairs, self.inception, self.notes, self.prefix = pairs, inception, list(notes), prefix

    def of_pair(self, x: Tensor, x_hat: Tensor) -> dict[str, float]:
        """LPIPS and DISTS of an image and its reconstruction; lower is closer; NaN for images that are too small."""
        return {name: distance(x, x_hat) for name, distance in self.pairs.items()}

    def features(self, x: Tensor, images: int) -> ImageFeatures | None:
        """Inception's features of an image, uint8 (3, H, W), for FID and KID; None without weights.

        Args:
            x: the image.
            images: how many there are; whole images count from ``FEWEST`` on.
        """
        if self.inception is None:
            return None
        none = torch.empty(0, DIMENSIONS, dtype=torch.float64)
        whole = self.inception(x[None]) if images >= FEWEST else none
        cut = _batched(patches(x), BATCH)
        return ImageFeatures(whole, torch.cat([none, *(self.inception(torch.stack(part)) for part in cut)]))

    def of_sets(self, real: Sequence[ImageFeatures], fake: Sequence[ImageFeatures]) -> dict[str, float]:
        """FID and KID between the features of two lists of images, and over patches of 256 pixels.

        ``fid`` and ``kid`` take whole images and need ``FEWEST``; ``fid_256`` and ``kid_256`` pool patches of all
        images (Mentzer et al. 2020, appendix A.7); ``patches_256`` is their number. FID is biased upwards, the more
        the fewer samples: compare numbers of the same images only, see `remarks`.
        """
        if not real:
            return {}
        wholes, cuts = (
            [torch.cat([getattr(one, kind) for one in images]) for images in (real, fake)]
            for kind in ImageFeatures._fields
        )
        found: dict[str, float] = {}
        if min(map(len, wholes)) >= FEWEST:
            found |= {"fid": frechet(*wholes), "kid": kernel(*wholes)}
        if len(cuts[0]) > 1:
            found |= {"fid_256": frechet(*cuts), "patches_256": len(cuts[0]), "kid_256": kernel(*cuts)}
        return {self.prefix + name: value for name, value in found.items()}

    def remarks(self, real: Sequence[ImageFeatures]) -> list[str]:
        """Lines about what `of_sets` leaves out for these images, and about numbers that rest on few samples."""
        if not real:
            return []
        whole, cut = sum(len(one.whole) for one in real), sum(len(one.patches) for one in real)
        said = []
        if whole < FEWEST:
            said.append(f"FID and KID of whole images left out: {len(real)} images, {FEWEST} are the least")
        if cut < 2:
            said.append(f"FID/256 and KID/256 left out: {cut} patches of 256x256 pixels, 2 are the least")
        for name, count, what in (("fid", whole, "images"), ("fid_256", cut, "patches")):
            if (FEWEST if name == "fid" else 2) <= count < DIMENSIONS:
                said.append(
                    f"{self.prefix}{name} rests on {count} {what}, fewer than its {DIMENSIONS} dimensions: it means"
                    " little; compare it on these images only, with no published number"
                )
        return said


def _batched(items: Iterable[Tensor], size: int) -> Iterator[list[Tensor]]:
    """Lists of ``size`` items, the last one shorter; itertools has it from Python 3.12 on."""
    rest = iter(items)
    while part := list(islice(rest, size)):
        yield part


def resolve(
    folder: Path | None = None, device: torch.device | None = None, published: bool = True
) -> Learned:
    """The learned metrics that the weights in ``folder`` allow; torch's cache by default.

    Args:
        folder: with files under their publishers' names.
        device: to compute on.
        published: refuse weights whose SHA-256 does not begin as their file name says. Without it any weights of the
            same architecture will do (for trials), and the names of all numbers begin with ``other_``.

    Raises:
        InputError: a file is there and is not what its name says, or the folder is not.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(f"weights={folder}: no such folder")
    folder, prefix = folder or Path(torch.hub.get_dir(), "checkpoints"), "" if published else OTHER
    alex, vgg = BACKBONES["alex"], BACKBONES["vgg"]
    wanted: tuple[tuple[str, str, str, Callable[[Path, torch.device], Callable]], ...] = (
        ("LPIPS", alex.file, alex.url, _lpips),
        ("DISTS", vgg.file, vgg.url, _dists),
        ("FID and KID", INCEPTION, INCEPTION_URL, inception_features),
    )
    built: dict[str, Callable] = {}
    notes = []
    for name, file, url, build in wanted:
        path = folder / file
        if not path.is_file():
            notes.append(f"{name} left out: its network is missing; put {url} at {path}")
            continue
        if published:
            _check(path, url)
        try:
            built[name] = build(path, device or torch.device("cpu"))
        except ImportError as problem:
            notes.append(f"{name} left out: {problem.name or problem} is not installed; {INSTALL}")
    inception = built.pop("FID and KID", None)
    return Learned({prefix + name.lower(): pair for name, pair in built.items()}, inception, notes, prefix)


def _check(path: Path, url: str) -> None:
    """Raise InputError if a file's SHA-256 does not begin with the digits in its published name."""
    expected = path.stem.rpartition("-")[2]
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if not digest.startswith(expected):
        raise InputError(
            f"{path}: not the published weights (SHA-256 begins with {digest[:8]}, not {expected}); fetch {url} again"
        )


def _tensors(path: Path, what: str) -> dict[str, Tensor]:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as problem:
        raise InputError(f"{path}: not the weights of {what} ({type(problem).__name__})") from None


def _lpips(backbone: Path, device: torch.device) -> Pair:
    try:
        with Unfilled():
            network = LPIPS("alex", str(backbone)).to(device)
    except TypeError as problem:  # tensors, but without names
        raise InputError(f"{backbone}: not the weights of AlexNet ({type(problem).__name__})") from None

    @torch.no_grad()
    def distance(x: Tensor, x_hat: Tensor) -> float:
        if min(x.shape[-2:]) < network.smallest:
            return float("nan")
        return float(network.distance(x[None].to(device), x_hat[None].to(device)))

    return distance


def _dists(backbone: Path, device: torch.device) -> Pair:
    """DISTS (Ding et al. 2020) of torchmetrics; the weights of its VGG are read from a file, not downloaded."""
    from torchmetrics.functional.image import dists
    from torchvision.models import vgg16

    with torch.device("meta"), Unfilled():  # the file's tensors take the places
        vgg = vgg16(weights=None, init_weights=False)
    try:
        vgg.load_state_dict(_tensors(backbone, "VGG16"), assign=True)
    except (RuntimeError, TypeError) as problem:
        raise InputError(f"{backbone}: not the weights of VGG16 ({type(problem).__name__})") from None
    theirs = dists.vgg16
    dists.vgg16 = lambda weights: vgg  # theirs downloads
    try:
        network = dists.DISTSNetwork().eval().to(device, torch.float32)
    finally:
        dists.vgg16 = theirs

    @torch.no_grad()
    def distance(x: Tensor, x_hat: Tensor) -> float:
        if min(x.shape[-2:]) < 32:
            return float("nan")
        return float(network(x[None].to(device), x_hat[None].to(device)))

    return distance


def inception_features(weights: Path, device: torch.device) -> Features:
    """The 2048 features that FID and KID are defined on (torch-fidelity's port of the original network).

    Args:
        weights: file of the network's weights.
        device: to compute on.

    Raises:
        InputError: the file is not of this network.
        ImportError: torch-fidelity is not installed.
    """
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    _tensors(weights, "FID's Inception")  # torch-fidelity would run whatever code a pickle contains
    try:
        with Unfilled():
            network = FeatureExtractorInceptionV3(
                "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(weights)
            )
    except Exception as problem:
        reason = type(problem).__name__
        raise InputError(f"{weights}: not the weights of FID's Inception ({reason})") from None
    network = network.eval().requires_grad_(False).to(device)

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        return torch.cat([network(part.to(device))[0].double().cpu() for part in images.split(8)])

    return features
