"""Settings of codecs: an image through a real file, by the steps of scripts/compress.py and decompress.py."""

import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from gcn.cli.arguments import listed
from gcn.cli.invocation import as_called
from gcn.codec.container import parse
from gcn.coding import transcode
from gcn.coding.run_codec import kept, of_run
from gcn.data.images import Decoded
from gcn.data.output import one_channel
from gcn.errors import InputError
from gcn.evaluation.sources import digest
from gcn.files.names import printable
from gcn.metrics.classical import CODECS, Classical, Pixels, decode
from gcn.metrics.fidelity import to_uint8
from gcn.models import package
from gcn.models.codec import Codec
from gcn.models.places import OF_RUN, model_path, shipped_files
from gcn.report.rates.rate_record import CLASSICAL, LEARNED
from gcn.schema.plugins import NONE, Extension, of_words

SERIES = "series."
NUMBERS = ("bpp_estimate", "bpp_tables", "encode_seconds", "decode_seconds")  # of learned codecs


class NotTheReconstruction(InputError):
    """The decoded file is not what the codec reconstructs: no number of this codec would mean anything."""


class Coded(NamedTuple):
    """Result of one image through a file of a codec."""

    file_bytes: int
    pixels: Pixels  # as an image file will hold them, (H, W, 3), or (H, W) of a grey image
    numbers: dict[str, float]


Code = Callable[[Decoded], Coded]


class Setting(NamedTuple):
    """One setting of a codec; its model is loaded when it is measured.

    Attributes:
        series: name of its curve.
        name: of the setting.
        kind: learned or classical.
        id: changes with everything that the files or the pixels depend on.
        load: gives the function that codes images.
    """

    series: str
    name: str
    kind: str
    id: str
    load: Callable[[], Code]


class Member(NamedTuple):
    """A learned codec under the name that the user gave."""

    series: str
    name: str
    given: str
    load: Callable[[], Codec]

    def setting(self) -> Setting:
        """The setting of this codec; loads it once to check that it can be loaded."""

        def load() -> Code:
            return partial(through_file, self.load())

        return Setting(self.series, self.name, LEARNED, _id_of(self.load()), load)


def members(options: Mapping[str, str]) -> list[Member]:
    """The codecs that ``run=A,B``, ``model=low,mid`` and ``series.NAME=…`` name; each list is a curve.

    Shipped models whose name ends in ``-gan`` are a curve of their own. By default all models that ship. What was
    given twice counts once; different codecs of one name keep what tells them apart.

    Raises:
        InputError: a name that is neither a run folder nor a model.
    """
    said = {key: value for key, value in options.items() if key in ("run", "model") or key.startswith(SERIES)}
    for key, value in said.items():
        if not listed(value) or key == SERIES:
            raise InputError(f"{key}={value}: give a name and one codec or more")
        if key.removeprefix(SERIES) in {codec.title for codec in CODECS.values()}:
            raise InputError(f"{key}=: the curve of a classical codec has this name; give another")
    if not said:
        options = {"model": ",".join(path.stem for path in shipped_files())}
    found, own = [], of_words(options)
    for run in listed(options.get("run")):
        if not Path(run).is_dir():
            raise InputError(
                f"run={printable(run)}: no such folder; {as_called('give run folders of scripts/train.py')}"
            )
        found.append(Member("run", Path(run).name, run, partial(of_run, Path(run), own)))
    for name in listed(options.get("model")):
        found.append(Member("gcn GAN" if name.endswith("-gan") else "gcn", name, name, _loader(name, own)))
    for key, value in options.items():
        if key.startswith(SERIES):
            series = key.removeprefix(SERIES)
            found += [Member(series, Path(name).stem, name, _loader(name, own)) for name in listed(value)]
    return _told_apart(found)


