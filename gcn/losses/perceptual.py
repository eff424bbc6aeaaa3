"""Distances between deep features: those of a classifier (LPIPS) and those of D itself."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor, nn

from gcn.errors import InputError
from gcn.game.slots import Term
from gcn.game.turn import Turn
from gcn.losses.backbones import BACKBONES, backbone_file


class FeatureMatching(Term):
    """Mean over D's hidden layers of E|features(x) - features(x_hat)| (Wang et al. 2018; Larsen et al. 2016).

    The features of x are a target and carry no gradient.
    """

    needs_discriminator = True

    def forward(self, turn: Turn) -> Tensor:
        pairs = zip(turn.real.features, turn.fake.features, strict=True)
        exact = turn.x.dtype  # D's features may be in bf16
        return torch.stack([turn.mean((f.to(exact) - r.detach().to(exact)).abs()) for r, f in pairs]).mean(0)


class LPIPS(Term):
    """Σ_l E Σ_c w_lc (f_lc(x) - f_lc(x_hat))², f features of a classifier normalised over channels.

    The value of ``lpips.LPIPS`` (Zhang et al. 2018, version 0.1), whose own gradient is NaN where all features of a
    position vanish. In full precision, frozen, and no part of checkpoints. Nothing is downloaded.

    Args:
        net: the classifier: ``alex``, ``vgg`` or ``squeeze``.
        backbone: file of its weights, as torchvision publishes them; ``None`` looks into torch's cache, and
            ``random`` leaves them random (a distance of its own, incomparable with published numbers).
        weights: file of the weights w of the layers; ``None`` for those that the lpips package brings.
    """

    EPSILON = 1e-12

    def __init__(self, net: str = "alex", backbone: str | None = None, weights: str | None = None) -> None:
        super().__init__()
        self.smallest = BACKBONES[net].smallest
        # before a network is built, of which the file may be missing
        file = None if backbone == "random" else backbone_file(net, backbone, Path(torch.hub.get_dir()))
        if file is None:
            network = _untrained(net, weights)
            warnings.warn(
                f"lpips: the {net} backbone has random weights; its values compare with nothing published",
                stacklevel=2,
            )
        else:
            with torch.device("meta"):  # no time and no memory for weights that are replaced
                network = _untrained(net, weights)
            _fill(network.net, file)
        # A tuple hides the network from the registry of submodules: it is neither saved nor trained, and stays in
        # eval mode.
        self._hidden = (network.float().eval().requires_grad_(False),)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        self._hidden[0]._apply(fn)  # follow the others to their device
        return super()._apply(fn, recurse)

    def check_images(self, side: int) -> None:
        if side < self.smallest:
            raise InputError(
                f"lpips: crops of {side} pixels are too small for the network; use data.crop={self.smallest} or more, "
                "or terms.lpips.net=vgg (16 pixels)"
            )

    def distance(self, x: Tensor, x_hat: Tensor) -> Tensor:
        """LPIPS of each pair of images (B, 3, H, W) in [0, 1]: (B,)."""
        (network,) = self._hidden
        features, of_x_hat = (network.net(network.scaling_layer(2 * t - 1)) for t in (x, x_hat))
        layers = zip(features, of_x_hat, network.lins, strict=True)
        distances = [head((self._unit(a) - self._unit(b)).square()).mean((1, 2, 3)) for a, b, head in layers]
        return torch.stack(distances).sum(0)

    def _unit(self, features: Tensor) -> Tensor:
        return features / (features.square().sum(1, keepdim=True) + self.EPSILON).sqrt()

    def forward(self, turn: Turn) -> Tensor:
        with torch.autocast(turn.x.device.type, enabled=False):
            return turn.mean(self.distance(turn.x, turn.x_hat))


def _untrained(net: str, weights: str | None) -> Any:
    import lpips

    if weights is not None and not Path(weights).is_file():
        raise InputError(
            f"terms.lpips.weights={weights}: no such file; null takes those of the lpips package"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # lpips uses torchvision's former arguments
        network = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    file = Path(weights) if weights else Path(lpips.__file__).parent / "weights" / "v0.1" / f"{net}.pth"
    heads = _tensors(file, "terms.lpips.weights")
    try:
        network.lins.load_state_dict({k.replace("lin", "", 1): v for k, v in heads.items()}, assign=True)
    except RuntimeError as problem:
        reason = " ".join(str(problem).split())[:200]
        raise InputError(f"terms.lpips.weights={file}: not the linear layers of {net} ({reason})") from None
    return network


def _tensors(file: Path, name: str) -> dict[str, Tensor]:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as problem:
        reason = type(problem).__name__
        raise InputError(f"{name}={file}: not a readable file of weights ({reason})") from problem


def _fill(slices: nn.Module, file: Path) -> None:
    """Load a classifier's weights; lpips cuts its ``features`` into slices, which keep the numbers of the layers."""
    stored = _tensors(file, "terms.lpips.backbone")
    wanted = {name: f"features.{name.split('.', 1)[1]}" for name in slices.state_dict()}
    try:
        slices.load_state_dict({name: stored[source] for name, source in wanted.items()}, assign=True)
    except (KeyError, RuntimeError) as problem:
        reason = " ".join(str(problem).split())[:200]
        raise InputError(f"terms.lpips.backbone={file}: not the weights of this network ({reason})") from None
