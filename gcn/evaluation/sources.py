"""The images of an evaluation, each decoded when it is measured, as scripts/compress.py decodes it."""

import hashlib
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gcn.config.build import build
from gcn.config.parse import load
from gcn.data.checks import colour
from gcn.data.images import Decoded, decode
from gcn.data.photos import VAL, photograph
from gcn.data.scan import scan
from gcn.data.store import Store
from gcn.errors import InputError
from gcn.files.names import printable
from gcn.report.rates.rate_report import FILES
from gcn.schema.plugins import Extension, of_words

RECORD = "evaluation.json"


class Source(NamedTuple):
    """One image: its unique name, and a function that decodes it."""

    name: str
    load: Callable[[], Decoded]  # raises BadImage


class Sources(NamedTuple):
    """All usable images, and the unusable ones with reasons."""

    title: str
    images: list[Source]
    bad: dict[str, str]


def sources(options: Mapping[str, str], runs: Sequence[str]) -> Sources:
    """The images below ``data.root``, or the validation images: of the first run, or of the demonstration data.

    Of files, only the heads are read.

    Raises:
        InputError: options that contradict each other, no such folder, no image in it.
    """
    root = options.get("data.root")
    data = options.get("data", "photos" if root is None else "folder")
    if data not in ("folder", "photos") or (data == "folder") != (root is not None):
        raise InputError(f"data={data}: give data.root=FOLDER, or data=photos without one")
    background = options.get("background", "white")
    colour(background)
    if root is not None:
        return _below(Path(root).expanduser(), background, options)
    if runs and (Path(runs[0]) / "config.yaml").is_file():
        return _validation(Path(runs[0]), of_words(options))
    pictures = [Source(name, partial(_photograph, name)) for name in VAL]
    return Sources("chelsea and coffee", pictures, {})


def _photograph(name: str) -> Decoded:
    return Decoded(photograph(name), ())


def report_folder(options: Mapping[str, str], title: str) -> Path:
    """The folder in which the report is written."""
    name = "".join(c if c.isalnum() else "-" for c in title)
    return Path(options.get("out", f"outputs/evaluation/{name}"))


def _below(root: Path, background: str, options: Mapping[str, str]) -> Sources:
    """All images below the folder, without the figures of reports there, of this command or another."""
    title = printable(root.resolve().name)
    place = os.path.realpath(report_folder(options, title))
    own = {os.path.join(place, name) for name in FILES}
    found = scan(root, background=background, bad_share=1, keep_bytes=0)
    mine = [entry.path for entry in found.entries if os.path.realpath(entry.path) in own]
    paths = [entry.path for entry in found.entries if entry.path not in mine and not _of_a_report(entry.path)]
    if mine and not os.path.isfile(os.path.join(place, RECORD)):
        raise InputError(
            f"{printable(mine[0])}: an image that the report would replace; give another out=FOLDER"
        )
    if not paths:
        raise InputError(f"data.root={printable(root)}: holds nothing but the figures of a report")
    names = distinct([path.relative_to(found.root).as_posix() for path in paths])
    bad = {printable(path.relative_to(found.root).as_posix()): reason for path, reason in found.bad}
    images = [
        Source(name, partial(decode, path, background)) for name, path in zip(names, paths, strict=True)
    ]
    return Sources(title, images, bad)


def _of_a_report(path: Path) -> bool:
    """Whether an image is a figure of an evaluation, whose record lies beside it."""
    return path.name in FILES and path.with_name(RECORD).is_file()


def _validation(run: Path, own: Extension) -> Sources:
    """Validation images of a run; those in files are decoded with the run's own background colour."""
    cfg = load(run, "data", own)
    data = build(cfg, "data", **({"cache_bytes": 0} if "cache_bytes" in cfg.data else {}))
    title = f"validation of {printable(run.resolve().name)}"
    names = distinct(data.val_names)
    if isinstance(data.val, Store):
        loads = [
            partial(decode, entry.path, data.val.background, data.val.max_pixels)
            for entry in data.val.entries
        ]
    else:
        loads = [partial(Decoded, pixels, ()) for pixels in data.val]
    return Sources(title, [Source(name, one) for name, one in zip(names, loads, strict=True)], {})


def digest(image: Decoded) -> str:
    """Digest of an image's pixels."""
    state = hashlib.blake2b(repr((image.pixels.shape, image.grey)).encode(), digest_size=8)
    state.update(np.ascontiguousarray(image.pixels).data)
    return state.hexdigest()


def distinct(names: Sequence[str]) -> list[str]:
    """Printable, distinct names: equal ones get a number."""
    shown = [printable(name) for name in names]
    taken, seen, found = set(shown), Counter[str](), []
    for name in shown:
        seen[name] += 1
        number = seen[name]
        unique = name
        while number > 1 and unique in taken:
            unique = f"{name} ({number})"
            number += 1
        taken.add(unique)
        found.append(unique)
    return found
