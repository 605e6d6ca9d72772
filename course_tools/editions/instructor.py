"""The instructor's edition: answers, teaching notes, and slides of the figures.

It holds the solutions of graded exercises, so it says on its first page that it is not to be
published.
"""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from course_tools.chapters import exercises, stored
from course_tools.chapters.cells import KERNEL
from course_tools.editions import folder, markdown, slides, student
from course_utils import folders
from course_utils.errors import CourseError

NOTES = Path("book") / "teaching"
LENGTHS = (50, 90, 180)  # minutes of a lesson, for which the notes plan
PLAN = re.compile(r"^- (\d+) min: ", re.M)
README = """# Autoencoders, measured: instructor's edition

**Not to be published: `answers/` holds the solutions of graded exercises.**

- `answers/`: the exercises with their solutions and what the checks say of them.
- `notes/`: for each chapter a time plan for 50, 90 and 180 minutes, what people get wrong, and
  questions to discuss.
- `slides/`: the figures of each chapter, one a slide; open the file in a browser, arrow keys turn.

{missing}
"""


def write(out: Path, root: Path = stored.ROOT) -> list[Path]:
    """Write the instructor's edition of the clone at `root` into `out`; return its notebooks.

    Raises CourseError when a notebook cannot be made plain, notes do not add up, or `out` holds
    something else.
    """
    book = markdown.read_book(root)
    chapters = stored.chapters(root / "notebooks")
    found = stored.exercises(root / "notebooks")
    with folder.edition(out, "instructor") as new:
        for path in found:
            nb = answers(path, student.Edition(book))
            folders.write_atomically(new / "answers" / path.name, nbformat.writes(nb) + "\n")
        without = [path.stem for path in chapters if not copy_notes(path, root, new, book)]
        for path in chapters:
            page = slides.of(student.read(path), path, book)
            folders.write_atomically(new / "slides" / f"{path.stem}.html", page)
        missing = f"No notes yet for: {', '.join(without)}." if without else ""
        readme = README.format(missing=missing).rstrip("\n") + "\n"
        folders.write_atomically(new / "README.md", readme)
    return [folders.located(out) / "answers" / path.name for path in found]


def answers(path: Path, edition: student.Edition) -> NotebookNode:
    """Return exercises with their solutions, in plain Markdown, as they were executed."""
    nb = student.read(path)
    cells: list[NotebookNode] = []
    for cell, part, exercise in exercises.parts(nb):
        made = student.plain_cell(cell, edition, path)
        if part == "statement":
            made.source = f"{made.source}\n\n{exercises.facts_line(exercise)}"
        if part == "hint":
            made.source = f"*Hint.* {made.source}"
        cells.append(made)
    made = nbformat.from_dict({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    made.metadata = nbformat.from_dict({
        "course": {"edition": "instructor", "notebook": path.stem},
        "kernelspec": KERNEL,
    })  # fmt: skip
    nbformat.validate(made)
    return made


def copy_notes(path: Path, root: Path, new: Path, book: markdown.Book) -> bool:
    """Copy the teaching notes of a chapter, roles resolved; tell whether there are any."""
    notes = root / NOTES / f"{path.stem}.md"
    if not folders.is_file(notes):
        return False
    text = folders.read_text(notes)
    if found := faults(text):
        raise CourseError(f"{notes}: {'; '.join(found)}")
    plain = markdown.plain(text, book, path)
    folders.write_atomically(new / "notes" / notes.name, plain + "\n")
    return True


def faults(text: str) -> list[str]:
    """Return what teaching notes lack: a plan that adds up for each length, and their sections."""
    found = []
    for minutes in LENGTHS:
        part = section(text, f"### {minutes} minutes")
        total = sum(int(number) for number in PLAN.findall(part))
        if total != minutes:
            found.append(f"the plan for {minutes} minutes adds up to {total}")
    for title in ("## What people get wrong", "## To discuss"):
        if len(re.findall(r"^- ", section(text, title), re.M)) < 3:
            found.append(f"three points or more are wanted under {title!r}")
    return found


def section(text: str, title: str) -> str:
    """Return what stands between a heading and the next one; "" where it is missing."""
    found = re.search(rf"^{re.escape(title)}$(.*?)(?=^#|\Z)", text, re.S | re.M)
    return found[1] if found else ""
