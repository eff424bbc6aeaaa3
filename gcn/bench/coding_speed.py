"""Benchmark of coding: seconds per megapixel in the network and in the entropy coder."""

import resource
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from gcn.bench.turn_speed import seconds
from gcn.codec.coder import Counter, Reader, Writer
from gcn.coding import transcode
from gcn.errors import InputError

COARSE = 32  # pixels between two random colours


class _Stopwatch:
    """Coder that measures the seconds spent in another coder's calls."""

    def __init__(self, coder: Writer | Reader | Counter) -> None:
        self.coder, self.seconds = coder, 0.0

    def __getattr__(self, name: str) -> object:
        return getattr(self.coder, name)

    def code(self, *arguments: object) -> object:
        begun = time.perf_counter()
        found = self.coder.code(*arguments)  # type: ignore[arg-type]
        self.seconds += time.perf_counter() - begun
        return found


def bench(
    model: str,
    run: str | None,
    height: int,
    width: int,
    repeats: int,
    threads: int,
    plugins: str | None = None,
    config_dir: str | None = None,
) -> None:
    """A smooth random image with noise through a model or the codec of ``run``."""
    if min(height, width) < COARSE:
        raise InputError(f"height={height} width={width}: give at least {COARSE} pixels a side")
    torch.set_num_threads(threads)
    named = {"plugins": plugins, "config_dir": config_dir, "run": run, "model": None if run else model}
    codec = transcode.model({key: value for key, value in named.items() if value is not None})
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, height // COARSE, width // COARSE, generator=generator)
    x = torch.nn.functional.interpolate(coarse, (height, width), mode="bicubic").clamp(0, 1)
    x = (x + 0.02 * torch.randn(x.shape, generator=generator)).clamp(0, 1).mul(255).round().to(torch.uint8)
    coded, y = codec.compress(x), codec.analyse(x)
    y_hat, shape = codec.latents(coded), codec.latent_shape(height, width)
    spent: dict[str, list[float]] = {}

    def coding(name: str, coder: Writer | Reader, y: Tensor | None) -> None:
        watch, begun = _Stopwatch(coder), time.perf_counter()
        with torch.no_grad():
            codec.code(watch, y, *shape)  # type: ignore[arg-type]
        if isinstance(coder, Writer):
            at = time.perf_counter()
            coder.bytes()
            watch.seconds += time.perf_counter() - at
        spent.setdefault(f"{name}: coder", []).append(watch.seconds)
        spent.setdefault(f"{name}: prior", []).append(time.perf_counter() - begun - watch.seconds)

    work: dict[str, Callable[[], object]] = {
        "encode: g_a": lambda: codec.analyse(x),
        "encode": lambda: coding("encode", Writer(), y),
        "decode": lambda: coding("decode", Reader(coded.stream), None),
        "decode: g_s": lambda: codec.synthesise(y_hat, height, width, torch.uint8),
    }
    taken = seconds(work, repeats)
    megapixels = height * width / 1e6
    rows = {name: own for name, own in (taken | spent).items() if ":" in name}
    total = {
        side: sum(statistics.median(v) for k, v in rows.items() if k.startswith(side))
        for side in ("enc", "dec")
    }
    print(f"{width}x{height}, {8 * len(coded.stream) / height / width:.3f} bit/pixel, {threads} threads")
    for name in sorted(rows):
        own = statistics.median(rows[name])
        print(f"{name:<16}{own / megapixels:8.4f} s/megapixel  {own / total[name[:3]]:6.1%}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
