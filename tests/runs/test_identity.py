"""A run is known by everything that its result depends on, and by nothing else."""

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from commands import tiny_recipe
from small_runs import changes, key, run

from course_utils import data, losses, recipes
from course_utils import runs as course_runs
from course_utils.errors import CourseError
from course_utils.runs.identity import key as key_of


def test_whatever_changes_the_result_changes_the_key(recipe):
    keys = [key(recipe), key(recipe, seed=1), *map(key, changes(recipe).values())]
    assert len(set(keys)) == len(keys)


def test_what_changes_no_result_does_not(recipe):
    same = replace(recipe, says="another sentence", full=replace(recipe.full, epochs=1),
                   seeds=9)  # fmt: skip
    assert key(same) == key(recipe)


def test_keys_are_those_of_the_runs_that_are_kept():
    """A change of the description loses every run that anybody has: here it would show."""
    mnist = data.Dataset("mnist", "real", "0" * 64, None, None, None, ())
    known = {"ae": "5ecd88ca70", "vae_mse": "7cd9c2b3d7"}
    found = {n: key_of(course_runs.describe(recipes.get(n), 3, "full", mnist)) for n in known}
    assert found == known


# Arguments that come back from JSON as something else: such a run once refused itself.
ODD = {
    "a tuple": {"widths": (16, 8)},
    "tuples in lists": {"widths": [16, 8], "more": [(1, 2), ()]},
}


def odd_recipe(loss_args):
    """Return a recipe whose loss takes anything."""

    def loss(model, x, y, **anything):
        return losses.reconstruction(model, x, y)

    sgd = recipes.Settings(2, 100, 1e-3, optimizer="adam", optimizer_args={"betas": (0.8, 0.99)})
    return tiny_recipe(loss=loss, loss_args=loss_args, quick=sgd)


@pytest.mark.parametrize("what", ODD)
def test_a_description_equals_its_own_round_trip(what, runs):
    recipe = odd_recipe(ODD[what])
    description = course_runs.describe(recipe, 0, "quick", recipe.data())
    assert json.loads(json.dumps(description)) == description
    made = run(recipe)
    assert run(recipe).metrics == made.metrics  # found again, and believed


def test_a_tuple_is_known_as_a_list_is():
    assert key(odd_recipe({"a": (1, 2)})) == key(odd_recipe({"a": [1, 2]}))


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (torch.tensor(1.0), r"loss_args\.a is tensor\(1\.\) \(Tensor\).*float\(x\)"),
        (np.float64(0.5), r"loss_args\.a is .*\(float64\)"),
        (math.nan, "loss_args.a is nan"),
        (math.inf, "loss_args.a is inf"),
        (losses.squared_error, "loss_args.a is <function squared_error"),
        ({1: "one"}, "loss_args.a has the key 1; keys of arguments are strings"),
        ([1, {2, 3}], r"loss_args\.a is \{2, 3\} \(set\)"),
    ],
)
def test_what_json_cannot_hold_is_refused_in_words(value, says, runs):
    with pytest.raises(CourseError, match=says):
        run(odd_recipe({"a": value}))
    assert not runs.exists()  # before anything is written
