"""The recipes of the book: known by name, and fit to be trained."""

import json
import math
from dataclasses import replace
from types import SimpleNamespace

import pytest

from course_utils import data, recipes, runtime
from course_utils import runs as course_runs
from course_utils.errors import CourseError
from course_utils.recipes.recipe import make_optimizer, make_schedule


def test_names_are_unique_and_known():
    assert len(recipes.names()) == len(set(recipes.names())) == len(recipes.RECIPES)
    assert all(recipes.get(name).name == name for name in recipes.names())


def test_an_unknown_recipe_is_refused():
    near = r"'aee' is unknown; did you mean ae.*\? `course recipes` lists"
    with pytest.raises(CourseError, match=near):
        recipes.run("aee")


@pytest.mark.parametrize("name", recipes.names())
def test_every_recipe_can_take_a_step(name, monkeypatch):
    """Model, loss and data fit together, the settings name things that exist, a run can be told."""
    recipe = recipes.get(name)
    fresh = lambda first, *_, **__: SimpleNamespace(model=recipes.get(first).build())  # noqa: E731
    monkeypatch.setattr(course_runs, "run", fresh)  # where a recipe goes on from another one
    runtime.seed_everything(0)
    model = recipe.build()
    dataset = recipe.data(profile="quick")
    if recipe.loss is None:  # it says itself what an epoch is
        few = {name: data.batches(dataset.train.head(4), 4) for name in ("train", "val", "test")}
        loop = {"checkpoint": None, "resume": False, "on_epoch": None}
        loop |= {"run": {"seed": 0, "profile": "quick"}}
        once = replace(recipe.quick, epochs=1, precision="float32")
        (row,) = recipe.fit(recipe, once, model, few, progress=False, **loop)
        assert all(math.isfinite(value) for value in row.values())
    else:
        terms = recipe.loss_fn(model, data.as_float(dataset.train.x[:4]), dataset.train.y[:4])
        assert terms["loss"].isfinite()
        terms["loss"].backward()
    for settings in (recipe.quick, recipe.full):
        optimizer = make_optimizer(model, settings)
        optimizer.step()
        schedule = make_schedule(optimizer, settings, 10)
        assert (schedule is None) == (settings.schedule == "constant")
    assert recipe.quick.epochs <= recipe.full.epochs and recipe.says
    json.dumps(course_runs.describe(recipe, 0, "quick", dataset))