def remarks(found: Sequence[Member], own: Extension = NONE) -> list[str]:
    """Remarks about codecs that are older than the last checkpoint of their run, and published numbers of others."""
    files = [(member.name, path) for member in found if (path := Path(member.given)).is_file()]
    said = [(name, package.card(path).about.get("published")) for name, path in files]
    published = [
        f"{name}: published with {printable(row)[:200]}" for name, row in said if isinstance(row, str)
    ]
    runs = [Path(member.given) for member in found if (Path(member.given) / OF_RUN).is_file()]
    return [*(remark for run in dict.fromkeys(runs) if (remark := kept(run, own)) is not None), *published]


def _told_apart(found: list[Member]) -> list[Member]:
    names = [(member.series, member.name) for member in found]
    return [
        member._replace(
            series=printable(member.series),
            name=printable(member.name if names.count(name) == 1 else member.given),
        )
        for member, name in zip(found, names, strict=True)
    ]


def _loader(name: str, own: Extension) -> Callable[[], Codec]:
    if Path(name).is_dir():
        return partial(of_run, Path(name), own)
    return partial(package.load, model_path(name), own)


def _id_of(codec: Codec) -> str:
    state = hashlib.blake2b(codec.latents_id + codec.picture_id, digest_size=8)
    for name, value in sorted(codec.state_dict().items()):
        state.update(name.encode())
        state.update(value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return state.hexdigest()


def through_file(codec: Codec, image: Decoded) -> Coded:
    """One image through a file of a learned codec, with the estimated bits of the file.

    Raises:
        NotTheReconstruction: the file does not hold what the codec computes without one.
    """
    begun = time.perf_counter()
    data = transcode.to_bytes(codec, image)
    written = time.perf_counter()
    file = parse(data)
    pixels = transcode.to_pixels(codec, file)
    ended = time.perf_counter()
    x = torch.from_numpy(image.pixels).permute(2, 0, 1)[None]
    out = codec.reconstruct(x)
    if not torch.equal(torch.from_numpy(pixels), to_uint8(out.x_hat[0]).permute(1, 2, 0)):
        raise NotTheReconstruction(
            "the decoded file is not the codec's own reconstruction; use another model"
        )
    count = pixels.shape[0] * pixels.shape[1]
    estimate = sum(-p.double().log2().sum().item() for p in out.likelihoods.values())
    numbers = (estimate / count, codec.count(x).bits / count, written - begun, ended - written)
    stored = one_channel(pixels) if file.grey else pixels
    return Coded(len(data), stored, dict(zip(NUMBERS, numbers, strict=True)))


class Files:
    """Cache of the latest files of classical codecs: a file coded to find a rate is not coded again."""

    def __init__(self, most: int = 2**26) -> None:
        self.most, self.size = most, 0  # bytes
        self._files: OrderedDict[tuple[str, float, str], bytes] = OrderedDict()

    def of(self, codec: Classical, value: float, image: Decoded) -> bytes:
        """The file of an image at a setting."""
        key = codec.name, value, digest(image)
        if key not in self._files:
            self._files[key] = codec.encode(stored(image), value)
            self.size += len(self._files[key])
            while self.size > self.most and len(self._files) > 1:
                self.size -= len(self._files.popitem(last=False)[1])
        return self._files[key]


def classical(codec: Classical, value: float, files: Files) -> Setting:
    """A setting of a classical codec."""

    def load() -> Code:
        return partial(_through_classical, codec, value, files)

    text = f"{codec.version}, {value:g}, {codec.options(value, (64, 64, 3))}"
    identity = hashlib.blake2b(text.encode(), digest_size=8).hexdigest()
    return Setting(codec.title, f"{value:g}", CLASSICAL, identity, load)


def stored(image: Decoded) -> Pixels:
    """The pixels that a codec codes: one channel of a grey image."""
    return one_channel(image.pixels) if image.grey else image.pixels


def _through_classical(codec: Classical, value: float, files: Files, image: Decoded) -> Coded:
    file = files.of(codec, value, image)
    return Coded(len(file), decode(file, image.grey), {})
