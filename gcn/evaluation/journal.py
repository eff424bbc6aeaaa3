"""What an evaluation has computed, saved as it is computed, so that the same command goes on where it was stopped.

In the folder of the report: ``evaluation.csv``, to which a row is added for every image and setting, and ``.resume``
with what a report does not show: the words of the command, the sizes of files that were only counted, the numbers of
whole sets of images, and for the setting at hand the patches of each reconstruction. All is found again by the id of
the codec and the digest of the pixels: what has changed is computed anew.
"""

import csv
import io
import json
import math
import shutil
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gcn.errors import InputError
from gcn.files.atomic import (
    cannot_write,
    check_folder,
    check_output,
    make_folder,
    refuse_links,
    remove_partials,
    write_bytes,
    write_text,
)
from gcn.files.names import printable
from gcn.files.reading import read_json
from gcn.report.rates.rate_record import IDS, NAMES, ImageRow, cells, from_cells
from gcn.report.rates.rate_report import FILES
from gcn.report.summary import plain, write_json_atomic

STATE = ".resume"
RESUMES = "all before it is saved, the same command resumes"
Sizes = dict[tuple[str, str], int]


def check(folder: Path, words: Mapping[str, str], overwrite: bool) -> None:
    """Raise InputError, before any work is done, if the report cannot be written or would replace another evaluation.

    Args:
        folder: of the report.
        words: options of the command that decide its numbers.
        overwrite: whether a report of other words may be replaced.

    Raises:
        InputError: the folder cannot be written, or holds another report.
    """
    check_folder("out", folder)
    for name in FILES:
        if (folder / name).exists():
            check_output(folder / name, overwrite=True)
    refuse_links(folder)
    if (folder / STATE).is_symlink():  # what is in it is removed at the end
        raise InputError(f"{printable(folder / STATE)}: a link; remove it, or name another folder")
    if overwrite or _words(folder) == dict(words):
        return
    there = [name for name in FILES if (folder / name).exists()]
    there += [
        STATE for state in [folder / STATE] if state.is_file() or (state.is_dir() and any(state.iterdir()))
    ]
    if there:
        raise InputError(
            f"out={printable(folder)}: holds {there[0]} of another evaluation; name another folder,"
            " or give overwrite=true to replace it"
        )


def _words(folder: Path) -> Any:
    try:
        return read_json(folder / STATE / "words.json")
    except InputError:
        return None


