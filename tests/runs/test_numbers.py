"""Measurements kept beside a run: made once, made anew for other weights, never half or wrong."""

import json
import math
from types import SimpleNamespace

import pytest
from commands import tiny_recipe

from course_utils import folders, recipes
from course_utils.runs import measured
from course_utils.runs.folder import MEASURED
from course_utils.runtime import CourseError


@pytest.fixture
def run(tmp_path):
    """Return as much of a run as a measurement needs."""
    return SimpleNamespace(path=tmp_path, info={"weights_sha256": "a" * 64})


def never():
    """Stand in for a measurement where nothing may be measured."""
    pytest.fail("this was measured already")


def interrupted():
    """Stand in for a measurement that is stopped by Ctrl-C."""
    raise KeyboardInterrupt


def content(run) -> str:
    """Return what the file beside the run holds."""
    return (run.path / MEASURED).read_text()


def test_a_number_is_measured_once(run):
    calls = []
    first = measured(run, "bound, nats", lambda: calls.append(1) or 0.1 + 0.2)
    assert first == 0.1 + 0.2 and calls == [1]
    assert measured(run, "bound, nats", never) == first  # to the last bit


def test_numbers_live_side_by_side(run):
    measured(run, "of 100 codes", lambda: 1.5)
    assert measured(run, "of 5000 codes", lambda: 2) == 2.0
    assert measured(run, "of 100 codes", never) == 1.5
    assert measured(run, "of 5000 codes", never) == 2.0
    assert folders.read_json(run.path / MEASURED) == {
        "weights_sha256": "a" * 64,
        "values": {"of 100 codes": 1.5, "of 5000 codes": 2.0},
    }


def test_what_another_process_measured_meanwhile_is_not_lost(run):
    assert measured(run, "of 100 codes", lambda: measured(run, "of 5000 codes", lambda: 2)) == 2
    assert set(json.loads(content(run))["values"]) == {"of 100 codes", "of 5000 codes"}


def test_numbers_become_floats_of_python(run):
    import numpy as np
    import torch

    for number in (torch.tensor(1.5), np.float32(1.5), 1.5):
        found = measured(run, f"{type(number)}", lambda number=number: number)
        assert type(found) is float and found == 1.5


def test_other_weights_are_measured_anew(run):
    """And none of the old numbers is taken for theirs."""
    measured(run, "a", lambda: 1.0)
    measured(run, "b", lambda: 2.0)
    run.info["weights_sha256"] = "b" * 64
    assert measured(run, "a", lambda: 3.0) == 3.0
    kept = folders.read_json(run.path / MEASURED)
    assert kept == {"weights_sha256": "b" * 64, "values": {"a": 3.0}}
    assert measured(run, "b", lambda: 4.0) == 4.0


def test_without_the_file_it_is_measured_again(run):
    measured(run, "a", lambda: 1.0)
    (run.path / MEASURED).unlink()
    assert measured(run, "a", lambda: 2.0) == 2.0


@pytest.mark.parametrize(
    "damaged",
    [b"", b'{"weights_sha256": "aaa', b"\xff\xfe", b"[]", b"null", b"3",
     b'{"weights_sha256": "%s"}' % (b"a" * 64),
     b'{"weights_sha256": "%s", "values": 3}' % (b"a" * 64)],
)  # fmt: skip
def test_a_damaged_file_is_named_and_left_alone(run, damaged):
    (run.path / MEASURED).write_bytes(damaged)
    with pytest.raises(CourseError, match=r"measured\.json"):
        measured(run, "a", never)
    assert (run.path / MEASURED).read_bytes() == damaged


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_not_kept(run, value):
    with pytest.raises(CourseError, match=r"bound of .* came out as .*(nan|inf); it is not kept"):
        measured(run, "bound", lambda: value)
    assert list(run.path.iterdir()) == []
    measured(run, "a", lambda: 1.0)
    before = content(run)
    with pytest.raises(CourseError, match="not kept"):
        measured(run, "bound", lambda: value)
    assert content(run) == before and measured(run, "bound", lambda: 5.0) == 5.0


def test_a_measurement_that_fails_leaves_the_file_as_it_was(run):
    measured(run, "a", lambda: 1.0)
    before = content(run)
    with pytest.raises(ZeroDivisionError):
        measured(run, "b", lambda: 1 / 0)
    with pytest.raises(KeyboardInterrupt):
        measured(run, "b", interrupted)
    assert content(run) == before
    assert [p.name for p in run.path.iterdir()] == [MEASURED]


def test_a_full_disk_leaves_the_file_as_it_was(run, full_disk):
    measured(run, "a", lambda: 1.0)
    before = content(run)
    with full_disk(after=40), pytest.raises(CourseError, match=r"cannot write to .*measured\.json"):
        measured(run, "b", lambda: 2.0)
    assert content(run) == before
    assert [p.name for p in run.path.iterdir()] == [MEASURED]
    assert measured(run, "b", lambda: 2.0) == 2.0


def test_a_run_is_loaded_as_ever_with_its_measurements(runs, monkeypatch):
    recipe = tiny_recipe()
    monkeypatch.setitem(recipes.RECIPES, "tiny", recipe)
    made = recipes.run("tiny", progress=False)
    measured(made, "norm", lambda: sum(p.norm().item() for p in made.model.parameters()))
    again = recipes.run("tiny", progress=False)
    assert again.metrics == made.metrics
    assert measured(again, "norm", never) == measured(made, "norm", never)
    other = recipes.run(recipe, seed=1, progress=False)
    assert measured(other, "norm", lambda: 1.0) == 1.0  # of its own folder
