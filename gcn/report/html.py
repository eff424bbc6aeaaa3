"""Self-contained HTML pages: style and pictures are inlined, and there are no scripts."""

import base64
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from gcn.files.atomic import write_text

STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881 }
body { font: 16px/1.55 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; line-height: 1.2 } h2 { font-size: 1.15rem; margin-top: 2.2rem }
p, li { max-width: 46rem } small, figcaption { opacity: .75; font-size: .85rem }
figure { margin: 1rem 0; background: #fff; color: #222; padding: .6rem; border-radius: .4rem; overflow-x: auto }
figure img { max-width: 100%; height: auto; display: block }
.wide { overflow-x: auto } table { border-collapse: collapse; font-size: .87rem; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .7rem; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap }
th:first-child, td:first-child, th:nth-child(2), td:nth-child(2) { text-align: left }
.texts th, .texts td { white-space: normal; text-align: left; vertical-align: top; padding: .25rem .5rem }
tr.marked td { background: var(--soft); font-weight: 600 }
code { background: var(--soft); padding: .1rem .3rem; border-radius: .2rem; overflow-wrap: anywhere }
"""
__all__ = ["escape", "figure", "small", "table", "write"]
META = '<meta charset="utf-8"><meta name="viewport" content="width=device-width">'


def write(title: str, parts: Iterable[str], file: Path) -> Path:
    """Write a page of HTML fragments under its title, whole or not at all."""
    head = f"{META}<title>{escape(title)}</title><style>{STYLE}</style>"
    body = f"<h1>{escape(title)}</h1>{''.join(parts)}"
    write_text(file, f"<!doctype html><html lang=en><head>{head}</head><body>{body}</body></html>\n")
    return file


def small(text: str) -> str:
    """HTML of a remark in small type."""
    return f"<p><small>{escape(text)}</small></p>"


def figure(path: Path, caption: str) -> str:
    """HTML of a PNG file, inlined, with its caption."""
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img alt="{escape(caption, quote=True)}" src="data:image/png;base64,{data}">'
    return f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>"


def table(
    head: Sequence[str],
    rows: Iterable[Sequence[str]],
    marked: Iterable[bool] | None = None,
    texts: bool = False,
) -> str:
    """A table; marked rows stand out. Cells of ``texts`` break into lines, so that the table fits the page."""
    titles = "".join(f"<th>{escape(name)}</th>" for name in head)
    listed = list(rows)
    flags = list(marked) if marked is not None else [False] * len(listed)
    lines = []
    for cells, flag in zip(listed, flags, strict=True):
        line = "".join(f"<td>{escape(cell)}</td>" for cell in cells)
        lines.append(f'<tr class="marked">{line}</tr>' if flag else f"<tr>{line}</tr>")
    body = f"<table><thead><tr>{titles}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    return f'<div class="wide{" texts" if texts else ""}">{body}</div>'
