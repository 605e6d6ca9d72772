"""Chapter 01: vanilla autoencoders."""

from __future__ import annotations

from dataclasses import replace

from course_utils import losses
from course_utils.models import Autoencoder
from course_utils.recipes.base import Recipe, Settings

SOURCE_000 = Settings(epochs=100, batch_size=128, lr=1e-3, seeds=5)
SOURCE_001 = Settings(epochs=10, batch_size=64, lr=5e-3, seeds=5)
QUICK = Settings(epochs=2, batch_size=128, lr=3e-3)

RECIPES = [
    Recipe(
        name="ae",
        says="784-128-64-12-3 with ReLU, pixels in [-1, 1], as source 000",
        model=Autoencoder,
        model_args={"activation": "relu", "output": "tanh"},
        loss=losses.reconstruction_pm1,
        full=SOURCE_000,
        quick=QUICK,
    ),
    Recipe(
        name="ae_tanh",
        says="the same widths with tanh, pixels in [0, 1], as source 001",
        model=Autoencoder,
        model_args={"activation": "tanh"},
        loss=losses.reconstruction,
        full=SOURCE_001,
        quick=replace(SOURCE_001, epochs=2, seeds=1),
    ),
]
