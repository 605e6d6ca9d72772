"""The parts of an exercise notebook, and what is said of each exercise."""

from __future__ import annotations

from nbformat import NotebookNode

KINDS = ("warm-up", "implement", "bug hunt", "experiment", "explain", "draw")
PARTS = ("statement", "hint", "starter", "solution", "check", "summary", "prediction")
FIELDS = {"name": str, "goal": str, "difficulty": int, "minutes": int, "kind": str}


def facts_line(exercise: dict) -> str:
    """Return the line below the heading of an exercise, in Markdown.

    Args:
        exercise: `metadata.exercise` of its statement.
    """
    kind = exercise["kind"].capitalize()
    return (
        f"*{kind} · difficulty {exercise['difficulty']} of 3 · about {exercise['minutes']} "
        f"minutes. You learn: {exercise['goal']}*"
    )


def part_of(cell: NotebookNode) -> str | None:
    """Return which part of an exercise a cell is, None for other cells."""
    return next((tag for tag in cell.metadata.get("tags", []) if tag in PARTS), None)


def exercises_of(nb: NotebookNode) -> list[list[NotebookNode]]:
    """Return the cells of each exercise: from its statement to the next, or to a heading."""
    found: list[list[NotebookNode]] = []
    inside = False
    for cell in nb.cells:
        part = part_of(cell)
        if part == "statement":
            found.append([])
            inside = True
        elif part is None and cell.cell_type == "markdown" and cell.source.startswith("## "):
            inside = False
        if inside and part in PARTS and part != "summary":
            found[-1].append(cell)
    return found


def faults(exercise: dict) -> list[str]:
    """Return what is wrong with the metadata of an exercise, in sentences."""
    missing = [f"{name} is missing" for name in FIELDS if name not in exercise]
    kinds = [
        f"{name} is {exercise[name]!r}, no {kind.__name__}"
        for name, kind in FIELDS.items()
        if name in exercise and not isinstance(exercise[name], kind)
    ]
    if missing or kinds:
        return missing + kinds
    wrong = [] if exercise["kind"] in KINDS else [f"kind is {exercise['kind']!r}"]
    if exercise["difficulty"] not in (1, 2, 3):
        wrong.append(f"difficulty is {exercise['difficulty']}, not 1, 2 or 3")
    return wrong
