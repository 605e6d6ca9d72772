"""What the tests of runs share: a recipe that trains in a moment, and a finished run of it."""

from dataclasses import replace

import pytest
from small_runs import run

from course_utils import recipes


@pytest.fixture
def recipe(digits):
    """Return a recipe that trains in a moment: `ae` on 600 images."""
    small = replace(digits, train=digits.train.head(600), val=digits.val.head(100),
                    test=digits.test.head(200))  # fmt: skip
    return replace(
        recipes.get("ae"),
        model_args={"widths": (16,), "output": "tanh"},
        quick=recipes.Settings(epochs=3, batch_size=128, lr=3e-3),
        data=lambda profile=None: small,
    )


@pytest.fixture
def finished(recipe, runs):
    """Return a finished run's folder."""
    return run(recipe).path
