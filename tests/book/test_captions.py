"""A cell's caption stands below its picture, and below nothing else that the cell shows."""

from __future__ import annotations

import sys
from pathlib import Path

from docutils import nodes

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "_ext"))

import captions


def figure(*content: nodes.Node) -> nodes.figure:
    """Return a figure as myst-nb makes one of an output: content, and the cell's caption."""
    return nodes.figure("", *content, nodes.caption("", "Errors by epoch."))


def freed(*children: nodes.Node) -> nodes.document:
    """Return a page after `free_tables`."""
    page = nodes.document(None, None)
    page += children
    captions.free_tables(None, page)
    return page


def test_a_table_leaves_its_figure_and_its_caption_behind():
    table = nodes.table()
    page = freed(nodes.paragraph(), figure(nodes.container("", table)), nodes.paragraph())
    assert [type(child) for child in page] == [nodes.paragraph, nodes.container, nodes.paragraph]
    assert page[1].children == [table]
    assert not list(page.findall(nodes.caption))


def test_pictures_keep_theirs_a_table_beside_them_too():
    with_table = figure(nodes.table(), nodes.image())
    page = freed(figure(nodes.image()), with_table, figure(nodes.raw()))
    assert [type(child) for child in page] == [nodes.figure] * 3
    assert len(list(page.findall(nodes.caption))) == 3
    assert next(with_table.findall(nodes.table), None) is not None
