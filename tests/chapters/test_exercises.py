"""The stored exercises: their parts, and that notebook and package say the same."""

import ast
import re

import nbformat
import pytest

from course_tools.chapters import exercises, stored
from course_tools.chapters.cells import stdout, tags
from course_utils import check
from course_utils.check.exercise import source_of
from course_utils.check.verdict import VERDICT_TYPE

NOTEBOOKS = {path.stem: nbformat.read(path, 4) for path in stored.exercises()}
EXERCISES = [(stem, each) for stem, nb in NOTEBOOKS.items() for each in exercises.exercises(nb)]
IDS = [f"{stem[:2]}-{each.name}" for stem, each in EXERCISES]


@pytest.mark.parametrize("stem", NOTEBOOKS)
def test_a_notebook_has_every_kind_of_exercise(stem):
    nb = NOTEBOOKS[stem]
    known = exercises.exercises(nb)
    kinds = [exercise.kind for exercise in known]
    assert len(kinds) - kinds.count("warm-up") >= 6
    assert kinds.count("implement") >= 2
    assert "bug hunt" in kinds and "experiment" in kinds
    assert {"explain", "draw"} & set(kinds)
    last = nb.cells[-1]
    assert tags(last) == {"summary"} and last.source == "check.summary()"
    names = {exercise.name for exercise in known}
    began = re.search(r'check\.begin\("(\w+)", edition=(\d+)\)', nb.cells[1].source)
    assert int(began[2]) == check.EDITION
    assert {n for n, c in check.CHECKS.items() if c.chapter == began[1]} <= names


@pytest.mark.parametrize(("stem", "exercise"), EXERCISES, ids=IDS)
def test_an_exercise_is_complete(stem, exercise):
    (statement,) = exercise.part("statement")
    assert re.match(r"## \d+\. ", statement.source)
    assert 1 <= len(exercise.part("hint")) <= 3
    assert any(cell.cell_type == "markdown" for cell in exercise.part("solution"))
    order = [exercises.PARTS.index(part) for part, _ in exercise.cells]
    assert order == sorted(order)


@pytest.mark.parametrize(("stem", "exercise"), EXERCISES, ids=IDS)
def test_notebook_and_package_say_the_same(stem, exercise):
    if exercise.kind in ("explain", "draw"):
        assert not exercise.part("check")
        return
    found = check.CHECKS[exercise.name]
    assert [cell.source for cell in exercise.part("hint")] == list(found.hints)
    (starter,) = exercise.part("starter")
    assert [cell.source for cell in exercise.part("check")] == [
        f"check.{exercise.name}({exercise.name})"
    ]
    if not exercise.graded:
        code = [cell.source for cell in exercise.part("solution") if cell.cell_type == "code"]
        assert code == [source_of(found.reference)]
    written = ast.parse(starter.source).body[0]
    assert [argument.arg for argument in written.args.args] == list(found.takes)
    if found.starter is not None:
        handed_out = source_of(found.starter).replace(found.starter.__name__, found.name, 1)
        assert starter.source == handed_out


@pytest.mark.parametrize(("stem", "exercise"), EXERCISES, ids=IDS)
def test_the_starter_is_not_attempted_and_the_stored_verdict_is_right(stem, exercise):
    for cell in exercise.part("check"):
        found = check.CHECKS[exercise.name]
        space: dict = {}
        exec("import torch\nimport torch.nn.functional as F\nfrom torch import nn", space)
        exec(exercise.part("starter")[0].source, space)
        assert found.judge(space[found.name]).state == "not attempted"
        verdicts = [out.data[VERDICT_TYPE] for out in cell.outputs if VERDICT_TYPE in
                    out.get("data", {})]  # fmt: skip
        assert [verdict["state"] for verdict in verdicts] == ["right"]
        assert not any(out.output_type == "execute_result" for out in cell.outputs)
        assert stdout(cell) == (
            f"This check trains: it takes about {found.seconds} s.\n" if found.seconds else ""
        )
    for cell in exercise.part("solution"):
        assert not cell.get("outputs"), "the page folds source and explanation into one"
