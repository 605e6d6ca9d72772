"""The sign stays with its spread in a table: "5.31 ± 0.02" breaks before the ±, never behind it.

A narrow column would else write it in three lines. Nowhere to break would be worse: the last column
of a table that just fits would leave the page.
"""

from __future__ import annotations

from docutils import nodes


def keep_together(app, doctree: nodes.document) -> None:
    """Put a space that does not break behind each ± in the tables of a page."""
    for table in doctree.findall(nodes.table):
        for text in list(table.findall(nodes.Text)):
            if "± " in text:
                whole = text.replace("± ", "±\N{NO-BREAK SPACE}")
                text.parent.replace(text, nodes.Text(whole))


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-read", keep_together)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
