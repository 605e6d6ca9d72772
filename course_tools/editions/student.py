"""The student edition: chapters and exercises without solutions, in plain Markdown.

Every notebook begins with a cell that sets everything up. Figures of the chapters are kept, and so
are starters and checks of the exercises; what the checks said of the solutions is not.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

import course_utils
from course_tools.chapters import exercises, stored
from course_tools.chapters.cells import KERNEL, described
from course_tools.editions import folder, markdown, setup_cell, wheel
from course_utils import folders
from course_utils.errors import CourseError

PUBLISHED = "student"  # the folder of this edition on the published site
WORDS_A_MINUTE = 130  # of a text with formulas and code
README = """# Autoencoders, measured: student edition

`notebooks/` holds the chapters, `notebooks/exercises/` the exercises. Open one in Jupyter or in
Colab and run its first cell: it installs the wheel of `wheels/` where the course is not there yet.
PyTorch has to be there: https://pytorch.org/get-started/locally

Code: BSD 3-Clause. Text and figures: CC BY 4.0.
"""


@dataclass(frozen=True)
class Edition:
    """What a student edition is made with.

    Attributes:
        book: what the texts refer to.
        wheel: address of the published wheel, "" where there is none.
        release: address of the release that holds the runs of the book, "" where there is none.
    """

    book: markdown.Book
    wheel: str = ""
    release: str = ""


def write(out: Path, site: str = "", root: Path = stored.ROOT, release: str = "") -> list[Path]:
    """Write the student edition of the clone at `root` into `out`; return its notebooks.

    The same clone gives the same bytes.

    Args:
        out: a new or empty folder, or an older student edition.
        site: address that the book is published under; links and the wheel's address follow it.
        root: of the clone.
        release: address of the release that holds the runs of the book.

    Raises CourseError when a notebook cannot be made plain, when a solution would be left in it,
    or when `out` holds something else.
    """
    site = site_address(site)
    with folder.edition(out, "student") as new:
        built = wheel.build(new / wheel.FOLDER, root)
        address = f"{site}{PUBLISHED}/{wheel.FOLDER}/{built.name}" if site else ""
        edition = Edition(markdown.read_book(root, site), address, release)
        sources = [*stored.chapters(root / "notebooks"), *stored.exercises(root / "notebooks")]
        for path in sources:
            nb = from_file(path, edition)
            folders.write_atomically(new / path.relative_to(root), nbformat.writes(nb) + "\n")
        (new / "README.md").write_text(README, encoding="utf-8")
    return [folders.located(out) / path.relative_to(root) for path in sources]


def site_address(site: str) -> str:
    """Return an address with a final slash; CourseError where it is none."""
    if not site:
        return ""
    if not re.match(r"^https?://[\w.-]+(?::\d+)?(?:/|$)", site):
        raise CourseError(f"{site!r} is no address: https://OWNER.github.io/NAME/ is meant")
    return site.rstrip("/") + "/"


def from_file(path: Path, edition: Edition) -> NotebookNode:
    """Return the student's version of the notebook stored at `path`."""
    nb = read(path)
    try:
        return of_exercises(nb, path, edition) if stored.is_exercise(path) else of_chapter(
            nb, path, edition)  # fmt: skip
    except CourseError as error:
        raise CourseError(f"{path.name}: {error}") from None


def read(path: Path) -> NotebookNode:
    """Return a notebook; CourseError where the file is none."""
    try:
        nb = nbformat.reads(folders.read_text(path), as_version=4)
        nbformat.validate(nb)
    except (nbformat.ValidationError, nbformat.reader.NotJSONError, AttributeError, KeyError,
            TypeError) as error:  # fmt: skip
        shown = str(error).strip().splitlines()[0][:120]
        raise CourseError(f"{path} is no notebook: {shown}") from None
    return nb


