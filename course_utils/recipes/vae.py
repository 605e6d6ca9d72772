"""Chapter 04: variational autoencoders.

`conv_vae` and `iwae_binary` are offered and were not trained for the book: no number in it rests on
them. The first is the network of source 002 as it stands, the second trains on a tighter bound.
"""

from __future__ import annotations

from dataclasses import replace

from course_utils import losses
from course_utils.data.derived import few
from course_utils.models import VAE, Autoencoder, ConvVAE
from course_utils.recipes.recipe import Recipe, Settings

# The sources' settings: Adam at a constant rate.
SOURCE = Settings(epochs=10, batch_size=128, lr=1e-3)
QUICK = Settings(epochs=3, batch_size=25, lr=4e-3)
SWEEP_QUICK = replace(QUICK, epochs=1)

# Ours, where a number is wanted that stands beside the literature's. All in float32: bf16 needs a
# processor that has it, and is 17 times slower on one that does not (EPYC with AVX2 alone).
MINUTES = Settings(epochs=40, batch_size=256, lr=3e-3, schedule="onecycle")  # five, of one core
LONG_QUICK = Settings(epochs=1, batch_size=25, lr=2e-3)
CONV = replace(SOURCE, channels_last=True)  # half an hour of one core each
CONV_QUICK = Settings(epochs=1, batch_size=16, lr=1e-3, channels_last=True)
PLANE = Settings(epochs=30, batch_size=128, lr=2e-3, schedule="onecycle")
PLANE_QUICK = replace(QUICK, epochs=2)

WIDE = {"widths": (512, 512), "code_dim": 40, "activation": "gelu"}
ON_PAPER = {"widths": (400, 200), "code_dim": 2}
BETAS = (0.1, 0.3, 3, 10, 30)  # beta = 1 is the recipe `vae`


def _vae(name: str, says: str, full: Settings, quick: Settings = QUICK, **rest) -> Recipe:
    """Return a recipe for a `VAE` trained on the negative ELBO, unless `rest` says more."""
    model, loss = rest.pop("model", VAE), rest.pop("loss", losses.negative_elbo)
    return Recipe(name, says, model, rest.pop("model_args", {}), loss, full, quick, **rest)


def _short(name: str, says: str, **rest) -> Recipe:
    """Return a recipe of the sweeps: ten epochs, three seeds, and in quick a thousand images."""
    return _vae(name, says, SOURCE, SWEEP_QUICK, seeds=3, data=few(1_000), **rest)


RECIPES = [
    _vae("vae", "784-400-20, binary cross-entropy of grey pixels + KL, as source 004", SOURCE,
         data=few(1_000), seeds=5),
    _vae("ae_20", "the plain autoencoder beside `vae`: same layers, same code, no KL", SOURCE,
         model=Autoencoder, loss=losses.cross_entropy_reconstruction,
         model_args={"widths": (400,), "code_dim": 20}, data=few(1_000), seeds=5),
    _vae("vae_30", "the recipe `vae` for 30 epochs", replace(SOURCE, epochs=30), SWEEP_QUICK,
         data=few(1_000)),
    _vae("vae_30_onecycle", "the same with a rate that rises and falls once",
         replace(SOURCE, epochs=30, lr=3e-3, schedule="onecycle"), SWEEP_QUICK, data=few(1_000)),
    _vae("conv_vae", "the convolutional network of source 002, 20 numbers (not run for the book)",
         CONV, CONV_QUICK, model=ConvVAE, data=few(128)),
    _vae("vae_2d", "784-400-200-2: a code that fits on paper", PLANE, PLANE_QUICK,
         model_args=ON_PAPER, data=few(1_000)),
    _vae("ae_plane", "the plain autoencoder beside `vae_2d`", PLANE, PLANE_QUICK,
         model=Autoencoder, loss=losses.cross_entropy_reconstruction, model_args=ON_PAPER,
         data=few(1_000)),
    *(_short(f"vae_beta_{beta}", f"the recipe `vae` with beta = {beta}", loss_args={"beta": beta})
      for beta in BETAS),
    _short("vae_mse", "784-400-20, squared error + KL: a Gaussian of variance 1/2",
           loss_args={"likelihood": "gaussian", "variance": 0.5}),
    _short("vae_sigma", "784-400-20, a Gaussian whose variance is learned",
           loss_args={"likelihood": "gaussian"}, model_args={"learn_variance": True}),
    _vae("vae_binary_40", "784-512-512-40 on pixels binarised anew in each of 40 epochs", MINUTES,
         LONG_QUICK, loss_args={"binarise": True}, model_args=WIDE, data=few(500)),
    _vae("iwae_binary", "the same on the bound of 5 codes, 60 epochs (not run for the book)",
         replace(MINUTES, epochs=60), LONG_QUICK, loss=losses.iwae_loss,
         loss_args={"k": 5, "binarise": True}, model_args=WIDE, data=few(500)),
]  # fmt: skip
