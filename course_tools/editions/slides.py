"""The figures of a chapter as slides: one HTML file that needs nothing else."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from pathlib import Path

from nbformat import NotebookNode

from course_tools.chapters.cells import described, text
from course_tools.editions import markdown

HEADING = re.compile(r"^(#{1,3}) (.+)$", re.M)
STYLE = """
:root { color-scheme: light; font: 1.4rem/1.4 system-ui, sans-serif; }
html { scroll-snap-type: y mandatory; } body { margin: 0; color: #222832; background: #fff; }
section { box-sizing: border-box; display: flex; flex-direction: column; height: 100vh;
  padding: 4vh 5vw; scroll-snap-align: start; justify-content: center; }
h1, h2 { margin: 0 0 2vh; } h2 { font-size: 1.5rem; }
figure { margin: 0; min-height: 0; display: flex; flex-direction: column; flex: 1; }
img { min-height: 0; flex: 1; object-fit: contain; width: 100%; }
figcaption { margin-top: 2vh; text-align: center; }
footer { font-size: .8rem; text-align: right; color: #555; }
@media print { section { page-break-after: always; height: 95vh; } }
"""
TURN = """
addEventListener("keydown", event => {
  const step = {ArrowRight: 1, ArrowDown: 1, PageDown: 1, " ": 1, ArrowLeft: -1, ArrowUp: -1,
    PageUp: -1}[event.key];
  if (!step) return;
  event.preventDefault();
  scrollTo(0, (Math.round(scrollY / innerHeight) + step) * innerHeight);
});
"""


@dataclass(frozen=True)
class Figure:
    """A figure of a chapter: under which heading, its picture as an address, alt text, caption."""

    heading: str
    address: str
    alt: str
    caption: str


def figures(nb: NotebookNode, path: Path, book: markdown.Book) -> Iterator[Figure]:
    """Yield the described figures of a chapter, in order."""
    heading = ""
    for cell in nb.cells:
        if cell.cell_type == "markdown":
            for found in HEADING.finditer(cell.source):
                heading = markdown.inline(found[2], book, path)
            continue
        alt, caption = described(cell)
        for output in cell.get("outputs", []):
            if (alt or caption) and (address := picture(output.get("data", {}))):
                yield Figure(heading, address, alt, markdown.plain(caption, book, path))


def picture(data: dict) -> str:
    """Return the picture of an output as an address that holds it; "" where there is none."""
    if data.get("image/svg+xml"):
        content = base64.b64encode(text(data["image/svg+xml"]).encode()).decode()
        return f"data:image/svg+xml;base64,{content}"
    for kind in ("image/png", "image/jpeg"):
        if data.get(kind):
            return f"data:{kind};base64," + "".join(text(data[kind]).split())
    return ""


def of(nb: NotebookNode, path: Path, book: markdown.Book) -> str:
    """Return the slides of a chapter as an HTML page."""
    title = next((found[2] for cell in nb.cells if cell.cell_type == "markdown"
                  and (found := HEADING.search(cell.source))), path.stem)  # fmt: skip
    shown = list(figures(nb, path, book))
    parts = [
        f"<section><h1>{escape(title)}</h1><p>{len(shown)} figures. Arrow keys turn.</p></section>"
    ]
    for number, figure in enumerate(shown, 1):
        parts.append(
            f"<section><h2>{escape(figure.heading)}</h2><figure>"
            f'<img src="{figure.address}" alt="{escape(figure.alt, quote=True)}">'
            f"<figcaption>{escape(figure.caption)}</figcaption></figure>"
            f"<footer>{number} of {len(shown)}</footer></section>"
        )
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{escape(title)}: figures</title><style>{STYLE}</style></head>"
        f"<body>{''.join(parts)}<script>{TURN}</script></body></html>\n"
    )
