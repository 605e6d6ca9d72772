"""The sample exercise notebook, its student edition, and a clone that holds it."""

import os

import pytest
import sample

from course_tools.editions import markdown, student


@pytest.fixture
def clone(tmp_path):
    """Return a folder like a clone, with the sample as its only exercise."""
    return sample.clone(tmp_path / "clone")


@pytest.fixture
def handed_out(clone):
    """Return the student edition of the sample."""
    edition = student.Edition(markdown.read_book(clone))
    return student.from_file(clone / "notebooks" / "exercises" / f"{sample.NAME}.ipynb", edition)


@pytest.fixture
def standin(monkeypatch):
    """Let processes import the stand-in for course_utils.check."""
    paths = [os.environ.get("PYTHONPATH", ""), str(sample.STANDIN)]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, paths)))
