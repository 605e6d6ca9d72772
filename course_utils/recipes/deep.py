"""Chapter 00: 784-1000-500-250-30 with and without the pretraining of 2006."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import torch

from course_utils import data, losses
from course_utils.data.derived import few
from course_utils.models import RBM, Autoencoder, CodeRBM, DeepAutoencoder
from course_utils.recipes.layerwise import train_machine
from course_utils.recipes.recipe import Recipe, Settings, fit_one_loss

PRETRAINING = Settings(epochs=4, batch_size=100, lr=1e-3)  # passes of each layer


def unfold_stack(model: DeepAutoencoder, x: torch.Tensor, seed: int, epochs: int) -> None:
    """Train a stack of RBMs and give `model` its weights: upwards as learnt, downwards transposed.

    Each RBM learns what the one below makes of the images. The topmost has a code of any numbers.
    The world's random numbers are left alone.

    Args:
        model: changed in place, on the device of x.
        x: images (N, C, H, W) in [0, 1].
        seed: of weights, samples and the order of batches.
        epochs: passes for each layer.
    """
    h, pairs = x.flatten(1), model.pairs()
    for depth, (up, down) in enumerate(pairs):
        kind = CodeRBM if depth == len(pairs) - 1 else RBM
        rbm = train_machine(
            partial(kind, up.out_features, (h.shape[1],)), losses.contrastive_divergence, h,
            PRETRAINING, 100 * seed + depth, epochs,
        )  # fmt: skip
        with torch.no_grad():
            up.weight.copy_(rbm.weight)
            up.bias.copy_(rbm.hidden_bias)
            down.weight.copy_(rbm.weight.T)
            down.bias.copy_(rbm.visible_bias)
            h = rbm.encode(h)


def after_rbms(recipe, settings, model, loaders: dict, **loop) -> list[dict]:
    """Unfold a stack of RBMs, then tune all weights together; the history of the tuning.

    A run that is resumed has its stack in the checkpoint.
    """
    if not loop.get("resume"):
        batches = loaders["train"]
        epochs = PRETRAINING.epochs if settings.epochs > 1 else 1  # quick: a look
        unfold_stack(model, data.as_float(batches.x), batches.seed, epochs)
    return fit_one_loss(recipe, settings, model, loaders, **loop)


SMALL = 0.01  # deviation of an RBM's weights before it has learnt
# Of the rates 0.01, 0.03, 0.1 and 0.3 the best behind a stack, after two passes over 2,560 training
# images; from small weights it was as good as the best (53.50 against 53.48).
THEN = Settings(epochs=8, batch_size=256, lr=0.03, optimizer="sgd")
TODAY = Settings(epochs=12, batch_size=256, lr=1e-3, optimizer="adamw", weight_decay=0.01,
                 schedule="onecycle")  # fmt: skip
# A unit that hardly moves off 1/2 would be rounded away in bf16: sigmoids are trained in float32.
GELU = replace(TODAY, lr=2e-3, precision="auto")


def _recipe(name: str, says: str, full: Settings, model=DeepAutoencoder, **rest) -> Recipe:
    """Return a recipe for 784-1000-500-250-30, trained on squared error."""
    quick = replace(full, epochs=1, precision="float32")
    args = rest.pop("model_args", {})
    return Recipe(name, says, model, args, losses.reconstruction, full, quick,
                  data=few(200), **rest)  # fmt: skip


OURS = {"widths": (1000, 500, 250), "code_dim": 30, "activation": "gelu"}

RECIPES = [
    _recipe("deep_then", "784-1000-500-250-30, sigmoid, small weights, plain SGD", THEN,
            model_args={"deviation": SMALL}),
    _recipe("deep_then_rbm", "... started from a stack of RBMs", THEN, fit=after_rbms),
    _recipe("deep_sigmoid", "784-1000-500-250-30, sigmoid, torch's weights, AdamW, one cycle",
            TODAY),
    _recipe("deep_rbm", "... started from a stack of RBMs", TODAY, fit=after_rbms),
    _recipe("deep_gelu", "784-1000-500-250-30, GELU, torch's weights, AdamW, one cycle",
            GELU, Autoencoder, model_args=OURS),
    _recipe("deep_gelu_long", "... for 30 passes", replace(GELU, epochs=30),
            Autoencoder, model_args=OURS),
]  # fmt: skip
