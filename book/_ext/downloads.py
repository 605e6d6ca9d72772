"""What a page's download button gives: the student's version of a notebook, not its source.

So a downloaded notebook shows no raw roles in Jupyter and sets itself up, and the solutions of
exercises, those for grading above all, stand in no file of the site.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the clone
sys.path.insert(0, str(Path(__file__).parent))

import nbformat
from repository import Unknown, find_repository

from course_tools.editions import markdown, student
from course_utils import folders


def replace_sources(app, failure) -> None:
    """Write the student edition over the copies of notebooks that Sphinx keeps for download."""
    kept = Path(app.outdir) / "_sources"
    if failure is not None or app.builder.format != "html" or not kept.is_dir():
        return
    root = Path(app.confdir)
    edition = student.Edition(markdown.read_book(root, address(root)))
    for path in sorted(kept.rglob("*.ipynb")):
        source = root / path.relative_to(kept)
        nb = student.from_file(source, edition)
        folders.write_atomically(path, nbformat.writes(nb) + "\n")


def address(root: Path) -> str:
    """Return the address of the published book, "" where there is none."""
    try:
        return find_repository(root).pages_url
    except Unknown:
        return ""


def setup(app):
    """Register with Sphinx."""
    app.connect("build-finished", replace_sources)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
