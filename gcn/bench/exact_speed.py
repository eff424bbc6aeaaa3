"""How many files decode wrongly where the hyper-synthesis is in floating point, and what exactness costs in bits."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

import torch
from torch import Tensor

from gcn.coding.run_codec import of_run
from gcn.data.images import load_image
from gcn.errors import InputError
from gcn.models.exact import ONE
from gcn.models.gaussian_prior import GaussianPrior
from gcn.schema.plugins import extension, names


class _InFloat:
    """h_s in floating point as it is trained, in place of its integer version: what other codecs do."""

    def __init__(self, codec: GaussianPrior) -> None:
        self.codec = codec

    def __call__(self, x: Tensor) -> Tensor:
        return self.codec.h_s((x / ONE).float()) * ONE


@contextmanager
def _threads(count: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    yield
    torch.set_num_threads(before)


@contextmanager
def _channels_last(codec: GaussianPrior) -> Iterator[None]:
    codec.to(memory_format=torch.channels_last)
    yield
    codec.to(memory_format=torch.contiguous_format)


def bench(
    run: str, images: str, threads: int, plugins: str | None = None, config_dir: str | None = None
) -> None:
    """Files of a trained hyperprior, written with one thread and read in other settings.

    Args:
        run: run folder of a codec with a hyperprior.
        images: folder of PNG images.
        threads: of the setting with more threads.
        plugins, config_dir: what the user adds, where the run has something of it.
    """
    codec = of_run(Path(run), extension(names(plugins), config_dir))
    if not isinstance(codec, GaussianPrior):
        raise InputError(
            f"run={run}: not a codec with a hyperprior; train one, for instance generator=hyperprior"
        )
    found = sorted(Path(images).glob("*.png"))
    if not found:
        raise InputError(f"images={images}: no PNG images in this folder")
    xs = [torch.from_numpy(load_image(path).copy()).permute(2, 0, 1)[None] for path in found]
    settings: dict[str, Callable[[], AbstractContextManager]] = {
        "the same": nullcontext,
        f"{threads} threads": lambda: _threads(threads),
        "without oneDNN": lambda: torch.backends.mkldnn.flags(enabled=False),
        "channels_last": lambda: _channels_last(codec),
    }
    integer, pixels = codec._integer, sum(x.shape[-1] * x.shape[-2] for x in xs)
    torch.set_num_threads(1)
    for name, network in (("integers", integer), ("floating point", _InFloat(codec))):
        codec._integer = network  # type: ignore[assignment]
        bits = sum(_bits(codec, x) for x in xs) / pixels
        print(f"{name}: {bits:.6f} bit/pixel by the tables")
        coded = [codec.compress(x) for x in xs]
        for setting, within in settings.items():
            with within():
                wrong = sum(not _decodes(codec, one) for one in coded)
            print(f"    read with {setting:<16} {wrong} of {len(coded)} wrong")


def _bits(codec: GaussianPrior, x: Tensor) -> float:
    return codec.count(x).bits


def _decodes(codec: GaussianPrior, coded: tuple[bytes, int, int, int]) -> bool:
    try:
        codec.latents(coded)
    except InputError:
        return False
    return True
