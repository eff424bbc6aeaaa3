"""Metrics of learned features: LPIPS, DISTS, FID and KID. Each needs weights that are published, not shipped.

Nothing is downloaded. Weights are looked for in one folder, by default torch's cache, under their publishers' names;
`resolve` says once what is there and what is missing. The networks and the distances are those of lpips, torchmetrics
and torch-fidelity: a number from another network would be no FID.
"""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gcn.errors import InputError
from gcn.losses.perceptual import BACKBONES, LPIPS
from gcn.metrics.distortion import to_uint8

INCEPTION = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION}"
PATCH = 256
FEWEST = 100  # images from which the FID of whole images is stated at all
SUBSETS = 100

Pair = Callable[[Tensor, Tensor], float]
Features = Callable[[Tensor], Tensor]


class Learned:
    """The metrics whose weights are there.

    Attributes:
        notes: a line for each one that is missing, and where its file belongs.
        pairs: names and functions of two images (3, H, W) in [0, 1].
        inception: features (N, 2048) float64 of images (N, 3, H, W) uint8, or None.
    """

    def __init__(self, pairs: dict[str, Pair], inception: Features | None, notes: Sequence[str]) -> None:
        self.pairs, self.inception, self.notes = pairs, inception, list(notes)

    def of_pair(self, x: Tensor, x_hat: Tensor) -> dict[str, float]:
        """LPIPS and DISTS of an image and its reconstruction; lower is closer."""
        return {name: distance(x, x_hat) for name, distance in self.pairs.items()}

    def of_sets(self, xs: Sequence[Tensor], x_hats: Sequence[Tensor]) -> dict[str, float]:
        """FID and KID between two lists of images (3, H, W) in [0, 1], and over patches of 256 pixels.

        ``fid`` and ``kid`` take whole images and need ``FEWEST``; ``fid_256`` and ``kid_256`` pool patches of all
        images (Mentzer et al. 2020, appendix A.7); ``patches_256`` is their number. Both depend on that number.
        """
        if self.inception is None:
            return {}
        found: dict[str, float] = {}
        if len(xs) >= FEWEST:
            real, fake = (self._of_images(images) for images in (xs, x_hats))
            found |= {"fid": frechet(real, fake), "kid": kernel(real, fake)}
        real, fake = (self._of_patches(images) for images in (xs, x_hats))
        if len(real) > 1:
            found |= {"fid_256": frechet(real, fake), "kid_256": kernel(real, fake), "patches_256": len(real)}
        return found

    def _of_images(self, images: Sequence[Tensor]) -> Tensor:
        assert self.inception is not None
        return torch.cat([self.inception(to_uint8(x)[None]) for x in images])

    def _of_patches(self, images: Sequence[Tensor]) -> Tensor:
        assert self.inception is not None
        batches = [torch.stack(cut) for x in images if (cut := list(patches(to_uint8(x))))]
        return torch.cat([self.inception(batch) for batch in batches]) if batches else torch.empty(0, 2048)


def resolve(folder: Path | None = None, device: torch.device | None = None) -> Learned:
    """The learned metrics that the weights in ``folder`` allow; torch's cache by default.

    Raises:
        InputError: a file is there and is not what its name says, or the folder is not.
    """
    if folder is not None and not folder.is_dir():
        raise InputError(f"weights={folder}: no such folder")
    folder = folder or Path(torch.hub.get_dir(), "checkpoints")
    pairs: dict[str, Pair] = {}
    notes = []
    wanted = (("lpips", BACKBONES["alex"], _lpips), ("dists", BACKBONES["vgg"], _dists))
    for name, backbone, build in wanted:
        if (folder / backbone.file).is_file():
            pairs[name] = build(folder / backbone.file)
        else:
            notes.append(_missing(name.upper(), backbone.url, folder / backbone.file))
    inception = None
    if (folder / INCEPTION).is_file():
        inception = inception_features(str(folder / INCEPTION), device)
    else:
        notes.append(_missing("FID and KID", INCEPTION_URL, folder / INCEPTION))
    return Learned(pairs, inception, notes)


