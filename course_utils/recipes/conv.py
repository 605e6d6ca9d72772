"""Chapter 02: convolutional autoencoders, a tutorial's and what one change after another makes."""

from __future__ import annotations

from dataclasses import replace

from course_utils import losses
from course_utils.data.derived import few
from course_utils.models import Autoencoder, ConvAutoencoder, DeepConvAutoencoder
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
LONG = replace(DEEP, epochs=20)
DEEP_QUICK = replace(DEEP, epochs=1, precision="float32")

WIDE = (64, 32)  # channels
DEEP_NET = {"widths": (16, 32, 128), "blocks": (0, 0)}
IMAGES = few(200)  # in the quick profile


def _tutorial(name: str, says: str, full: Settings, quick: Settings, **rest) -> Recipe:
    """Return a recipe on the tutorial's loss, squared error on [-1, 1]; its network by default."""
    model = {"model": ConvAutoencoder, "model_args": {}} | rest
    return Recipe(
        name, says, loss=losses.reconstruction_pm1, full=full, quick=quick, data=IMAGES, **model
    )


def _changed(name: str, says: str, full: Settings = CYCLE, **args) -> Recipe:
    """Return a recipe for the tutorial's network with some changes."""
    return _tutorial(name, says, full, QUICK, seeds=3, model_args=args)


def _deep(name: str, says: str, full: Settings = DEEP, masked: float = 0.0, **args) -> Recipe:
    """Return a recipe for the deep network, trained on images with or without gaps."""
    loss = {"loss": losses.reconstruction}
    if masked:
        loss = {"loss": losses.masked_reconstruction, "loss_args": {"masked": masked}}
    return Recipe(
        name, says, DeepConvAutoencoder, DEEP_NET | args, full=full, quick=DEEP_QUICK,
        data=IMAGES, seeds=3, **loss,
    )  # fmt: skip


NO_DECAY = [replace(settings, weight_decay=0.0) for settings in (TUTORIAL, TUTORIAL_QUICK)]

RECIPES = [
    _tutorial("conv_source", "5,729 parameters, code 8 x 2 x 2, weight decay, as source 000",
              TUTORIAL, TUTORIAL_QUICK, seeds=5),
    _tutorial("conv_source_no_decay", "the network `conv_source` without weight decay",
              *NO_DECAY, seeds=5),
    _tutorial("conv_mlp_32", "784-128-64-32, fully connected, trained like `conv_source`",
              TUTORIAL, TUTORIAL_QUICK, seeds=3, model=Autoencoder,
              model_args={"widths": (128, 64), "code_dim": 32, "output": "tanh"}),
    _changed("conv_cycle", "the network `conv_source`; its learning rate rises and falls once"),
    _changed("conv_overlap", "... and the kernels of the last layer overlap", overlap=True),
    _changed("conv_wide", "... and 64 and 32 channels, not 16 and 8", replace(CYCLE, lr=3e-3),
             channels=WIDE, overlap=True),
    _changed("conv_linear", "... and a linear layer makes the 32 numbers",
             replace(CYCLE, lr=3e-3), channels=WIDE, overlap=True, linear_code=True),
    _changed("conv_norm", "... and batch normalisation", replace(CYCLE, lr=3e-3),
             channels=WIDE, overlap=True, linear_code=True, norm=True),
    _deep("conv_deep", "28-14-7 by overlapping kernels; a linear layer makes the 32 numbers"),
    _deep("conv_gaps", "the network `conv_deep`, trained on images with gaps", masked=0.1),
    _deep("conv_resize", "the network `conv_deep`, upsampled by repeating pixels",
          upsampling="resize"),
    _deep("conv_best", "the network `conv_deep` with a residual block, trained twice as long",
          LONG, blocks=(0, 1)),
    _deep("conv_small", "a small relative of `conv_best`, for pages and phones",
          widths=(8, 16, 32)),
]  # fmt: skip
