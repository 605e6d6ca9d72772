"""Numbers of sweeps are kept with the course and put back where a notebook looks for them."""

import json

import pytest

from course_tools.chapters import numbers
from course_utils import sweeps
from course_utils.errors import CourseError

ONE = {"info": {"metrics": {"test_accuracy": 0.5}}, "history": []}


@pytest.fixture
def room(runs):
    """Return the folder in which sweeps keep numbers, with two of `toy` and one of `other`."""
    folder = runs / sweeps.FOLDER
    folder.mkdir(parents=True)
    for name in ("toy-full-s0-aa", "toy-full-s1-bb", "toy-quick-s0-cc", "other-full-s0-dd"):
        (folder / f"{name}.json").write_text(json.dumps(ONE), encoding="utf-8")
    return folder


def test_kept_numbers_are_put_back(room, tmp_path):
    assert numbers.keep("99", ["toy"], tmp_path) == 2
    kept = json.loads((tmp_path / "99.json").read_text(encoding="utf-8"))
    assert sorted(kept) == ["toy-full-s0-aa", "toy-full-s1-bb"]
    (room / "toy-full-s0-aa.json").unlink()
    (room / "toy-full-s1-bb.json").write_text("mine", encoding="utf-8")
    assert numbers.restore(tmp_path) == 1
    assert json.loads((room / "toy-full-s0-aa.json").read_text(encoding="utf-8")) == ONE
    assert (room / "toy-full-s1-bb.json").read_text(encoding="utf-8") == "mine"  # not touched


def test_a_recipe_without_numbers_is_named(room, tmp_path):
    with pytest.raises(CourseError, match="'mlp_cov'"):
        numbers.keep("99", ["toy", "mlp_cov"], tmp_path)
    assert not list(tmp_path.glob("*.json"))


@pytest.mark.parametrize("content", ["{", "[]", '{"a": 1}', '{"a": {}}'])
def test_a_foreign_file_is_refused_before_anything_is_written(room, tmp_path, content):
    before = sorted(room.iterdir())
    (tmp_path / "98.json").write_text('{"toy-full-s2-ee": {"info": {}}}', encoding="utf-8")
    (tmp_path / "99.json").write_text(content, encoding="utf-8")
    with pytest.raises(CourseError):
        numbers.restore(tmp_path)
    assert sorted(room.iterdir()) == before


def test_status(room, capsys):
    assert numbers.main(["--keep", "99", "nobody"]) == 2
    assert "no numbers of 'nobody'" in capsys.readouterr().err