def _missing(what: str, url: str, place: Path) -> str:
    return f"{what} left out: its network is missing; put {url} at {place}"


def _lpips(backbone: Path) -> Pair:
    network = LPIPS("alex", str(backbone))

    @torch.no_grad()
    def distance(x: Tensor, x_hat: Tensor) -> float:
        return (
            float("nan")
            if min(x.shape[-2:]) < network.smallest
            else float(network.distance(x[None], x_hat[None]))
        )

    return distance


def _dists(backbone: Path) -> Pair:
    """DISTS (Ding et al. 2020) as torchmetrics has it; its VGG is filled from a file instead of the network."""
    from torchmetrics.functional.image import dists
    from torchvision.models import vgg16

    vgg = vgg16(weights=None)
    try:
        vgg.load_state_dict(torch.load(backbone, map_location="cpu", weights_only=True))
    except Exception as problem:
        raise InputError(f"{backbone}: not the weights of VGG16 ({type(problem).__name__})") from None
    theirs = dists.vgg16
    dists.vgg16 = lambda weights: vgg
    try:
        network = dists.DISTSNetwork()
    finally:
        dists.vgg16 = theirs

    def distance(x: Tensor, x_hat: Tensor) -> float:
        return float("nan") if min(x.shape[-2:]) < 32 else float(network(x[None], x_hat[None]))

    return distance


def inception_features(weights: str, device: torch.device | None = None) -> Features:
    """The 2048 features that FID and KID are defined on (torch-fidelity's port of the original network).

    Args:
        weights: file with the published weights.
        device: to compute on.

    Raises:
        InputError: torch-fidelity is not installed, or the file is not of this network.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError:
        raise InputError("FID needs torch-fidelity: pip install 'gcn[evaluation]'") from None
    try:
        network = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=weights
        )
    except Exception as problem:
        raise InputError(
            f"{weights}: not the weights of FID's Inception ({type(problem).__name__})"
        ) from None
    network = network.eval().requires_grad_(False).to(device or "cpu")

    @torch.no_grad()
    def features(images: Tensor) -> Tensor:
        where = next(network.parameters()).device
        return torch.cat([network(part.to(where))[0].double().cpu() for part in images.split(8)])

    return features


def patches(image: Tensor) -> Iterator[Tensor]:
    """Patches (3, 256, 256) of an image (3, H, W): a grid, and the grid shifted by half a patch both ways."""
    height, width = image.shape[-2:]
    for shift in (0, PATCH // 2):
        for top in range(shift, height - PATCH + 1, PATCH):
            for left in range(shift, width - PATCH + 1, PATCH):
                yield image[:, top : top + PATCH, left : left + PATCH]


def frechet(real: Tensor, fake: Tensor) -> float:
    """Fréchet distance of Gaussians fitted to features (N, d) (Heusel et al. 2017), by torch-fidelity, in float64."""
    from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric

    statistics = [fid_features_to_statistics(features.double()) for features in (real, fake)]
    (value,) = fid_statistics_to_metric(*statistics, verbose=False).values()
    return float(value)


def kernel(real: Tensor, fake: Tensor) -> float:
    """Kernel distance, unbiased, cubic (Bińkowski et al. 2018), by torch-fidelity: mean over ``SUBSETS`` subsets of
    at most 1000 features.
    """
    from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, kid_features_to_metric

    size = min(1000, len(real), len(fake))
    found = kid_features_to_metric(
        real, fake, kid_subsets=SUBSETS, kid_subset_size=size, kid_kernel="poly", kid_kernel_poly_degree=3,
        kid_kernel_poly_gamma=None, kid_kernel_poly_coef0=1, rng_seed=0, verbose=False,
    )  # fmt: skip
    return float(found[KEY_METRIC_KID_MEAN])
