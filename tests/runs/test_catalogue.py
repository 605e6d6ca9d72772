"""`course runs`: every kept run is listed with its state, and only what is the course's deleted."""

import os
import re

import pytest
from commands import course, refused, tiny_recipe
from small_runs import interrupted, run

from course_utils import folders, recipes
from course_utils import runs as course_runs
from course_utils.errors import CourseError
from course_utils.runs import catalogue


@pytest.fixture
def tiny(runs, monkeypatch):
    """Add a recipe that trains in no time; runs are kept in a folder of this test."""
    recipe = tiny_recipe()
    monkeypatch.setitem(recipes.RECIPES, "tiny", recipe)
    return recipe


def unfinished_of(recipe, seed):
    """Leave an unfinished run of a recipe where it belongs; return its folder."""
    folder = course_runs.plan(recipe, seed, "quick").folder
    interrupted(recipe, None, after=1, seed=seed)
    return folder


@pytest.fixture
def some(tiny, runs):
    """Make a finished, a stale, an unfinished and a damaged run, and what is none; return paths."""
    paths = {"finished": run(tiny, seed=0).path, "stale": run(tiny, seed=1).path}
    info = folders.read_json(paths["stale"] / "run.json")
    folders.write_json(paths["stale"] / "run.json", info | {"code": "0" * 16})
    paths["unfinished"] = unfinished_of(tiny, 2)
    paths["damaged"] = run(tiny, seed=3).path
    (paths["damaged"] / "run.json").write_text("{")
    (runs / "numbers").mkdir()
    (runs / "notes.txt").write_text("mine")
    return paths


def listed(*words) -> str:
    """Run `course runs`; return what it printed."""
    result = course("runs", *words)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_run_is_listed_with_size_age_and_state(some):
    lines = listed().splitlines()
    for state, path in some.items():
        (line,) = (line for line in lines if line.startswith(path.name))
        assert re.search(rf" 0\.\d MB +\d+ seconds?  {state}", line), line
    assert "other code" in lines[1] and "run.json is damaged" in lines[3]
    assert lines[-1].startswith("4 runs, ") and len(lines) == 5


def test_states_are_those_that_loading_finds(some, tiny):
    found = {kept.path: kept for kept in catalogue.kept_runs()}
    assert {found[path].state: path for path in some.values()} == some
    kept = found[some["stale"]]
    assert (kept.recipe, kept.profile, kept.seed) == ("tiny", "quick", 1)
    assert kept.size == sum(p.stat().st_size for p in some["stale"].iterdir())


def test_age_is_since_the_last_writing(some):
    for path in some["finished"].iterdir():
        os.utime(path, (0, path.stat().st_mtime - 3 * 86_400 - 5))
    assert catalogue.look_at(some["finished"]).age == pytest.approx(3 * 86_400, rel=0.01)
    ages = (1, 59, 119, 120, 7_200, 200_000)
    assert [catalogue.readable_age(age) for age in ages] == [
        "1 second", "59 seconds", "119 seconds", "2 minutes", "2 hours", "2 days",
    ]  # fmt: skip


def test_names_patterns_and_states_choose(some):
    assert listed("tiny").count("\n") == 5
    assert listed("ti*", "--stale").count("\n") == 2
    assert listed("--stale", "--damaged").count("\n") == 3
    assert listed(some["stale"].name).splitlines()[0].startswith(some["stale"].name)
    assert "'nothing-like-it'; `course runs` lists" in refused("runs", "nothing-like-it")


def test_delete_asks_and_deletes_what_was_chosen(some):
    no = course("runs", "--stale", "--delete", input="n\n")
    assert "Delete them?" in no.output and some["stale"].exists()
    assert "deleted 1 run\n" in listed("--stale", "--delete", "--yes")
    assert not some["stale"].exists() and all(
        path.exists() for state, path in some.items() if state != "stale"
    )
    listed("tiny", "--delete", "--yes")
    assert not any(path.exists() for path in some.values())


def test_delete_wants_to_know_which(some):
    assert "which runs" in refused("runs", "--delete", "--yes")
    assert all(path.exists() for path in some.values())


def test_what_is_not_the_courses_survives(some):
    theirs = some["finished"] / "notes.txt", some["finished"] / ".session.tmp"
    for path in theirs:
        path.write_text("mine")
    assert "holds what is not the course's" in listed(some["finished"].name, "--delete", "--yes")
    assert sorted(some["finished"].iterdir()) == sorted(theirs)


def test_a_run_in_training_is_listed_as_such_and_not_deleted(tiny):
    """Seen from another process: the training one, in this case."""
    seen = []

    def look(row):
        (kept,) = catalogue.kept_runs()
        seen.append(kept.state)
        with pytest.raises(CourseError, match="is being trained; stop that first"):
            catalogue.delete(kept)

    run(tiny, on_epoch=look)
    assert seen == ["in training"] * 3
    assert catalogue.kept_runs()[0].state == "finished"


def test_a_run_of_an_unknown_recipe_is_told_in_words(some, monkeypatch):
    monkeypatch.delitem(recipes.RECIPES, "tiny")
    assert "'tiny' is unknown" in catalogue.look_at(some["finished"]).remark


def test_no_runs_at_all(runs):
    assert listed().startswith("0 runs")
