"""Folded code cells say what they hold: "Show code: drawing", not just that there is code.

The words stand in the page itself: they need neither script nor style, and a screen reader reads
them, where myst-nb labels every cell "Toggle hidden content". A cell is folded by its tag
`hide-input`.
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path

from docutils import nodes
from myst_nb.sphinx_ import HideCodeCellNode

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the clone

from course_tools.chapters.cells import purposes

OPENING = """<details class="admonition hide {classes}">
<summary>
<p class="collapsed admonition-title">Show {words}</p>
<p class="expanded admonition-title">Hide {words}</p>
</summary>
"""


def in_words(purposes: list[str]) -> str:
    """Return "a", "a and b", or "a, b and c"."""
    *others, last = purposes
    return f"{', '.join(others)} and {last}" if others else last


def label(app, doctree: nodes.document, docname: str) -> None:
    """Write on each folded cell of a page what its code is for."""
    for folded in list(doctree.findall(HideCodeCellNode)):
        source = next(folded.findall(nodes.literal_block), None)
        if source is None or "above-input" not in folded["classes"]:
            continue
        words = f"code: {in_words(purposes(source.astext()))}"
        opening = OPENING.format(classes=" ".join(folded["classes"]), words=escape(words))
        parent, place = folded.parent, folded.parent.index(folded)
        parent[place : place + 1] = [
            nodes.raw("", opening, format="html"),
            *folded.children,
            nodes.raw("", "</details>\n", format="html"),
        ]


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-resolved", label)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
