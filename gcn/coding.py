"""Image files to ``.gcn`` files and back, with a model that ships, a model file or the codec of a run."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch

from gcn.assemble import load_codec
from gcn.build import build
from gcn.codec.container import File, parse, write
from gcn.config import load
from gcn.data.images import BadImage, Decoded, Pixels, Size, decode
from gcn.data.output import check_target, save_image
from gcn.errors import InputError
from gcn.files.atomic import write_bytes
from gcn.models import package
from gcn.models.codec import Codec
from gcn.training.checkpoint import has_checkpoint, open_checkpoint

DEFAULT_MODEL = "mid"
SUFFIX = ".gcn"
LARGEST_FILE = 2**29
SHOWN = 4_000_000  # pixels of an image from which progress is shown


class Report(NamedTuple):
    """One image through the coder."""

    source: Path
    target: Path
    width: int
    height: int
    file_bytes: int
    notes: tuple[str, ...]

    @property
    def line(self) -> str:
        """For the terminal."""
        bpp = 8 * self.file_bytes / (self.width * self.height)
        notes = "".join(f"; {note}" for note in self.notes)
        sizes = f"{self.width}x{self.height}, {self.file_bytes} bytes, {bpp:.3f} bit/pixel"
        return f"{self.source} -> {self.target}: {sizes}{notes}"


def model(options: Mapping[str, str]) -> Codec:
    """The codec that ``model=`` or ``run=`` names; by default the one that ships.

    Raises:
        InputError: both are given, or there is no such model.
    """
    if "model" in options and "run" in options:
        raise InputError("model= and run= exclude each other: both name a codec")
    if "run" in options:
        return of_run(Path(options["run"]))
    return package.load(model_path(options.get("model", DEFAULT_MODEL)))


def model_path(name: str) -> Path:
    """The file of a model that ships, or a model file; InputError if it is neither."""
    known = package.SHIPPED / f"{name}.safetensors"
    if "/" not in name and known.is_file():
        return known
    if Path(name).is_file():
        return Path(name)
    choices = ", ".join(package.shipped())
    raise InputError(f"model={name}: neither a file nor one of the models that ship ({choices})")


def of_run(run: Path) -> Codec:
    """The trained codec of a run folder (averaged weights, where it has them), ready to code.

    The first time it is written to ``codec.safetensors`` in the folder, and read from there later: its tables must
    be those that files were written with.

    Raises:
        InputError: not a run folder, or without a checkpoint.
    """
    if not (run / "config.yaml").is_file():
        raise InputError(f"run={run}: not a run folder; give one that scripts/train.py wrote")
    target = run / package.OF_RUN
    checkpoint = open_checkpoint(run)[0] if has_checkpoint(run) else None
    if target.is_file() and (checkpoint is None or target.stat().st_mtime >= checkpoint.stat().st_mtime):
        return package.load(target)
    codec = trained(run)
    if os.access(run, os.W_OK):
        package.save(codec, target, {"run": run.name})
    return codec


def trained(run: Path, half: bool = False) -> Codec:
    """The codec of a run's last checkpoint, with fresh tables.

    Args:
        run: the folder.
        half: round the weights to half precision first.
    """
    codec = build(load(run).generator)
    load_codec(codec, str(run))
    try:
        return (package.rounded(codec) if half else codec).for_coding()
    except FloatingPointError as problem:
        raise InputError(f"run={run}: {problem}") from None


def for_file(file: File, options: Mapping[str, str]) -> tuple[Codec, tuple[str, ...]]:
    """The codec for a file, and remarks.

    Raises:
        InputError: the model that wrote it is not at hand.
    """
    if "model" in options or "run" in options:
        codec = model(options)
        if codec.latents_id != file.latents_id:
            raise InputError(
                f"the file was written by model {file.latents_id.hex()}, not by {codec.latents_id.hex()};"
                " use the model that wrote it"
            )
        other = codec.picture_id != file.picture_id
        return codec, ("drawn by another synthesis than the maker's",) if other else ()
    cards = [card for card in package.shipped().values() if card.latents_id == file.latents_id]
    for card in cards:
        if card.picture_id == file.picture_id:
            return package.load(card.path), ()
    if cards:
        names = " or ".join(f"model={card.path.stem}" for card in cards)
        raise InputError(f"the synthesis {file.picture_id.hex()} is not at hand; {names} can draw it instead")
    raise InputError(
        f"written by model {file.latents_id.hex()}, which does not ship with gcn; name it: model=FILE or run=FOLDER"
    )


def to_bytes(codec: Codec, image: Decoded) -> bytes:
    """The bytes of the ``.gcn`` file of an image, grey or in colours; scripts/evaluate.py counts the same."""
    x = torch.from_numpy(image.pixels).permute(2, 0, 1)[None]
    return write(codec, x.to(next(codec.parameters()).device), image.grey)


def to_pixels(codec: Codec, file: File) -> Pixels:
    """The pixels (H, W, 3) of a ``.gcn`` file; of a grey image, ``gcn.data.output.one_channel`` of them is stored."""
    _, height, width, _ = file.coded
    y_hat = codec.latents(file.coded)
    return codec.synthesise(y_hat, height, width, torch.uint8)[0].permute(1, 2, 0).cpu().numpy()


def compress(codec: Codec, source: Path, target: Path, background: str = "white") -> Report:
    """Write one image as a ``.gcn`` file, whole or not at all.

    Raises:
        InputError: not a usable image, too large for the format, or the codec gives no numbers for it.
    """
    try:
        decoded = decode(source, background)
    except BadImage as reason:
        raise InputError(f"{source}: {reason}") from None
    height, width = decoded.pixels.shape[:2]
    try:
        with _watching(codec, height * width, f"compressing {source.name}"):
            data = to_bytes(codec, decoded)
    except FloatingPointError as problem:
        raise InputError(f"{source}: {problem}; use another model") from None
    write_bytes(target, data)
    return Report(source, target, width, height, len(data), decoded.notes)


def decompress(source: Path, target: Path, options: Mapping[str, str]) -> Report:
    """Write the image of a ``.gcn`` file, whole or not at all.

    Raises:
        InputError: not such a file, damaged, or of a model that is not at hand; the image cannot be written.
    """
    data = read_bytes(source)
    try:
        file = parse(data)
    except InputError as problem:
        raise InputError(f"{source}: {problem}") from None
    _, height, width, _ = file.coded
    check_target(target, Size(height, width), file.grey)
    try:
        codec, notes = for_file(file, options)
        codec.to(device(options))
        with _watching(codec, height * width, f"decompressing {source.name}"):
            pixels = to_pixels(codec, file)
    except InputError as problem:
        raise InputError(f"{source}: {problem}") from None
    save_image(target, pixels, file.grey)
    return Report(source, target, width, height, len(data), notes)


def targets(sources: Sequence[Path], output: str | None, suffix: str) -> list[Path]:
    """Where each source goes: the file ``output``, or files of its name in the folder ``output`` or beside it.

    Raises:
        InputError: several sources and one file, two sources of one name, or a source would be overwritten.
    """
    if not sources:
        raise InputError("no input file is given")
    if output is None:
        found = [source.with_suffix(suffix) for source in sources]
    elif len(sources) == 1 and not output.endswith("/") and not Path(output).is_dir():
        found = [Path(output)]
    elif Path(output).is_dir():
        found = [Path(output) / (source.stem + suffix) for source in sources]
    else:
        raise InputError(f"{output}: not a folder; make it first, {len(sources)} files go there")
    doubled = {target for target in found if found.count(target) > 1}
    if doubled:
        raise InputError(f"two inputs would become {sorted(doubled)[0]}; rename one")
    for source, target in zip(sources, found, strict=True):
        if source.resolve() == target.resolve():
            raise InputError(f"{source} would be overwritten; give another -o")
        if not target.parent.is_dir():
            raise InputError(f"{target.parent}: no such folder; make it first")
    return found


def device(options: Mapping[str, str]) -> torch.device:
    """The device that ``device=`` names, the CPU by default."""
    name = options.get("device", "cpu")
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError):
        raise InputError(f"device={name}: torch has no such device here; use device=cpu") from None
    return found


def read_bytes(source: Path) -> bytes:
    """The bytes of a file that may be a ``.gcn`` file; InputError if it cannot be read or is far too large."""
    try:
        if source.stat().st_size > LARGEST_FILE:
            raise InputError(f"{source}: {source.stat().st_size} bytes are more than any .gcn file has")
        return source.read_bytes()
    except OSError as problem:
        raise InputError(f"{source}: {problem.strerror or problem}") from None


def _bar(what: str) -> Callable[[Sequence], Iterable]:
    """Shows a bar over the tiles of an image."""
    from rich.console import Console
    from rich.progress import track

    return lambda tiles: track(tiles, what, console=Console(stderr=True), transient=True)


@contextmanager
def _watching(codec: Codec, pixels: int, what: str) -> Iterator[None]:
    if pixels >= SHOWN:
        codec.watch = _bar(what)
    try:
        yield
    finally:
        codec.watch = iter
