"""Image files to ``.gcn`` files and back, with a model that ships, a model file or the codec of a run."""

import multiprocessing
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch

from gcn.cli.batch import Outcome
from gcn.cli.progress_line import counted
from gcn.codec.container import File, parse, write
from gcn.coding.run_codec import of_run
from gcn.data.images import BadImage, Decoded, Pixels, Size, decode, read_size
from gcn.data.output import check_ending, check_size, save_image
from gcn.errors import InputError
from gcn.files.atomic import make_folder, write_bytes
from gcn.files.names import printable
from gcn.models import package
from gcn.models.codec import Codec
from gcn.models.places import DEFAULT_MODEL, check_named, model_path, superseded
from gcn.schema.plugins import of_words

LARGEST_FILE = 2**29
REMEDY = "remove it, or give overwrite=true"
SHOWN = 4_000_000  # pixels of an image from which progress is shown


class Report(NamedTuple):
    """Result of coding one image: files, size in pixels, bytes and remarks."""

    source: Path
    target: Path
    width: int
    height: int
    file_bytes: int
    notes: tuple[str, ...]

    @property
    def line(self) -> str:
        """The line that the terminal shows for this image."""
        bpp = 8 * self.file_bytes / (self.width * self.height)
        notes = "".join(f"; {note}" for note in self.notes)
        sizes = f"{self.width}x{self.height}, {self.file_bytes} bytes, {bpp:.3f} bit/pixel"
        return f"{self.source} -> {self.target}: {sizes}{notes}"

    @property
    def outcome(self) -> Outcome:
        """The result of this image for :mod:`gcn.cli.batch`."""
        return Outcome(self.line, 8 * self.file_bytes)


def model(options: Mapping[str, str]) -> Codec:
    """The codec that ``model=`` or ``run=`` names; by default a model that comes with the package.

    Raises:
        InputError: both are given, or there is no such model.
    """
    check_named(options)
    if "run" in options:
        return of_run(Path(options["run"]), of_words(options))
    return package.load(model_path(options.get("model", DEFAULT_MODEL)), of_words(options))


def named(options: Mapping[str, str]) -> Codec | None:
    """The codec that ``model=`` or ``run=`` names, None if neither is given; errors as for :func:`model`."""
    return model(options) if {"model", "run"} & options.keys() else None


def for_file(
    file: File, options: Mapping[str, str], codec: Codec | None = None
) -> tuple[Codec, tuple[str, ...]]:
    """The codec that decodes a ``.gcn`` file, and remarks.

    Args:
        file: what it says of itself.
        options: ``run=`` finds the codecs that the run had before.
        codec: :func:`named` of the options; by default the one that ships and wrote the file.

    Raises:
        InputError: the model that wrote it is not available.
    """
    if codec is not None:
        if "run" in options and (codec.latents_id, codec.picture_id) != file[:2]:
            before = superseded(Path(options["run"]), file.latents_id, file.picture_id)
            codec = package.load(before, of_words(options)) if before.is_file() else codec
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
        raise InputError(
            f"the synthesis {file.picture_id.hex()} is not available; {names} can draw it instead"
        )
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


def compress(
    codec: Codec, source: Path, target: Path, background: str = "white", overwrite: bool = False
) -> Report:
    """Write one image as a ``.gcn`` file, whole or not at all.

    Raises:
        InputError: not a usable image, too large for the format, or the codec gives no numbers for it; the file exists
            or cannot be written.
    """
    try:
        decoded = decode(source, background)
    except BadImage as reason:
        raise InputError(f"{source}: {reason}") from None
    height, width = decoded.pixels.shape[:2]
    try:
        with _watching(codec, height * width, f"compressing {printable(source.name)}"):
            data = to_bytes(codec, decoded)
    except FloatingPointError as problem:
        raise InputError(f"{source}: {problem}; use another model") from None
    except InputError as problem:
        raise InputError(f"{source}: {problem}") from None
    make_folder(target.parent)
    write_bytes(target, data, overwrite)
    return Report(source, target, width, height, len(data), decoded.notes)


def decompress(
    source: Path,
    target: Path,
    choose: Callable[[File], tuple[Codec, tuple[str, ...]]],
    overwrite: bool = False,
) -> Report:
    """Write the image of a ``.gcn`` file, whole or not at all.

    Args:
        source: the file.
        target: of the image.
        choose: gives the codec and remarks, such as :func:`for_file` with the options of the command.
        overwrite: replace an image that exists.

    Raises:
        InputError: not such a file, damaged, or of a model that is not available; the image exists or
            cannot be written.
    """
    data, file = read_file(source)
    _, height, width, _ = file.coded
    check_ending(target)
    check_size(target, Size(height, width), file.grey)
    try:
        codec, notes = choose(file)
        with _watching(codec, height * width, f"decompressing {printable(source.name)}"):
            pixels = to_pixels(codec, file)
    except InputError as problem:
        raise InputError(f"{source}: {problem}") from None
    make_folder(target.parent)
    save_image(target, pixels, file.grey, overwrite)
    return Report(source, target, width, height, len(data), notes)


def check_compressed(codec: Codec, source: Path, target: Path) -> None:
    """Raise InputError if an existing ``.gcn`` file is not what this codec would write, as far as its header says."""
    try:
        file, size = parse(target.read_bytes()), read_size(source)
    except InputError:
        raise InputError(f"{target}: exists, but is damaged; {REMEDY}") from None
    except BadImage as reason:
        raise InputError(f"{source}: {reason}") from None
    if (codec.latents_id, codec.picture_id) != file[:2]:
        raise InputError(f"{target}: exists, but another model wrote it; {REMEDY}")
    if size != file.coded[1:3]:
        raise InputError(f"{target}: exists, but {source} has another size; {REMEDY}")


def check_decompressed(source: Path, target: Path) -> None:
    """Raise InputError if an existing image cannot be decoded, or has another size than its ``.gcn`` file says."""
    _, file = read_file(source)
    try:
        size = decode(target).pixels.shape[:2]
    except BadImage as reason:
        raise InputError(f"{target}: exists, but is not a whole image ({reason}); {REMEDY}") from None
    if size != file.coded[1:3]:
        raise InputError(f"{target}: exists, but {source} has another size; {REMEDY}")


def device(options: Mapping[str, str]) -> torch.device:
    """The device that ``device=`` names, the CPU by default."""
    name = options.get("device", "cpu")
    try:
        found = torch.device(name)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError):
        raise InputError(f"device={name}: torch has no such device here; use device=cpu") from None
    return found


def read_file(source: Path) -> tuple[bytes, File]:
    """Bytes and header of a ``.gcn`` file; raises InputError if it cannot be read or is none."""
    try:
        found = source.stat()
        if not stat.S_ISREG(found.st_mode):
            raise InputError(f"{source}: a folder, a device or a pipe; give a file")
        if found.st_size > LARGEST_FILE:
            raise InputError(f"{source}: {found.st_size} bytes are more than any .gcn file has")
        data = source.read_bytes()
    except OSError as problem:
        raise InputError(f"{source}: {problem.strerror or problem}") from None
    try:
        return data, parse(data)
    except InputError as problem:
        raise InputError(f"{source}: {problem}") from None


@contextmanager
def _watching(codec: Codec, pixels: int, what: str) -> Iterator[None]:
    if (
        pixels >= SHOWN and multiprocessing.parent_process() is None
    ):  # the lines of several would be one jumble
        codec.watch = partial(counted, what=what)
    try:
        yield
    finally:
        codec.watch = iter
