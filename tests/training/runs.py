"""Whole runs of tiny networks on tiny images, and what it means that two of them are the same."""

import hashlib
import itertools
import json
import shutil
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from processes import Forked, run_script

from gcn.config import assemble
from gcn.config.parse import Config, load, parse, save
from gcn.metrics.realism import Slicing, real_floor, sliced_wasserstein
from gcn.report.plots import PanelRow
from gcn.schema.conf_folder import CONF
from gcn.training.fit import train
from gcn.training.record import Record

SCRIPT = CONF.parent / "scripts" / "train.py"
TINY = [
    "generator.N=8", "generator.M=8", "discriminator.width=4", "discriminator.depth=2", "data=folder", "data.crop=32",
    "data.batch=2", "trainer=cpu", "trainer.threads=1", "logger=csv", "log_every=1", "mse=1",
]  # fmt: skip


def images(root: Path, val_side: int = 96) -> Path:
    """A folder of images: seven to train on, two to validate on, by default with four scales of MS-SSIM."""
    random = np.random.default_rng(0)
    for part, number, side in (("train", 7, 40), ("val", 2, val_side)):
        (root / part).mkdir(parents=True)
        for i in range(number):
            coarse = random.integers(0, 256, (side // 8, side // 8 + i, 3), dtype=np.uint8)
            image = Image.fromarray(coarse).resize((8 * (side // 8 + i), side), Image.Resampling.BICUBIC)
            image.save(root / part / f"{i}.png")
    return root


def words(data: Path, *said: str) -> list[str]:
    """The words of a command line for a tiny run."""
    return once([*TINY, f"data.root={data}", *(word for text in said for word in text.split())])


def once(said: Sequence[str]) -> list[str]:
    """The last word of each key: a command refuses a key that is given twice."""
    return list({word.partition("=")[0]: word for word in said}.values())


def planned(folder: Path, *said: str, **changed: Any) -> Any:
    """What ``scripts/train.py`` plans for a folder: a new run, or one that goes on if the folder holds one."""
    if (folder / "config.yaml").exists():
        cfg = Config({**load(folder), "resume": str(folder), **changed})
    else:
        cfg = Config(configured(said))
    cfg["run_dir"] = str(folder)
    folder.mkdir(parents=True, exist_ok=True)
    save(cfg, folder)
    return assemble.plan(cfg)


@cache
def configured(said: tuple[str, ...]) -> Config:
    return parse(said)


def run(folder: Path, *said: str, **changed: Any) -> dict[str, Any]:
    """Train in this process; returns the summary."""
    return train(planned(folder, *said, **changed))


def checkpoint(folder: Path, name: str = "last.ckpt") -> dict[str, Any]:
    """All of a checkpoint but Lightning's own counters of epochs, which mean nothing here."""
    content = torch.load(folder / "checkpoints" / name, weights_only=True)
    return {key: value for key, value in content.items() if key not in ("epoch", "loops")}


def differences(a: Any, b: Any, path: str = "") -> Iterator[str]:
    """Where two nests of tensors and plain values are not bit for bit the same."""
    if type(a) is not type(b):
        yield f"{path}: {type(a).__name__} and {type(b).__name__}"
    elif isinstance(a, dict):
        if a.keys() != b.keys():
            yield f"{path}: {set(a) ^ set(b)}"
        for key in a.keys() & b.keys():
            yield from differences(a[key], b[key], f"{path}/{key}")
    elif isinstance(a, list | tuple):
        if len(a) != len(b):
            yield f"{path}: {len(a)} and {len(b)} items"
        for i, (one, other) in enumerate(zip(a, b, strict=False)):
            yield from differences(one, other, f"{path}/{i}")
    elif isinstance(a, torch.Tensor):
        if a.dtype != b.dtype or not torch.equal(a, b):
            yield path
    elif a != b:
        yield f"{path}: {a} and {b}"


def assert_same_run(folder: Path, reference: Path) -> None:
    """Checkpoints, every row, panels and the summary, bit for bit."""
    for name in ("last.ckpt", "best.ckpt"):
        assert list(differences(checkpoint(folder, name), checkpoint(reference, name))) == []
    rows, expected = ((f / "metrics.csv").read_text().splitlines() for f in (folder, reference))
    assert rows == expected
    steps = [int(row.partition(",")[0]) for row in rows[1:]]
    assert all(a < b for a, b in itertools.pairwise(steps))
    assert panels(folder) == panels(reference)
    one, other = (json.loads((f / "summary.json").read_text()) for f in (folder, reference))
    own = {"seconds", "folder"}
    assert {k: v for k, v in one.items() if k not in own} == {k: v for k, v in other.items() if k not in own}
    assert load(folder).plain() == load(reference).plain()


def panels(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((folder / "panels").glob("*.png"))}


def undrawn(monkeypatch: Any) -> None:
    """Draw nothing, which takes most of the time of a tiny run; a panel holds a digest of what it would show."""

    def digest(path: Path, rows: list[PanelRow], title: str) -> None:
        shown = [title] + [
            t.numpy().tobytes() if isinstance(t, torch.Tensor) else t for r in rows for t in vars(r).values()
        ]
        path.parent.mkdir(exist_ok=True)
        path.write_text(hashlib.sha256(repr(shown).encode()).hexdigest())

    monkeypatch.setattr("gcn.training.panels.panel", digest)

    monkeypatch.setattr("gcn.training.fit.curves", lambda path, *_: path.touch())


def quickly(monkeypatch: Any) -> None:
    """Draw nothing, with cheap networks and measurements: for runs whose processes all do so."""
    undrawn(monkeypatch)
    cheap(monkeypatch)


def cheap(monkeypatch: Any) -> None:
    """Convolve without oneDNN, and measure in few directions: half the time of a tiny run that draws nothing."""
    monkeypatch.setattr(torch.backends.mkldnn, "enabled", False)
    few = Slicing(directions=32)
    for name, measure in (("sliced_wasserstein", sliced_wasserstein), ("real_floor", real_floor)):
        monkeypatch.setattr(f"gcn.training.validate.{name}", partial(measure, options=few))


def undrawn_script(path: Path, said: Sequence[str], **options: Any) -> Forked:
    """``python PATH WORDS…`` in a process of its own that draws nothing; options as for :class:`Forked`."""
    return Forked(run_undrawn, str(path), list(said), **options)


def quick_script(path: Path, said: Sequence[str], **options: Any) -> Forked:
    """The same for runs that are compared with those of :func:`quickly`."""
    return Forked(run_quickly, str(path), list(said), **options)


def run_quickly(path: str, said: Sequence[str]) -> None:
    """``python PATH WORDS…`` in this process, which ends with it."""
    quickly(pytest.MonkeyPatch())
    run_script(path, said)


def run_undrawn(path: str, said: Sequence[str]) -> None:
    """``python PATH WORDS…`` in this process, which ends with it and draws nothing."""
    undrawn(pytest.MonkeyPatch())
    run_script(path, said)


class Killed(BaseException):
    """Stands for SIGKILL where a process of its own would be too expensive."""


def killed(folder: Path, *said: str, owner: Any, name: str, instead: Any) -> None:
    """A run that dies where it would call ``owner.name`` and gets ``instead``."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, instead)
        with pytest.raises(Killed):
            run(folder, *said)


def copied(patch: Any, folder: Path, to: Path, owner: Any, name: str, when: Callable[..., bool]) -> None:
    """Let runs copy ``folder`` to ``to`` where they call ``owner.name`` with arguments that ``when`` accepts.

    The copy is what SIGKILL would leave at that moment, and the run goes on.
    """
    called = getattr(owner, name)

    def copying(*args: Any, **kwargs: Any) -> Any:
        if when(*args):
            shutil.copytree(folder, to)
        return called(*args, **kwargs)

    patch.setattr(owner, name, copying)


def copied_at(step: int, patch: Any, folder: Path, to: Path) -> None:
    """The same when ``step`` updates are made, before anything of the last one is written."""
    copied(
        patch, folder, to, Record, "on_train_batch_end", lambda _, trainer, *__: trainer.global_step == step
    )


def killed_at(step: int, folder: Path, *said: str) -> None:
    """A run that dies when it has made ``step`` updates, before anything of the last one is written."""
    end = Record.on_train_batch_end

    def dying(self: Record, trainer: Any, *args: Any) -> None:
        if trainer.global_step == step:
            raise Killed
        end(self, trainer, *args)

    killed(folder, *said, owner=Record, name="on_train_batch_end", instead=dying)
