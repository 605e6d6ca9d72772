"""Sweeps keep the numbers of a run and nothing else, and find them again."""

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest

from course_utils import provenance, recipes, runs, sweeps
from course_utils.errors import CourseError
from course_utils.runs import folder


@pytest.fixture
def tiny(digits):
    """Return a recipe that trains in a moment."""
    small = replace(digits, train=digits.train.head(200), val=digits.val.head(100),
                    test=digits.test.head(100))  # fmt: skip
    return recipes.get("mlp").variant(model_args={"widths": (8,)}, data=lambda profile=None: small)


def never(*args, **options):
    """Stand in for training where nothing may be trained."""
    pytest.fail("this was trained already")


def files(folder):
    """Return the names of everything below a folder."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_numbers_are_those_of_the_run(tiny, runs, tmp_path):
    found = sweeps.numbers(tiny, seed=2)
    from course_utils import runs as all_runs

    made = all_runs.run(tiny, 2, out=tmp_path / "run", progress=False)
    assert found.metrics == made.metrics and found.history == made.history
    assert (found.seed, found.profile, found.recipe) == (2, "quick", tiny)


def test_numbers_are_kept_without_weights(tiny, runs, monkeypatch):
    first = sweeps.numbers(tiny)
    assert len(files(runs)) == 1 and files(runs)[0].startswith("numbers/mlp-quick-s0-")
    monkeypatch.setattr("course_utils.runs.run", never)
    again = sweeps.numbers(tiny)
    assert again.metrics == first.metrics and again.history == first.history
    assert again.info["device"] and again.info["settings"]["epochs"] == len(again.history)


def test_a_run_that_is_kept_whole_is_used(tiny, runs, monkeypatch):
    from course_utils import runs as all_runs

    made = all_runs.run(tiny, progress=False)
    monkeypatch.setattr("course_utils.runs.driver._train", never)
    assert sweeps.numbers(tiny).metrics == made.metrics
    assert not (runs / sweeps.FOLDER).exists()


def test_the_claims_are_told_which_numbers_are_used(tiny, runs):
    made = sweeps.numbers(tiny)
    provenance.forget()
    sweeps.numbers(tiny)
    (kept,) = provenance.runs_used("mlp")
    assert (kept.seed, kept.device, kept.stale) == (0, made.info["device"], None)


def test_a_stale_sweep_is_said(tiny, runs, capfd):
    sweeps.numbers(tiny)
    (path,) = (runs / sweeps.FOLDER).glob("*.json")
    path.write_text(re.sub(r'"code": "\w+"', '"code": "0123456789abcdef"', path.read_text()))
    folder.say_once.cache_clear()
    provenance.forget()
    sweeps.numbers(tiny)
    assert provenance.runs_used("mlp")[0].stale and "are stale" in capfd.readouterr().err
    provenance.forget()


def test_other_settings_are_other_numbers(tiny, runs):
    sweeps.numbers(tiny)
    sweeps.numbers(tiny.variant(lr=0.1))
    sweeps.numbers(tiny, seed=1)
    assert len(files(runs)) == 3


def test_the_recipe_says_how_many_seeds(tiny, runs, monkeypatch):
    asked = []
    monkeypatch.setattr(sweeps, "numbers", lambda recipe, seed, **_: asked.append(seed))
    three = replace(tiny, seeds=3)
    for n, profile in ((None, "full"), (2, "full"), (None, "quick")):
        sweeps.numbers_of_seeds(three, n, profile=profile)
    assert asked == [0, 1, 2, 0, 1, 0]


def test_over_and_rows(tiny, runs):
    found = sweeps.over({"a": tiny, "b": tiny.variant(lr=0.01)}, 3)
    assert [len(one) for one in found.values()] == [1, 1]  # the quick profile makes one run
    table = sweeps.rows(found, against="a")
    assert [row["network"] for row in table] == ["a", "b"]
    assert table[0]["difference in points"] == "+0.00" and table[0]["deviation"] == "–"
    gap = 100 * (sweeps.mean(found["b"]) - sweeps.mean(found["a"]))
    assert table[1]["difference in points"] == f"{gap:+.2f}"
    assert "difference in points" not in sweeps.rows(found)[0]


def of(recipe, *accuracies):
    """Return numbers of runs that read so many images."""
    return [
        sweeps.Numbers(Path("run"), recipe, i, "full", {"test_accuracy": a}, [], {})
        for i, a in enumerate(accuracies)
    ]


def test_rows_tell_mean_and_deviation(tiny):
    rows = sweeps.rows({"a": of(tiny, 0.9, 0.92, 0.94), "b": of(tiny, 0.95)}, against="a")
    assert rows[0]["test accuracy"] == "92.00%" and rows[0]["deviation"] == "2.00%"
    assert rows[1]["difference in points"] == "+3.00"


def test_shown_are_mean_and_deviation(tiny):
    """The deviation of 90, 92 and 94 about their mean, two degrees of freedom: 2."""
    assert sweeps.shown(of(tiny, 0.9, 0.92, 0.94)) == "92.00% ± 2.00%"
    assert sweeps.shown(iter(of(tiny, 0.95))) == "95.00%"
    with pytest.raises(CourseError, match="no runs"):
        sweeps.shown([])


@pytest.mark.parametrize("damage", ["", "{", '{"info": {}}', "[]", '{"info": 1, "history": 2}'])
def test_a_damaged_file_is_told_in_words(damage, tiny, runs):
    sweeps.numbers(tiny)
    path = runs / files(runs)[0]
    path.write_text(damage)
    with pytest.raises(CourseError, match="delete it to train again"):
        sweeps.numbers(tiny)


def test_the_numbers_of_another_run_are_refused(tiny, runs):
    sweeps.numbers(tiny)
    path = runs / files(runs)[0]
    content = json.loads(path.read_text())
    content["info"]["seed"] = 5
    path.write_text(json.dumps(content))
    with pytest.raises(CourseError, match="another seed"):
        sweeps.numbers(tiny)


def test_a_training_that_fails_leaves_nothing(tiny, runs):
    with pytest.raises(CourseError):
        sweeps.numbers(tiny.variant(lr=1e30))
    assert not files(runs)


def test_wrong_arguments(tiny, runs):
    with pytest.raises(CourseError, match="number of seeds"):
        sweeps.numbers_of_seeds(tiny, 0)
    with pytest.raises(CourseError, match="unknown"):
        sweeps.numbers("mlpp")
    with pytest.raises(CourseError, match="no runs"):
        sweeps.mean([])
    with pytest.raises(CourseError, match="none of the variants"):
        sweeps.rows({"a": []}, against="b")


def test_runs_module_is_what_it_was():
    """The name `runs` of a fixture hides the module in most tests above."""
    assert callable(runs.run)
