"""Chapter 05: autoencoders that are told the digit."""

from __future__ import annotations

from course_utils import losses
from course_utils.models import ConditionalAutoencoder, ConditionalVAE
from course_utils.recipes.base import Recipe, Settings

FULL = Settings(epochs=25, batch_size=128, lr=2e-3, seeds=3, schedule="onecycle",
                precision="bf16")  # fmt: skip
QUICK = Settings(epochs=3, batch_size=128, lr=2e-3)


def _cvae(condition: str, says: str) -> Recipe:
    """Return the recipe of a conditional VAE 784-400-200-10 with the label fed as named."""
    return Recipe(f"cvae_{condition}", says, ConditionalVAE, {"condition": condition},
                  losses.conditional_negative_elbo, FULL, QUICK)  # fmt: skip


RECIPES = [
    Recipe("cae", "784-400-200-10, plain; the decoder is told the digit", ConditionalAutoencoder,
           {"condition": "decoder"}, losses.conditional_reconstruction, FULL, QUICK),
    _cvae("code", "784-400-200-10, variational; the digit is joined to the code"),
    _cvae("decoder", "the same with the digit fed to every layer of the decoder"),
    _cvae("both", "the same with the digit fed to every layer of decoder and encoder"),
]  # fmt: skip
