"""How an exercise notebook is built: which cell is which part of which exercise.

The parts are tags of cells. An exercise begins at its `statement`, whose metadata say its name,
goal, kind, difficulty and minutes, and ends before the next statement or an untagged heading.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from nbformat import NotebookNode

from course_tools.chapters.cells import tags, tree
from course_utils.errors import CourseError

PARTS = ("statement", "hint", "starter", "solution", "check")
OUTSIDE = ("summary", "prediction")  # parts of the notebook, not of one exercise
GRADED = "graded"
KINDS = ("warm-up", "implement", "bug hunt", "experiment", "explain", "draw")
FIELDS = ("name", "goal", "kind", "difficulty", "minutes")  # what a statement's metadata say
HARDEST = 3
NO_CHECKS = ("begin", "summary")  # what else course_utils.check offers to call
TELLING = 12  # characters of a line that gives a solution away
HEADING = re.compile(r"^#{1,2} ")


@dataclass
class Exercise:
    """One exercise of a notebook.

    Attributes:
        name: of its check, "gaussian_kl".
        goal: what it teaches, as it follows on "You learn:".
        kind: one of KINDS.
        difficulty: 1, 2 or 3.
        minutes: that it takes.
        graded: its solution is for instructors alone.
        cells: part and cell, in the order of the notebook.
    """

    name: str
    goal: str
    kind: str
    difficulty: int
    minutes: int
    graded: bool
    cells: list[tuple[str, NotebookNode]] = field(default_factory=list, repr=False)

    def part(self, name: str) -> list[NotebookNode]:
        """Return the cells that are one of PARTS."""
        return [cell for part, cell in self.cells if part == name]

    @property
    def checked(self) -> bool:
        """Tell whether a check judges it; one that is drawn or explained has none."""
        return bool(self.part("check"))


def part_of(cell: NotebookNode) -> str | None:
    """Return which part a cell is, by its tags; None for text and code around the exercises.

    Raises CourseError for a cell with two parts, and for code where text belongs.
    """
    found = [part for part in (*PARTS, *OUTSIDE) if part in tags(cell)]
    if len(found) > 1:
        raise CourseError(f"a cell is tagged {' and '.join(found)}; a cell is one part: {at(cell)}")
    if not found:
        return None
    wanted = {"statement": "markdown", "hint": "markdown", "prediction": "markdown",
              "starter": "code", "check": "code", "summary": "code"}.get(found[0])  # fmt: skip
    if wanted and cell.cell_type != wanted:
        raise CourseError(f"a {found[0]} is a {wanted} cell, and this one is not: {at(cell)}")
    return found[0]


def at(cell: NotebookNode) -> str:
    """Return the beginning of a cell, to find it by."""
    return repr(cell.source.strip()[:60])


def parts(nb: NotebookNode) -> Iterator[tuple[NotebookNode, str | None, Exercise | None]]:
    """Yield each cell with its part and the exercise that it belongs to; None where it has none.

    Raises CourseError where a part stands outside an exercise, or a statement lacks its metadata.
    """
    current = None
    for cell in nb.cells:
        part = part_of(cell)
        if part == "statement":
            current = begun(cell)
        elif part in PARTS and current is None:
            raise CourseError(f"a {part} stands before any statement: {at(cell)}")
        elif part in OUTSIDE or (part is None and is_heading(cell)):
            current = None
        if part in PARTS:
            current.cells.append((part, cell))
        yield cell, part, current


def is_heading(cell: NotebookNode) -> bool:
    """Tell whether a cell opens a section of its notebook."""
    return cell.cell_type == "markdown" and HEADING.match(cell.source.lstrip()) is not None


def begun(cell: NotebookNode) -> Exercise:
    """Return the exercise that a statement opens; CourseError where its metadata are not right."""
    said = cell.metadata.get("exercise", {})
    missing = [key for key in FIELDS if key not in said]
    if missing:
        words = ", ".join(missing)
        raise CourseError(f"the metadata 'exercise' of a statement lack {words}: {at(cell)}")
    name, goal, kind, difficulty, minutes = (said[key] for key in FIELDS)
    if not (isinstance(name, str) and name.isidentifier()):
        raise CourseError(f"{name!r} is no name for an exercise: letters, digits and _: {at(cell)}")
    if not isinstance(goal, str):
        raise CourseError(f"the goal of {name} is words, not {goal!r}")
    if kind not in KINDS:
        raise CourseError(f"the kind of {name} is one of {', '.join(KINDS)}, not {kind!r}")
    if not (isinstance(difficulty, int) and 1 <= difficulty <= HARDEST):
        raise CourseError(f"the difficulty of {name} is 1, 2 or 3, not {difficulty!r}")
    if not (isinstance(minutes, int) and 0 < minutes <= 240):
        raise CourseError(f"the minutes of {name} are a whole number up to 240, not {minutes!r}")
    return Exercise(name, goal, kind, difficulty, minutes, GRADED in tags(cell))


def facts_line(exercise: Exercise) -> str:
    """Return what a learner wants to know before beginning, as a line of Markdown."""
    graded = " · graded" if exercise.graded else ""
    return (
        f"*{exercise.kind.capitalize()} · difficulty {exercise.difficulty} of {HARDEST} · about "
        f"{exercise.minutes} minutes{graded}. You learn: {exercise.goal.rstrip('.')}.*"
    )


def exercises(nb: NotebookNode) -> list[Exercise]:
    """Return the exercises of a notebook, in order; CourseError where they are not well formed."""
    found: list[Exercise] = []
    for _, _, exercise in parts(nb):
        if exercise is not None and exercise not in found:
            found.append(exercise)
    names = [exercise.name for exercise in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise CourseError(f"two exercises have the same name: {', '.join(twice)}")
    for exercise in found:
        complete(exercise)
    return found


def complete(exercise: Exercise) -> None:
    """Raise CourseError unless an exercise has its parts, once and in order."""
    order = [PARTS.index(part) for part, _ in exercise.cells]
    counts = {part: len(exercise.part(part)) for part in PARTS}
    if order != sorted(order):
        raise CourseError(f"{exercise.name}: the parts come in the order {', '.join(PARTS)}")
    if not 1 <= counts["hint"] <= 3:
        raise CourseError(f"{exercise.name} has {counts['hint']} hints; one to three are wanted")
    if not counts["solution"]:
        raise CourseError(f"{exercise.name} has no solution")
    if counts["check"] > 1 or (counts["check"] and counts["starter"] != 1):
        raise CourseError(f"{exercise.name}: one starter and one check are wanted")
    for cell in exercise.part("check"):
        if checked_names(cell) != [exercise.name]:
            raise CourseError(f"the check of {exercise.name} is check.{exercise.name}(...), once")


def checked_names(cell: NotebookNode) -> list[str]:
    """Return the NAMEs of the calls `check.NAME(...)` that a cell makes, in order."""
    return [name for name in check_calls(tree(cell)) if name not in NO_CHECKS]


def check_calls(node: ast.AST) -> list[str]:
    """Return what is called of `check`, below a node of a syntax tree."""
    return [
        each.func.attr
        for each in ast.walk(node)
        if isinstance(each, ast.Call)
        and isinstance(each.func, ast.Attribute)
        and isinstance(each.func.value, ast.Name)
        and each.func.value.id == "check"
    ]


# ------------------------------------------------------------------------------------ solutions


def telling_lines(exercise: Exercise) -> set[str]:
    """Return the lines of a solution that are its own: not in the starter, and not trivial."""
    given = {line.strip() for part, cell in exercise.cells if part != "solution"
             for line in cell.source.splitlines()}  # fmt: skip
    lines = [line for cell in exercise.part("solution") for line in cell.source.splitlines()]
    return {line.strip() for line in lines if len(line.strip()) >= TELLING} - given


def leaks(text: str, of: list[Exercise]) -> list[str]:
    """Return the names of the exercises whose solutions, or parts of them, stand in a text."""
    present = {line.strip() for line in text.splitlines()}
    return [exercise.name for exercise in of if telling_lines(exercise) & present]
