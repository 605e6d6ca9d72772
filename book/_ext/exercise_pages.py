"""Exercises on their page: facts below the heading, hints and solutions folded.

A notebook of exercises is written once and read by other editions too, so its cells hold the plain
text of a hint or a solution and a tag that says which it is (CONTRIBUTING.md, "Exercises"). This
changes the notebook that the page is made of, as it is read, and no file. Solutions of graded
exercises are left out.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # the clone

import nbformat

from course_tools.chapters.exercises import begun, facts_line

FOLDER = "notebooks/exercises/"
FENCE = ":" * 7  # longer than any inside
OURS = "application/vnd.course."
GRADED = "This exercise is graded: its solution is your instructor's."


def fold(app, docname: str, content: list[str]) -> None:
    """Fold the hints and solutions of an exercise notebook that is being read."""
    if docname.startswith(FOLDER) and content[0].lstrip().startswith("{"):
        nb = json.loads(content[0])
        nb["cells"] = list(folded(nb["cells"]))
        content[0] = json.dumps(nb)


def folded(cells: list[dict]):
    """Yield the cells as the page shows them; the cells of one solution become one."""
    graded, hints, solution = False, 0, []
    for cell in [*cells, {}]:
        tags = cell.get("metadata", {}).get("tags", [])
        if "solution" in tags:
            solution.append(cell)
            continue
        if solution:
            yield solution_cell(solution, graded)
            solution = []
        if "statement" in tags:
            graded, hints = "graded" in tags, 0
            yield with_facts(cell)
        elif "hint" in tags:
            hints += 1
            yield admonition(cell, f"Hint {hints}", "hint", text(cell))
        elif cell:
            yield without_data(cell)


def without_data(cell: dict) -> dict:
    """Return a cell without what its checks tell a grader: a page has no use for it."""
    outputs = [
        output
        | {
            "data": {
                kind: content
                for kind, content in output["data"].items()
                if not kind.startswith(OURS)
            }
        }
        if "data" in output
        else output
        for output in cell.get("outputs", [])
    ]
    return cell | {"outputs": outputs} if outputs else cell


def text(cell: dict) -> str:
    """Return the source of a cell."""
    return "".join(cell["source"])


def with_facts(cell: dict) -> dict:
    """Return a statement with kind, difficulty, minutes and goal below its heading."""
    heading, _, rest = text(cell).partition("\n")
    line = facts_line(begun(nbformat.from_dict(cell | {"source": text(cell)})))
    return cell | {"source": f"{heading}\n\n{line}\n{rest}"}


def solution_cell(cells: list[dict], graded: bool) -> dict:
    """Return one folded cell for the code of a solution and what explains it."""
    if graded:
        return markdown(cells[0], GRADED)
    parts = [
        f"```python\n{text(cell)}\n```" if cell["cell_type"] == "code" else text(cell)
        for cell in cells
    ]
    return admonition(cells[0], "Solution", "seealso", "\n\n".join(parts))


def admonition(cell: dict, title: str, kind: str, words: str) -> dict:
    """Return a Markdown cell that unfolds."""
    source = f"{FENCE}{{admonition}} {title}\n:class: {kind} dropdown\n\n{words}\n{FENCE}"
    return markdown(cell, source)


def markdown(cell: dict, source: str) -> dict:
    """Return a Markdown cell with the identity of another."""
    return {"cell_type": "markdown", "id": cell["id"], "metadata": {}, "source": source}


def setup(app):
    """Register with Sphinx."""
    app.connect("source-read", fold)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
