"""In a table no line ends with the sign of a spread."""

from __future__ import annotations

import sys
from pathlib import Path

from docutils import nodes

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "book" / "_ext"))

import spreads


def test_the_sign_stays_with_its_spread_in_a_table_and_prose_is_left_alone():
    page = nodes.document(None, None)
    cell = nodes.entry("", nodes.paragraph("", "5.31 ± 0.02", nodes.strong("", "7 ± 1")))
    page += [nodes.table("", cell), nodes.paragraph("", "5.31 ± 0.02")]
    spreads.keep_together(None, page)
    in_table, in_prose = page.children
    assert in_table.astext() == "5.31 ±\xa00.027 ±\xa01"
    assert in_prose.astext() == "5.31 ± 0.02"
