"""Chapter 01: vanilla autoencoders."""

from __future__ import annotations

from dataclasses import replace

from course_utils import losses
from course_utils.data.derived import few
from course_utils.models import Autoencoder
from course_utils.recipes.recipe import Recipe, Settings

# The sources' settings. Both keep Adam's rate constant; source 001 takes the larger steps.
SOURCE_000 = Settings(epochs=100, batch_size=128, lr=1e-3)
SOURCE_001 = Settings(epochs=10, batch_size=64, lr=5e-3)
QUICK = Settings(epochs=5, batch_size=128, lr=5e-3, schedule="onecycle")

# Ours, for the small experiments: the rate rises and falls once over the run.
ONECYCLE = Settings(epochs=20, batch_size=128, lr=3e-3, schedule="onecycle")
# ... and for the wide networks: in bf16, twice as fast, where the processor has it.
WIDE = Settings(epochs=60, batch_size=256, lr=2e-3, optimizer="adamw", weight_decay=0.01,
                schedule="onecycle", precision="auto")  # fmt: skip
WIDE_QUICK = replace(WIDE, epochs=1, precision="float32")


def _recipe(name: str, says: str, full: Settings, quick: Settings = QUICK, **rest) -> Recipe:
    """Return a recipe for an `Autoencoder` trained on squared error, unless `rest` says more."""
    loss = rest.pop("loss", losses.reconstruction)
    return Recipe(name, says, Autoencoder, rest.pop("model_args"), loss, full, quick, **rest)


LONG = replace(WIDE, epochs=80, weight_decay=0.1)
WIDENED = {"widths": (1024, 512, 256), "activation": "gelu"}

LINEAR = replace(ONECYCLE, epochs=40, batch_size=512, lr=1e-2)
FLAT = {"widths": (), "activation": "none", "output": "linear"}

SHORT = replace(QUICK, epochs=2)
SPARSE = {"widths": (256,), "code_dim": 32}

RECIPES = [
    _recipe("ae", "784-128-64-12-3, ReLU, pixels in [-1, 1], as source 000", SOURCE_000, seeds=5,
            loss=losses.reconstruction_pm1,
            model_args={"activation": "relu", "output": "tanh"}),
    _recipe("ae_tanh", "the same widths with tanh, pixels in [0, 1], as source 001", SOURCE_001,
            seeds=3, data=few(2000), model_args={"activation": "tanh"}),
    _recipe("ae_bce", "the network `ae`, trained on binary cross-entropy",
            SOURCE_000, data=few(2000),
            loss=losses.cross_entropy_reconstruction, model_args={"activation": "relu"}),
    _recipe("ae_2d", "the network `ae` with a code of two numbers",
            SOURCE_000, data=few(2000),
            loss=losses.reconstruction_pm1,
            model_args={"activation": "relu", "output": "tanh", "code_dim": 2}),
    _recipe("ae_linear", "784-3-784 without activations: PCA by gradient descent",
            LINEAR, seeds=3, model_args=FLAT),
    _recipe("ae_linear_long", "the network `ae_linear`, trained for three times as many epochs",
            replace(LINEAR, epochs=120), seeds=3, data=few(2000), model_args=FLAT),
    _recipe("ae_copy", "784-1024-1024-1024-784: the code is wider than the image",
            replace(ONECYCLE, lr=1e-3), replace(QUICK, epochs=1, lr=1e-3), data=few(1000),
            model_args={"widths": (1024,), "code_dim": 1024}),
    _recipe("ae_sparse_0", "784-256-32, no penalty on the code", ONECYCLE, SHORT,
            data=few(2000), model_args=SPARSE),
    _recipe("ae_sparse_2", "784-256-32, L1 penalty of weight 1 on the code", ONECYCLE, SHORT,
            data=few(2000), model_args=SPARSE,
            loss=losses.sparse_reconstruction, loss_args={"weight": 1.0}),
    _recipe("ae_wide", "784-1024-512-256-3, GELU, trained on images with gaps",
            LONG, WIDE_QUICK, data=few(1000), model_args=WIDENED,
            loss=losses.masked_reconstruction, loss_args={"masked": 0.2}),
    _recipe("ae_wide_plain", "the network `ae_wide`, trained on whole images",
            LONG, WIDE_QUICK, data=few(1000), model_args=WIDENED),
    _recipe("ae_32", "784-1024-512-32, GELU: to set beside 32 principal components",
            replace(WIDE, epochs=20), WIDE_QUICK, seeds=3, data=few(1000),
            model_args={"widths": (1024, 512), "code_dim": 32, "activation": "gelu"}),
]  # fmt: skip
