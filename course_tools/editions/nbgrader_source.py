"""The exercises as source notebooks of nbgrader: BEGIN SOLUTION, END SOLUTION, and its metadata.

`nbgrader generate_assignment` makes the students' version of them, `nbgrader autograde` runs what
comes back. A check that is not right raises there (COURSE_CHECK_RAISES), and nowhere else.
"""

from __future__ import annotations

from pathlib import Path

import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell

from course_tools.chapters import exercises, stored
from course_tools.chapters.cells import KERNEL
from course_tools.chapters.exercises import Exercise
from course_tools.editions import folder, markdown, student
from course_utils import folders
from course_utils.errors import CourseError

BEGIN, END = "### BEGIN SOLUTION", "### END SOLUTION"
RAISING = """# nbgrader counts a check as failed when its cell raises: here, and only here, it does
import os

os.environ["COURSE_CHECK_RAISES"] = "1\""""
CONFIG = """# nbgrader reads this in the folder where it is called
c = get_config()
c.CourseDirectory.course_id = "autoencoders"
c.ClearSolutions.code_stub = {"python": "# write your answer in the lines above"}
c.ClearSolutions.text_stub = "Your answer"
c.ExecutePreprocessor.timeout = 300
"""


def write(out: Path, root: Path = stored.ROOT) -> list[Path]:
    """Write a course folder of nbgrader into `out`; return its source notebooks.

    Each notebook of exercises is an assignment: source/NAME/NAME.ipynb. Raises CourseError when
    there are no exercises, or `out` holds something else.
    """
    sources = stored.exercises(root / "notebooks")
    if not sources:
        raise CourseError(f"{root / 'notebooks'} holds no exercises")
    book = markdown.read_book(root)
    with folder.edition(out, "nbgrader") as new:
        for path in sources:
            nb = from_file(path, student.Edition(book))
            target = new / "source" / path.stem / path.name
            folders.write_atomically(target, nbformat.writes(nb) + "\n")
        (new / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    place = folders.located(out)
    return [place / "source" / path.stem / path.name for path in sources]


def from_file(path: Path, edition: student.Edition) -> NotebookNode:
    """Return the source notebook of nbgrader for the exercises stored at `path`."""
    nb = student.read(path)
    whole = {exercise.name: exercise for exercise in exercises.exercises(nb)}
    cells = [locked(new_code_cell(RAISING, id="course-raising"), "raising")]
    done: set[str] = set()
    for number, (cell, part, begun) in enumerate(exercises.parts(nb)):
        exercise = whole[begun.name] if begun else None
        if part == "solution":
            cells += manual(exercise, done)
            continue
        if part == "summary":
            continue
        made = student.plain_cell(cell, edition, path)
        made.metadata.pop("tags", None)
        if cell.cell_type == "code":
            made.outputs, made.execution_count = [], None
        if part == "starter":
            cells.append(answer(made, exercise))
        elif part == "check":
            cells.append(locked(made, f"{exercise.name}-check", points=exercise.difficulty))
        else:
            cells.append(locked(made, f"given-{number}"))
    made = nbformat.from_dict({"cells": cells, "metadata": {"kernelspec": KERNEL},
                               "nbformat": 4, "nbformat_minor": 5})  # fmt: skip
    nbformat.validate(made)
    return made


def answer(cell: NotebookNode, exercise: Exercise) -> NotebookNode:
    """Return the cell that a student answers in: the starter, and below it the solution."""
    solution = "\n\n".join(cell.source for cell in exercise_code(exercise))
    cell.source = f"{cell.source}\n\n{BEGIN}\n{solution}\n{END}"
    cell.metadata["nbgrader"] = marks(f"{exercise.name}-answer", solution=True, locked=False)
    return cell


def exercise_code(exercise: Exercise) -> list[NotebookNode]:
    """Return the code cells of a solution."""
    return [cell for cell in exercise.part("solution") if cell.cell_type == "code"]


def manual(exercise: Exercise, done: set[str]) -> list[NotebookNode]:
    """Return a cell for an answer that a person grades, for exercises without a check; once."""
    if exercise.checked or exercise.name in done:
        return []
    done.add(exercise.name)
    words = "\n\n".join(cell.source for cell in exercise.part("solution"))
    cell = new_markdown_cell(f"{BEGIN}\n{words}\n{END}", id=f"{exercise.name[:50]}-answer")
    cell.metadata["nbgrader"] = marks(f"{exercise.name}-answer", solution=True, locked=False,
                                      points=exercise.difficulty)  # fmt: skip
    return [cell]


def locked(cell: NotebookNode, name: str, points: int | None = None) -> NotebookNode:
    """Return a cell that students cannot change: text, given code, or a check with points."""
    cell.metadata["nbgrader"] = marks(name, solution=False, locked=True, points=points)
    return cell


def marks(name: str, solution: bool, locked: bool, points: int | None = None) -> dict:
    """Return nbgrader's metadata of a cell."""
    made = {"grade_id": name, "schema_version": 3, "task": False, "solution": solution,
            "locked": locked, "grade": points is not None}  # fmt: skip
    return made | ({"points": points} if points is not None else {})
