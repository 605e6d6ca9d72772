"""The chapter and the exercise that authors copy pass the tests themselves."""

import shutil

import nbformat
import pytest

from course_tools.chapters import execute, exercises, rules, stored
from course_tools.editions import markdown, student

TEMPLATES = stored.ROOT / "book" / "templates"
# a template is short, quick and on drawn data: these rules are for what is published
OF_SIZE = ("code cells, not", "nbval compares", "in the profile", "not on real data")


def read(name):
    """Return a template."""
    return nbformat.read(TEMPLATES / f"{name}.ipynb", as_version=4)


def test_the_exercise_is_well_formed_and_loses_its_solution():
    nb = read("exercise")
    one, two = exercises.exercises(nb)
    assert one.checked and not two.checked
    edition = student.Edition(markdown.read_book(stored.ROOT))
    made = student.of_exercises(nb, TEMPLATES / "exercise.ipynb", edition)
    assert not exercises.leaks("\n".join(cell.source for cell in made.cells), [one, two])


def executed(name, place):
    """Return a template, executed in quick as an author would, in a folder of its own."""
    place.mkdir(parents=True)
    path = place / "90_template.ipynb"
    shutil.copy(TEMPLATES / f"{name}.ipynb", path)
    nb = nbformat.read(path, as_version=4)
    stamp = execute.run_cells(nb, path, "quick", None)
    execute.clean(nb, stamp)
    nbformat.write(nb, path)
    return stored.read(path)


@pytest.mark.slow
def test_the_chapter_obeys_the_rules_but_those_of_size(tmp_path):
    found = rules.complaints(executed("chapter", tmp_path / "notebooks"))
    assert [each for each in found if not any(words in each for words in OF_SIZE)] == []


@pytest.mark.slow
def test_the_exercise_passes_its_check_and_the_rules(tmp_path):
    pytest.importorskip("course_utils.check")
    made = executed("exercise", tmp_path / "notebooks" / "exercises")
    assert rules.complaints(made) == []
    shown = [str(output) for cell in made.code for output in cell.outputs]
    assert any("right" in text for text in shown)