def of_chapter(nb: NotebookNode, path: Path, edition: Edition) -> NotebookNode:
    """Return a chapter in plain Markdown, with its outputs, pictures and captions."""
    cells: list[NotebookNode] = []
    for cell in nb.cells:
        cells += [plain_cell(cell, edition, path), *caption_of(cell, edition, path)]
    return finished(nb, cells, path, edition, reading_time(nb))


def of_exercises(nb: NotebookNode, path: Path, edition: Edition) -> NotebookNode:
    """Return exercises without solutions; CourseError should a part of one be left."""
    known = exercises.exercises(nb)
    cells: list[NotebookNode] = []
    hints = 0
    for cell, part, exercise in exercises.parts(nb):
        hints = hints + 1 if part == "hint" else 0
        if part == "solution":
            continue
        made = plain_cell(cell, edition, path)
        if part == "statement":
            made.source = f"{made.source}\n\n{exercises.facts_line(exercise)}"
        elif part == "hint":
            made.source = markdown.details(f"Hint {hints}", made.source)
        elif cell.cell_type == "code" and part is not None:
            made.outputs, made.execution_count = [], None
        if part in exercises.PARTS:
            made.metadata["course"] = {"exercise": exercise.name, "part": part}
        cells += [made, *caption_of(cell, edition, path)]
    minutes = sum(exercise.minutes for exercise in known)
    made = finished(nb, cells, path, edition, f"about {minutes} minutes, in parts if you like")
    left = exercises.leaks("\n".join(cell.source for cell in made.cells), known)
    if left:
        raise CourseError(f"a part of the solution would be handed out: {', '.join(left)}")
    return made


def plain_cell(cell: NotebookNode, edition: Edition, path: Path) -> NotebookNode:
    """Return a copy of a cell in plain Markdown, or with the metadata that other programs read."""
    made = nbformat.from_dict(cell)
    made.metadata = nbformat.from_dict({})
    tags = list(cell.metadata.get("tags", []))
    if cell.cell_type == "markdown":
        made.source = markdown.plain(cell.source, edition.book, path)
        made.pop("attachments", None)
        if cell.get("attachments"):
            made.attachments = cell.attachments
    elif "hide-input" in tags:  # folded in Jupyter, and in Colab
        made.metadata = nbformat.from_dict({"jupyter": {"source_hidden": True},
                                            "cellView": "form"})  # fmt: skip
    if tags:
        made.metadata["tags"] = tags
    return made


def caption_of(cell: NotebookNode, edition: Edition, path: Path) -> list[NotebookNode]:
    """Return the caption of a cell's figure as a cell, in a list; none where there is none."""
    caption = described(cell)[1]
    if not caption:
        return []
    words = markdown.plain(caption, edition.book, path)
    return [new_markdown_cell(f"*Figure: {words}*", id=f"{cell.id[:56]}-caption")]


def finished(
    nb: NotebookNode, cells: list[NotebookNode], path: Path, edition: Edition, minutes: str
) -> NotebookNode:
    """Return a notebook of cells, with the set-up cell first and without what must not be there."""
    said = f"{path.stem}: {minutes}"
    version = course_utils.__version__
    first = setup_cell.cell(edition.wheel, edition.release, version, said)
    made = nbformat.from_dict({"cells": [first, *cells], "nbformat": 4, "nbformat_minor": 5})
    made.metadata = nbformat.from_dict({
        "colab": {"generative_ai_disabled": True, "provenance": [], "toc_visible": True},
        "course": {"edition": "student", "notebook": path.stem, "version": version},
        "kernelspec": KERNEL,
        "language_info": {"name": "python"},
    })  # fmt: skip
    for number, cell in enumerate(made.cells):
        cell.setdefault("id", f"cell-{number}")
    nbformat.validate(made)
    return made


def reading_time(nb: NotebookNode) -> str:
    """Return how long a chapter takes, as a sentence; its cells run in less than a minute."""
    words = sum(len(cell.source.split()) for cell in nb.cells)
    minutes = 5 * math.ceil(words / WORDS_A_MINUTE / 5)
    return f"about {minutes} minutes to read; in the quick profile its cells take less than one"
