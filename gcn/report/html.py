"""Self-contained HTML pages from the templates in ``templates/``: style, script, pictures and numbers are inside.

The templates escape every text, so that names and configurations of untrusted runs stay text. The pages load nothing:
their content security policy forbids it.
"""

import base64
import json
import os
from collections.abc import Collection, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from gcn.errors import InputError
from gcn.files.atomic import check_output, write_text
from gcn.files.names import printable

GENERATOR = "gcn report"
REPORTS = ("run.html", "runs.html")  # templates of pages that can be made again from run folders at any time
ENDINGS = (".html", ".htm")
SCREEN = 96  # CSS pixels an inch
HEAD = 2000  # characters of a page in which its generator is named


class Table(NamedTuple):
    """A table of texts.

    Attributes:
        head: names of the columns.
        rows: a text for each cell.
        marked: numbers of the rows that stand out.
        texts: cells break into lines, so that the table fits the page; else it scrolls sideways.
        label: for screen readers.
    """

    head: Sequence[str]
    rows: Sequence[Sequence[str]]
    marked: Collection[int] = ()
    texts: bool = False
    label: str = "table"


class Picture(NamedTuple):
    """A picture with its caption and its size on the page in CSS pixels; ``uri`` holds its bytes."""

    uri: str
    caption: str
    width: int
    height: int


@cache
def _environment() -> Any:
    import jinja2

    loader = jinja2.PackageLoader("gcn.report", "templates")
    return jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )


def render(template: str, **content: Any) -> str:
    """The text of a page: a file of ``templates/`` filled with ``content``."""
    generator = GENERATOR if template in REPORTS else f"gcn {Path(template).stem}"
    return str(_environment().get_template(template).render(generator=generator, **content))


def write(template: str, file: Path, **content: Any) -> Path:
    """Write a page, whole or not at all; ``content`` as of :func:`render`."""
    write_text(file, render(template, **content))
    return file


def uri(data: bytes, kind: str) -> str:
    """A data URI of some bytes; ``kind`` is their media type, for instance ``image/png``."""
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def picture(path: Path, caption: str) -> Picture:
    """The picture in an image file, in the size that its resolution gives it; 96 dots an inch if it names none."""
    from PIL import Image

    with Image.open(path) as opened:
        dpi = float(opened.info.get("dpi", (SCREEN, SCREEN))[0]) or SCREEN
        width, height = (round(side * SCREEN / dpi) for side in opened.size)
    return Picture(uri(path.read_bytes(), "image/png"), caption, width, height)


def json_uri(content: Any) -> str:
    """A data URI of plain values as JSON."""
    return uri(
        json.dumps(content, indent=2, ensure_ascii=False).encode("utf-8", "replace"), "application/json"
    )


def anchors(names: Iterable[str]) -> list[tuple[str, str]]:
    """An anchor that occurs once on the page, and the name, for each section."""
    found: dict[str, str] = {}
    for name in names:
        anchor = plain = "".join(c if c.isalnum() else "-" for c in name.lower()).strip("-") or "section"
        while anchor in found:
            anchor = f"{plain}-{len(found)}"
        found[anchor] = name
    return list(found.items())


def check_page(file: Path, overwrite: bool) -> None:
    """Raise InputError if a report may not be written to a file.

    Another report is replaced, nothing else; with ``overwrite`` any file whose name is that of a page.
    """
    for path in (file, Path(os.path.realpath(file))):  # a link leads to the file that is replaced
        if path.suffix.lower() not in ENDINGS:
            raise InputError(f"{printable(path)}: the report is a page; give a name that ends in .html")
    if not overwrite and file.is_file() and not file.is_symlink():
        with file.open("rb") as opened:
            overwrite = f'content="{GENERATOR}"'.encode() in opened.read(HEAD)
        if not overwrite:
            raise InputError(f"{printable(file)} exists and is no report; give out=FILE, or overwrite=true")
    check_output(file, overwrite)
