"""The caption of a cell belongs to its picture, not to a table that the cell shows as well.

myst-nb puts the caption below every output of a cell that is more than text, so that a cell with
a table and a picture has it twice, under two numbers.
"""

from __future__ import annotations

from docutils import nodes


def free_tables(app, doctree: nodes.document) -> None:
    """Take tables out of the figures that hold nothing else."""
    for figure in list(doctree.findall(nodes.figure)):
        if next(figure.findall(nodes.table), None) and not next(figure.findall(nodes.image), None):
            figure.replace_self([c for c in figure.children if not isinstance(c, nodes.caption)])


def setup(app):
    """Register with Sphinx."""
    app.connect("doctree-read", free_tables, priority=100)  # before figures are counted
    return {"parallel_read_safe": True, "parallel_write_safe": True}
