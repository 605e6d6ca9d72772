"""A small exercise notebook in the format of the course, and answers to it, good and bad."""

from __future__ import annotations

import copy
import sys
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

STANDIN = Path(__file__).parent / "standin"
NAME = "90_sample"
GIVEN = "import math\nfrom standin_check import check"


def text(source: str, *tags: str, **metadata):
    """Return a text cell."""
    return new_markdown_cell(source, metadata={"tags": list(tags)} | metadata if tags else metadata)


def code(source: str, *tags: str):
    """Return a code cell."""
    return new_code_cell(source, metadata={"tags": list(tags)} if tags else {})


def exercise(name: str, starter: str, solution: str, graded: bool = False) -> list:
    """Return the cells of one exercise."""
    said = {"name": name, "goal": f"to write {name}.", "kind": "implement", "difficulty": 1,
            "minutes": 5}  # fmt: skip
    tags = ("statement", "graded") if graded else ("statement",)
    return [
        text(f"### {name.capitalize()}\n\nWrite a function. See {{term}}`number`.", *tags,
             exercise=said),
        text("Multiply.", "hint"),
        text(f"What is {name} of 3?", "hint"),
        code(starter, "starter"),
        code(solution, "solution"),
        text(f"Because of the definition of {name}, which explains itself.", "solution"),
        code(f"check.{name}(my_{name})", "check"),
    ]  # fmt: skip


STARTER = "def my_{0}(x):\n    return ...  # your answer"
SOLUTIONS = {
    "double": "def my_double(number):\n    return number + number",
    "square": "def my_square(number):\n    return number * number",
    "cube": "def my_cube(number):\n    return number * number * number",
}


def notebook():
    """Return the exercise notebook as its authors would write it; `cube` is graded."""
    cells = [text("# Sample exercises\n\nSee {claim}`ae.test:.1f`."), code(GIVEN)]
    for name, solution in SOLUTIONS.items():
        cells += exercise(name, STARTER.format(name), solution, graded=name == "cube")
    drawn = {"name": "sketch", "goal": "to draw.", "kind": "draw", "difficulty": 2, "minutes": 10}
    cells += [
        text("### Sketch\n\nDraw it.", "statement", exercise=drawn),
        text("On paper.", "hint"),
        text("It looks like a cup, or a bowl.", "solution"),
    ]
    cells += [text("## Summary"), code("check.summary()", "summary")]
    nb = new_notebook(cells=cells)
    for number, cell in enumerate(nb.cells):
        cell["id"] = f"sample-{number}"
    return nb


def clone(root: Path) -> Path:
    """Write what an edition is made of below `root`: a copy of the book's parts, and the sample."""
    here = Path(__file__).resolve().parents[2]
    (root / "notebooks" / "exercises").mkdir(parents=True)
    nbformat.write(notebook(), root / "notebooks" / "exercises" / f"{NAME}.ipynb")
    for name in ("book/claims", "book/references.bib", "book/teaching"):
        target = root / name
        target.parent.mkdir(exist_ok=True)
        if (here / name).exists():
            target.symlink_to(here / name)
    return root


# --------------------------------------------------------------------------------- what comes back


def answered(nb, **answers):
    """Return a student's notebook with answers in it, by exercise, executed as a learner would."""
    made = copy.deepcopy(nb)
    for cell in made.cells:
        said = cell.metadata.get("course", {})
        if said.get("part") == "starter" and said["exercise"] in answers:
            cell.source = answers[said["exercise"]]
    return executed(made)


def executed(nb):
    """Return a notebook with counts, and below its checks what a learner saw."""
    sys.path.insert(0, str(STANDIN))
    try:
        names: dict = {}
        count = 0
        for cell in nb.cells:
            if cell.cell_type != "code" or "setup" in cell.metadata.get("tags", []):
                continue
            count += 1
            cell.execution_count, cell.outputs = count, []
            run(cell, names)
    finally:
        sys.path.remove(str(STANDIN))
    return nb