class Journal:
    """The saved rows, sizes and patches of an evaluation that may be interrupted.

    Args:
        folder: of the report; made.
        words: options of the command, see :func:`check`.
        extras: of each kind of codec, the numbers that a row has besides ``NAMES``.
        overwrite: begin anew.
    """

    def __init__(
        self, folder: Path, words: Mapping[str, str], extras: Mapping[str, Sequence[str]], overwrite: bool
    ) -> None:
        self.folder, self.state, self.extras = folder, make_folder(folder / STATE), extras
        self.columns = list(dict.fromkeys(name for names in extras.values() for name in names))
        self.table, self.journal = folder / "evaluation.csv", self.state / "journal.jsonl"
        remove_partials(folder, below=False)  # further below, others may be writing
        remove_partials(self.state)
        if overwrite and _words(folder) != dict(words):
            shutil.rmtree(self.state)
            self.table.unlink(missing_ok=True)
            make_folder(self.state)
        write_json_atomic(self.state / "words.json", words)
        self.rows: dict[tuple[str, str], dict[str, str]] = self._read_table()
        self.sizes: Sizes = {}
        self.sets: dict[tuple[str, str], dict[str, float]] = {}
        self._read_journal()
        self.resumed = len(self.rows)

    def row(self, codec: str, image: str, kind: str) -> ImageRow | None:
        """The saved row of an image, None unless it has all numbers that are asked for."""
        content = self.rows.get((codec, image))
        try:
            return None if content is None else from_cells(content, self.extras[kind])
        except (KeyError, ValueError):  # of an evaluation that measured less
            return None

    def add_row(self, row: ImageRow) -> None:
        """Save the row of an image."""
        values = [str(value) for value in cells(row, self.columns)]
        self.rows[row.codec_id, row.image_id] = dict(zip(self._head(), values, strict=True))
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(values)
        self._append(self.table, text.getvalue())

    def add_size(self, codec: str, image: str, size: int) -> None:
        """Save the bytes of an image's file."""
        self.sizes[codec, image] = size
        self._append(self.journal, json.dumps({"codec": codec, "image": image, "bytes": size}) + "\n")

    def add_set(self, codec: str, images: str, values: Mapping[str, float]) -> None:
        """Save the numbers of a set of images, and delete the patches that they were computed from."""
        self.sets[codec, images] = dict(values)
        entry = {"codec": codec, "images": images, "values": plain(values)}
        self._append(self.journal, json.dumps(entry, allow_nan=False) + "\n")
        shutil.rmtree(self.state / codec, ignore_errors=True)

    def tensors(self, codec: str, image: str) -> dict[str, Tensor] | None:
        """The saved tensors of a reconstruction, None if there are none."""
        try:
            with np.load(self._place(codec, image), allow_pickle=False) as file:
                return {name: torch.from_numpy(file[name]) for name in file.files}
        except (OSError, ValueError, EOFError, LookupError, zipfile.BadZipFile, zlib.error):  # damaged
            return None

    def has_tensors(self, codec: str, image: str) -> bool:
        """Whether tensors of this reconstruction are saved."""
        return self._place(codec, image).is_file() and self.tensors(codec, image) is not None

    def add_tensors(self, codec: str, image: str, tensors: Mapping[str, Tensor]) -> None:
        """Save tensors of a reconstruction, float32 or float64, of bounded size."""
        place = self._place(codec, image)
        make_folder(place.parent)
        data = io.BytesIO()
        np.savez(data, **{name: tensor.numpy() for name, tensor in tensors.items()})
        try:
            write_bytes(place, data.getvalue())
        except InputError as problem:
            raise InputError(f"{problem}; {RESUMES}") from None

    def clean(self) -> None:
        """Delete the patches of all reconstructions, once the evaluation is complete."""
        for place in self.state.iterdir():
            if place.is_dir():
                shutil.rmtree(place, ignore_errors=True)

    def _place(self, codec: str, image: str) -> Path:
        return self.state / codec / f"{image}.npz"

    def _head(self) -> list[str]:
        return [*NAMES, *self.columns, *IDS]

    def _read_table(self) -> dict[tuple[str, str], dict[str, str]]:
        """All complete rows of the table; the file is rewritten with these only, under the present columns."""
        rows = {}
        try:
            for content in csv.DictReader(_complete(self.table)):
                if None not in content and None not in content.values():
                    rows[content["codec_id"], content["image_id"]] = content
        except (csv.Error, KeyError):  # damaged; what cannot be read is computed again
            pass
        text = io.StringIO()
        writer = csv.DictWriter(text, self._head(), restval="", extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows.values())
        write_text(self.table, text.getvalue())
        return rows

    def _read_journal(self) -> None:
        lines = []
        for line in _complete(self.journal):
            try:
                entry = json.loads(line)
                if "bytes" in entry:
                    self.sizes[entry["codec"], entry["image"]] = int(entry["bytes"])
                else:
                    values = entry["values"]
                    numbers = {name: math.nan if v is None else float(v) for name, v in values.items()}
                    self.sets[entry["codec"], entry["images"]] = {"swd": numbers.pop("swd"), **numbers}
            except (
                ValueError,
                LookupError,
                AttributeError,
                TypeError,
                RecursionError,
                OverflowError,
            ):  # damaged; it is computed again
                continue
            lines.append(line)
        write_text(self.journal, "".join(lines))

    def _append(self, path: Path, line: str) -> None:
        try:
            with path.open("a", encoding="utf-8", newline="") as file:
                file.write(line)
        except OSError as problem:
            raise InputError(f"{cannot_write(path, problem)}; {RESUMES}") from None


def _complete(path: Path) -> list[str]:
    """The lines of a file without a last one that was cut off; empty if the file does not exist."""
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return [line for line in file if line.endswith("\n")]
    except (FileNotFoundError, UnicodeDecodeError):
        return []
