"""The source edition of nbgrader; where nbgrader is installed, what it makes of it.

It is not in the course's locks: install it into an environment of its own, with the course, and
put its command on the path, or name it in COURSE_NBGRADER.
"""

import os
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
import sample

from course_tools.editions import nbgrader_source

NBGRADER = os.environ.get("COURSE_NBGRADER") or shutil.which("nbgrader")
installed = pytest.mark.skipif(NBGRADER is None, reason="nbgrader is not installed")


@pytest.fixture
def course(clone, tmp_path):
    """Return a course folder of nbgrader with the sample as its assignment."""
    nbgrader_source.write(tmp_path / "course", clone)
    return tmp_path / "course"


def source(course):
    """Return the source notebook of the sample."""
    path = course / "source" / sample.NAME / f"{sample.NAME}.ipynb"
    return nbformat.read(path, as_version=4)


def test_answers_are_marked_and_checks_have_points(course):
    cells = {cell.metadata.nbgrader.grade_id: cell for cell in source(course).cells}
    answer, check = cells["double-answer"], cells["double-check"]
    assert answer.metadata.nbgrader.solution and not answer.metadata.nbgrader.locked
    stub, _, solution = answer.source.partition(nbgrader_source.BEGIN)
    assert stub.strip() == sample.STARTER.format("double")
    assert sample.SOLUTIONS["double"] in solution.partition(nbgrader_source.END)[0]
    assert check.metadata.nbgrader.grade and check.metadata.nbgrader.points == 1
    assert check.metadata.nbgrader.locked and not check.metadata.nbgrader.solution
    by_hand = cells["sketch-answer"]
    assert by_hand.cell_type == "markdown" and by_hand.metadata.nbgrader.grade
    assert len(cells) == len(source(course).cells)  # each name once


def nbgrader(course, *words) -> str:
    """Run nbgrader in a course folder; return what it said."""
    folder = Path(NBGRADER).absolute().parent
    env = {**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
           "PYTHONPATH": str(sample.STANDIN), "HOME": str(course.parent)}  # fmt: skip
    done = subprocess.run([NBGRADER, *words], cwd=course, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


SCORES = """
from nbgrader.api import Gradebook
with Gradebook("sqlite:///gradebook.db") as book:
    for one in book.submission_dicts("90_sample"):
        print(one["student"], one["code_score"], one["max_code_score"])
"""


@pytest.mark.slow
@installed
def test_nbgrader_hands_out_and_grades(course):
    nbgrader(course, "generate_assignment", sample.NAME, "--create")
    release = course / "release" / sample.NAME / f"{sample.NAME}.ipynb"
    nb = nbformat.read(release, as_version=4)
    text = "\n".join(cell.source for cell in nb.cells)
    assert "number + number" not in text and "BEGIN SOLUTION" not in text
    assert sample.STARTER.format("double") in text and "It looks like a cup" not in text
    answers = {"ada": sample.SOLUTIONS, "ben": {"double": sample.SOLUTIONS["double"]}}
    for student, given in answers.items():
        handed_in = nbformat.from_dict(nb)
        for cell in handed_in.cells:
            name = cell.metadata.nbgrader.grade_id.removesuffix("-answer")
            if cell.metadata.nbgrader.solution and name in given:
                cell.source = given[name]
        target = course / "submitted" / student / sample.NAME / f"{sample.NAME}.ipynb"
        target.parent.mkdir(parents=True)
        nbformat.write(handed_in, target)
        nb = nbformat.read(release, as_version=4)
    nbgrader(course, "autograde", sample.NAME, "--create")
    python = Path(NBGRADER).with_name("python")
    told = subprocess.run([python, "-c", SCORES], cwd=course, capture_output=True, text=True)
    assert told.stdout.splitlines() == ["ada 3.0 3.0", "ben 1.0 3.0"], told.stderr
