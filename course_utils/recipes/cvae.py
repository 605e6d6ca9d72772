"""Chapter 05: autoencoders that are told the digit, or another attribute of an image."""

from __future__ import annotations

from dataclasses import replace

from course_utils import losses
from course_utils.data.derived import by_slant, few
from course_utils.models import (
    VAE,
    ConditionalAutoencoder,
    ConditionalVAE,
    ConvMixtureVAE,
    MixtureVAE,
)
from course_utils.recipes.recipe import Recipe, Settings

FULL = Settings(epochs=25, batch_size=128, lr=2e-3, schedule="onecycle")
QUICK = Settings(epochs=3, batch_size=50, lr=5e-3)
GLANCE = replace(QUICK, epochs=1)  # for networks on which nothing rests in the quick profile
CONV = Settings(epochs=15, batch_size=128, lr=2e-3, schedule="onecycle")
CONV_QUICK = Settings(epochs=2, batch_size=25, lr=3e-3)
DIGITS = few(1_500)


def _cvae(name: str, says: str, quick: Settings = GLANCE, **rest) -> Recipe:
    """Return the recipe of a conditional VAE 784-400-200-10: three seeds, unless `rest` says."""
    return Recipe(name, says, ConditionalVAE, rest.pop("model_args"),
                  losses.conditional_negative_elbo, FULL, quick,
                  **({"data": DIGITS, "seeds": 3} | rest))  # fmt: skip


RECIPES = [
    Recipe("cae", "784-400-200-10, plain; the decoder is told the digit", ConditionalAutoencoder,
           {"condition": "decoder"}, losses.conditional_reconstruction, FULL, GLANCE, data=DIGITS),
    Recipe("vae_10", "784-400-200-10, variational; nobody is told anything", VAE,
           {"widths": (400, 200), "code_dim": 10}, losses.negative_elbo, FULL, GLANCE, data=DIGITS,
           seeds=3),
    _cvae("cvae_code", "784-400-200-10, variational; the digit is joined to the code",
          model_args={"condition": "code"}),
    _cvae("cvae_decoder", "the same with the digit fed to every layer of the decoder",
          model_args={"condition": "decoder"}),
    _cvae("cvae_both", "the same with the digit fed to every layer of decoder and encoder",
          model_args={"condition": "both"}, quick=QUICK),
    _cvae("cvae_slant", "the decoder is told in which quarter the slant lies, and not the digit",
          model_args={"condition": "decoder", "n_classes": 4}, data=few(1_500, by_slant),
          quick=replace(QUICK, epochs=2)),
    _cvae("cvae_slant_both", "the same with the encoder told the quarter too",
          model_args={"condition": "both", "n_classes": 4}, data=few(1_500, by_slant), seeds=1),
    Recipe("cvae_mixture", "the network of `cvae_both`; its prior is a mixture for each digit",
           MixtureVAE, {"n_parts": 10}, losses.prior_negative_elbo, FULL, GLANCE, data=DIGITS,
           seeds=2),
    Recipe("cvae_conv", "convolutions, 16 numbers, a mixture for each digit as the prior",
           ConvMixtureVAE, {"n_parts": 20, "code_dim": 16, "widths": (16, 32, 256)},
           losses.prior_negative_elbo, CONV, CONV_QUICK, data=few(500)),
    Recipe("cvae_conv_10", "the network of `cvae_conv` with 10 numbers in its code",
           ConvMixtureVAE, {"n_parts": 20, "code_dim": 10, "widths": (16, 32, 256)},
           losses.prior_negative_elbo, CONV, replace(CONV_QUICK, epochs=1), data=few(500)),
]  # fmt: skip
