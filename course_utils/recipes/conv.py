"""Chapter 02: convolutional autoencoders, a tutorial's and what one change after another makes."""

from __future__ import annotations

from dataclasses import replace

from course_utils import losses
from course_utils.data.derived import few
from course_utils.models import (
    Autoencoder,
    ConvAutoencoder,
    DeepConvAutoencoder,
    ResizeConvAutoencoder,
    SignedConvAutoencoder,
)
from course_utils.recipes.recipe import Recipe, Settings

# Source 000's settings; its quick version keeps the rate constant too.
TUTORIAL = Settings(epochs=40, batch_size=128, lr=1e-3, weight_decay=1e-5)
TUTORIAL_QUICK = replace(TUTORIAL, epochs=2, lr=3e-3)

# The rate rises and falls once over the run.
CYCLE = Settings(epochs=20, batch_size=128, lr=1e-2, schedule="onecycle")
QUICK = replace(CYCLE, epochs=2, lr=5e-3)

# For the deeper networks: twice as fast in bf16, where the device has it.
DEEP = Settings(epochs=10, batch_size=256, lr=4e-3, optimizer="adamw", weight_decay=0.01,
                schedule="onecycle", precision="auto")  # fmt: skip
DEEP_QUICK = replace(DEEP, epochs=1, precision="float32")

WIDE = (64, 32)  # channels
DEEP_NET = {"widths": (16, 32, 128), "blocks": (0, 0)}
IMAGES = few(200)  # in the quick profile


def _tutorial(name: str, says: str, full: Settings, quick: Settings, **rest) -> Recipe:
    """Return a recipe on the tutorial's loss, squared error on [-1, 1]; its network by default."""
    parts = {"model": ConvAutoencoder, "model_args": {}, "loss": losses.reconstruction_pm1} | rest
    return Recipe(name, says, full=full, quick=quick, data=IMAGES, **parts)


def _changed(name: str, says: str, lr: float = CYCLE.lr, seeds: int = 1, rest=(), **args) -> Recipe:
    """Return a recipe for the tutorial's network with some changes."""
    return _tutorial(
        name, says, replace(CYCLE, lr=lr), QUICK, seeds=seeds, model_args=args, **dict(rest)
    )


def _deep(name: str, says: str, seeds: int = 3, **args) -> Recipe:
    """Return a recipe for the deep network."""
    return Recipe(
        name, says, DeepConvAutoencoder, DEEP_NET | args, losses.reconstruction, DEEP, DEEP_QUICK,
        data=IMAGES, seeds=seeds,
    )  # fmt: skip


NO_DECAY = [replace(settings, weight_decay=0.0) for settings in (TUTORIAL, TUTORIAL_QUICK)]
GAPS = {"loss": losses.masked_reconstruction, "loss_args": {"masked": 0.1}}

# The seeds are as many as were trained for the book, most of them on one thread.
RECIPES = [
    _tutorial("conv_source", "5,729 parameters, code 8 x 2 x 2, weight decay, as source 000",
              TUTORIAL, TUTORIAL_QUICK, seeds=3),
    _tutorial("conv_source_no_decay", "the network `conv_source` without weight decay", *NO_DECAY,
              seeds=3),
    _tutorial("conv_mlp_32", "784-128-64-32, fully connected, trained like `conv_source`",
              TUTORIAL, TUTORIAL_QUICK, model=Autoencoder,
              model_args={"widths": (128, 64), "code_dim": 32, "output": "tanh"}, seeds=3),
    _changed("conv_cycle", "the network `conv_source`; its learning rate rises and falls once",
             seeds=5),
    _changed("conv_gaps", "... trained on images with gaps", seeds=3, rest=GAPS),
    _changed("conv_resize", "the network of `conv_cycle`; its last layer repeats pixels, then "
             "convolves them", seeds=3, rest={"model": ResizeConvAutoencoder}),
    _changed("conv_signed", "the network of `conv_cycle` without the ReLU at its code "
             "(an exercise; not run for the book)",
             rest={"model": SignedConvAutoencoder}),
    _changed("conv_overlap", "the network of `conv_cycle`; the kernels of its last layer overlap",
             seeds=3, overlap=True),
    _changed("conv_linear_narrow", "the network of `conv_overlap`; linear layers on both sides of "
             "the code, the eight maps before it as they were", seeds=3, overlap=True,
             linear_code=True),
    _changed("conv_wide", "the network of `conv_overlap`; 64 and 32 channels, not 16 and 8",
             lr=3e-3, seeds=3, channels=WIDE, overlap=True),
    _changed("conv_linear", "... and a linear layer makes the 32 numbers", lr=3e-3, seeds=3,
             channels=WIDE, overlap=True, linear_code=True),
    _changed("conv_norm", "... and batch normalisation", lr=3e-3, seeds=3, channels=WIDE,
             overlap=True, linear_code=True, norm=True),
    replace(_deep("conv_norm_trained", "the network of `conv_norm`, trained as `conv_deep` is"),
            model=ConvAutoencoder,
            model_args={"channels": WIDE, "overlap": True, "linear_code": True, "norm": True,
                        "output": "sigmoid"}),
    _deep("conv_late", "the network of `conv_deep`, no larger than that of `conv_norm`",
          widths=(8, 16, 24)),
    _deep("conv_deep", "28-14-7 by overlapping kernels; a linear layer makes the 32 numbers"),
    _deep("conv_small", "a small relative of `conv_deep`, for pages and phones",
          widths=(8, 16, 32)),
]  # fmt: skip
