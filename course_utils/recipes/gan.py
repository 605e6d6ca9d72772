"""Recipes of chapter 06: generative adversarial networks, in the plane and on faces."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from course_utils import losses, train
from course_utils.data import plane
from course_utils.models.plane_gan import PlaneGAN
from course_utils.recipes.recipe import Recipe, Settings, make_optimizer

GAMES = {  # name: (discriminator's loss, generator's loss)
    "saturating": (losses.logistic_d, losses.saturating_g),
    "non-saturating": (losses.logistic_d, losses.non_saturating_g),
    "hinge": (losses.hinge_d, losses.hinge_g),
    "relativistic": (losses.relativistic_d, losses.relativistic_g),
}


def fit_pair(recipe: Recipe, settings: Settings, model: nn.Module, loaders: dict, **loop):
    """Train the two networks of a `Pair`; what `Recipe.fit` is for a GAN.

    Of `loss_args`, "game" names the losses (a key of GAMES), "d_lr" is the factor of the
    discriminator's learning rate; all others go to `train.fit_gan`.
    """
    options = dict(recipe.loss_args)
    game, d_lr = options.pop("game"), options.pop("d_lr", 1.0)
    d_loss, g_loss = GAMES[game]
    return train.fit_gan(
        model.generator, model.discriminator, model.average, loaders["train"], loaders["val"],
        epochs=settings.epochs, d_loss=d_loss, g_loss=g_loss, relativistic=game == "relativistic",
        d_optimizer=make_optimizer(model.discriminator, replace(settings, lr=settings.lr * d_lr)),
        g_optimizer=make_optimizer(model.generator, settings),
        precision=settings.precision, **options, **loop,
    )  # fmt: skip


@torch.no_grad()
def score_pair(recipe: Recipe, model: nn.Module, batches) -> dict[str, float]:
    """Return the mean logits of a split beside that of as many samples of the average."""
    device = next(model.parameters()).device
    real = torch.cat([model.discriminator(x) for x, _ in batches])
    z = torch.randn(len(real), model.average.code_dim, generator=torch.Generator().manual_seed(0))
    fake = model.discriminator(model.average(z.to(device)))
    return {"real_score": float(real.mean()), "fake_score": float(fake.mean())}


FULL = Settings(epochs=30, batch_size=256, lr=1e-3, optimizer_args={"betas": (0.5, 0.99)})
QUICK = replace(FULL, epochs=10)


def _plane(name: str, says: str, data=plane.spots, seeds: int = 1, **game) -> Recipe:
    """Return a recipe in the plane."""
    return Recipe(name, says, PlaneGAN, {}, None, FULL, QUICK, game, data, seeds, fit_pair,
                  score_pair)  # fmt: skip


CURED = {"game": "non-saturating", "r1": 0.5, "penalty_every": 1}
RECIPES = [
    _plane("gan_ring", "a GAN on a ring in the plane", plane.ring, **CURED),
    _plane("gan_spots", "a GAN on eight spots, with R1", seeds=3, **CURED),
    _plane("gan_collapsed", "the same without R1, the generator far ahead", seeds=3,
           game="non-saturating", d_lr=0.1),
]  # fmt: skip
