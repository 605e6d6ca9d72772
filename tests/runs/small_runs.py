"""Helpers of the tests of runs."""

import hashlib
from dataclasses import replace

import pytest

from course_utils import losses, train
from course_utils import runs as course_runs
from course_utils.runs.identity import key as key_of


def run(recipe, **options):
    """Train or load the recipe without a progress bar."""
    return course_runs.run(recipe, progress=False, **options)


def never(*args, **options):
    """Stand in for training where nothing may be trained."""
    pytest.fail("this was trained already")


def weights(made) -> str:
    """Return the hash of a run's file of weights: pytest would print megabytes of difference."""
    return hashlib.sha256((made.path / "weights.safetensors").read_bytes()).hexdigest()


def changes(recipe):
    """Return recipes that differ from the given one in a thing that changes the result."""
    quick, dataset = recipe.quick, recipe.data()
    return {
        "lr": replace(recipe, quick=replace(quick, lr=1e-3)),
        "epochs": replace(recipe, quick=replace(quick, epochs=4)),
        "precision": replace(recipe, quick=replace(quick, precision="bf16")),
        "schedule": replace(recipe, quick=replace(quick, schedule="onecycle")),
        "width": replace(recipe, model_args={"widths": (17,), "output": "tanh"}),
        "loss": replace(recipe, loss=losses.reconstruction),
        "loss_args": replace(recipe, loss=losses.sparse_reconstruction, loss_args={"weight": 2.0}),
        "its weight": replace(recipe, loss=losses.sparse_reconstruction, loss_args={"weight": 3.0}),
        "data": replace(recipe, data=lambda profile=None: replace(dataset, sha256="0" * 64)),
        "data name": replace(recipe, data=lambda profile=None: replace(dataset, name="other")),
    }


def key(recipe, seed=0) -> str:
    """Return the hash of a run of the recipe."""
    return key_of(course_runs.describe(recipe, seed, "quick", recipe.data()))


def interrupted(recipe, out, after, **options):
    """Stop a run of the recipe by Ctrl-C in the middle of the epoch behind `after` whole ones."""
    steps = []

    def loss(model, x, y):
        if model.training:
            steps.append(1)
            if len(steps) == 5 * after + 3:
                raise KeyboardInterrupt
        return recipe.loss(model, x, y)

    loss.__name__ = recipe.loss.__name__
    with pytest.raises(train.Interrupted, match="--resume" if after else "nothing is kept"):
        run(replace(recipe, loss=loss), out=out, **options)