def run(cell, names: dict) -> None:
    """Run a cell of an honest submission here; keep the verdict that it shows."""
    if not cell.source.startswith("check."):
        try:
            exec(cell.source, names)
        except Exception as error:
            cell.outputs = [new_output("error", ename=type(error).__name__, evalue=str(error),
                                       traceback=[])]  # fmt: skip
        return
    try:
        verdict = eval(cell.source, names)
    except Exception:
        return
    if verdict is not None:
        data = verdict._repr_mimebundle_()
        cell.outputs = [new_output("execute_result", data=data,
                                   execution_count=cell.execution_count)]  # fmt: skip


def part(nb, name: str, which: str):
    """Return the first cell that is a part of an exercise."""
    return next(cell for cell in nb.cells if cell.metadata.get("course", {}) ==
                {"exercise": name, "part": which})  # fmt: skip


def twelve(nb) -> dict[str, object]:
    """Return twelve submissions by the name of their student: notebooks, or the bytes of a file.

    Args:
        nb: the student edition of the sample.
    """
    good = answered(nb, **SOLUTIONS)
    wrong = "def my_square(x):\n    return 2 * x"
    found = {"ada": good, "ben": answered(nb, double=SOLUTIONS["double"], square=wrong)}
    found["cleo"] = nb  # never touched, never executed
    hangs = answered(nb, **SOLUTIONS)
    part(hangs, "square", "starter").source = (
        "while True:\n    try:\n        while True:\n            pass\n    except BaseException:\n"
        "        pass"
    )
    found["dora-hangs"] = hangs
    crashes = answered(nb, **SOLUTIONS)
    part(crashes, "square", "starter").source = "import os\nos.kill(os.getpid(), 9)"
    found["emil-crashes"] = crashes
    lacks = answered(nb, **SOLUTIONS)
    lacks.cells = [
        c for c in lacks.cells if c.metadata.get("course", {}).get("exercise") != "square"
    ]
    found["finn-lacks"] = lacks
    doubles = answered(nb, **SOLUTIONS)
    doubles.cells += [copy.deepcopy(part(doubles, "double", "check")),
                      code("def my_double(x):\n    return 3 * x"),
                      copy.deepcopy(part(doubles, "double", "check"))]  # fmt: skip
    found["gita-doubles"] = doubles
    splits = answered(nb, double=SOLUTIONS["double"], cube=SOLUTIONS["cube"])
    place = splits.cells.index(part(splits, "square", "starter"))
    splits.cells[place : place + 1] = [
        code("def times(x, y):\n    return x * y"),
        code("def my_square(x):\n    return times(x, x)\n\ncheck.square(my_square)"),
    ]
    found["hugo-splits"] = splits
    fakes = answered(nb, double=SOLUTIONS["double"])
    part(fakes, "square", "starter").source = (
        "class Fake:\n    passed, state, sentence = True, 'right', 'as it should be'\n"
        "check.square = lambda answer: Fake()\nmy_square = None"
    )
    part(fakes, "square", "check").outputs = part(good, "square", "check").outputs
    part(fakes, "cube", "check").source = "print('✓ as it should be')"
    part(fakes, "cube", "check").outputs = [new_output("stream", text="✓ as it should be\n")]
    found["ivan-fakes"] = fakes
    floods = answered(nb, **SOLUTIONS)
    part(floods, "square", "starter").source = "while True:\n    print('x' * 10_000)"
    found["jana-floods"] = floods
    hungry = answered(nb, **SOLUTIONS)
    part(hungry, "square", "starter").source = "hoard = bytearray(40 * 2**30)"
    found["kofi-hoards"] = hungry
    found["lena-damaged"] = b'{"cells": [{"cell_type": "code", "sou'
    return found


def hand_in(place: Path, found: dict) -> None:
    """Write submissions as a folder for each student."""
    for student, nb in found.items():
        path = place / student / f"{NAME}.ipynb"
        path.parent.mkdir(parents=True)
        content = nb if isinstance(nb, bytes) else nbformat.writes(nb).encode()
        path.write_bytes(content)
