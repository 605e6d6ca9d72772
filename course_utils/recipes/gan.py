"""Recipes of chapter 06: generative adversarial networks, in the plane and on faces."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from course_utils import losses, train
from course_utils.data import faces, plane
from course_utils.data.augment import CHANGES, diff_augment, nudged
from course_utils.models.gan import FaceGAN
from course_utils.models.plane_gan import PlaneGAN
from course_utils.recipes.recipe import Recipe, Settings, make_optimizer
from course_utils.train.gan import signed

GAMES = {  # name: (discriminator's loss, generator's loss)
    "saturating": (losses.logistic_d, losses.saturating_g),
    "non-saturating": (losses.logistic_d, losses.non_saturating_g),
    "hinge": (losses.hinge_d, losses.hinge_g),
    "relativistic": (losses.relativistic_d, losses.relativistic_g),
}


def fit_pair(recipe: Recipe, settings: Settings, model: nn.Module, loaders: dict, **loop):
    """Train the two networks of a `Pair`; what `Recipe.fit` is for a GAN.

    Of `loss_args`, "game" names the losses (a key of GAMES), "d_lr" is the factor of the
    discriminator's learning rate, "augment" names changes of images (`data.augment`), and "signed"
    takes pixels to [-1, 1]; all others go to `train.fit_gan`.
    """
    options = dict(recipe.loss_args)
    game, d_lr = options.pop("game"), options.pop("d_lr", 1.0)
    if options.get("augment"):
        options["augment"] = diff_augment(options["augment"])
    if options.pop("signed", False):
        options["prepare"] = signed
    d_loss, g_loss = GAMES[game]
    return train.fit_gan(
        model.generator, model.discriminator, model.average, loaders["train"], loaders["val"],
        epochs=settings.epochs, d_loss=d_loss, g_loss=g_loss, relativistic=game == "relativistic",
        d_optimizer=make_optimizer(model.discriminator, replace(settings, lr=settings.lr * d_lr)),
        g_optimizer=make_optimizer(model.generator, settings),
        precision=settings.precision, **options, **loop,
    )  # fmt: skip


def fit_on(recipe: Recipe, settings: Settings, model: nn.Module, loaders: dict, **loop):
    """Train on from where another run of a `Pair` ended, with new optimizers; else as `fit_pair`.

    Of `loss_args`, "start" names its recipe; that run is loaded, or trained, in the same profile
    and with the same seed. "nudge" is by how many pixels the augmentation moves images at most.
    """
    from course_utils import runs  # they stand above the recipes

    options = dict(recipe.loss_args)
    first, augment = options.pop("start"), nudged(options.pop("nudge"))
    known = loop["run"]
    begun = runs.run(first, known["seed"], known["profile"], progress=False)
    model.load_state_dict(begun.model.state_dict())
    lighter = replace(recipe, loss_args=options)
    return fit_pair(lighter, settings, model, loaders, augment=augment, **loop)


@torch.no_grad()
def score_pair(recipe: Recipe, model: nn.Module, batches) -> dict[str, float]:
    """Return the mean logits of a split beside that of as many samples of the average."""
    device = next(model.parameters()).device
    prepare = signed if recipe.loss_args.get("signed") else lambda x: x
    real = torch.cat([model.discriminator(prepare(x)) for x, _ in batches])
    z = torch.randn(len(real), model.average.code_dim, generator=torch.Generator().manual_seed(0))
    fake = torch.cat([model.discriminator(model.average(c)) for c in z.to(device).split(500)])
    return {"real_score": float(real.mean()), "fake_score": float(fake.mean())}


FULL = Settings(epochs=30, batch_size=256, lr=1e-3, optimizer_args={"betas": (0.5, 0.99)})
QUICK = replace(FULL, epochs=10)
BRIEF = replace(FULL, epochs=4)  # of games of which the quick profile says nothing


def _plane(name: str, says: str, data=plane.spots, seeds: int = 1, quick=QUICK, **game) -> Recipe:
    """Return a recipe in the plane."""
    return Recipe(name, says, PlaneGAN, {}, None, FULL, quick, game, data, seeds, fit_pair,
                  score_pair)  # fmt: skip


# The rungs of the ladder on faces. A processor takes hours for one; `course_tools.gan_ladder`
# trains them side by side on a graphics card, on pictures drawn with repetition.
FACES_FULL = Settings(epochs=100, batch_size=64, lr=2e-4, optimizer_args={"betas": (0.0, 0.99)},
                      precision="auto", channels_last=True)  # fmt: skip
DCGAN_FULL = replace(FACES_FULL, optimizer_args={"betas": (0.5, 0.999)})
R1 = {"game": "non-saturating", "signed": True, "d_lr": 2.0, "r1": 0.1}
GENTLE = R1 | {"augment": ("flip", "shift"), "decay": 0.35}
LIGHT = R1 | {"start": "gan_faces", "nudge": 2, "r1": 0.05, "decay": 0.45}
AUGMENTED = R1 | {"augment": tuple(CHANGES)}
BOTH = AUGMENTED | {"game": "relativistic", "r2": 0.1}


def _faces(name: str, says: str, norm: str, game: dict, full: Settings = FACES_FULL) -> Recipe:
    """Return a recipe on faces."""
    return Recipe(name, says, FaceGAN, {"width": 32, "d_norm": norm}, None, full,
                  replace(full, epochs=1), game, faces, fit=fit_pair, score=score_pair)  # fmt: skip


CURED = {"game": "non-saturating", "r1": 0.5, "penalty_every": 1}
RECIPES = [
    _plane("gan_ring", "a GAN on a ring in the plane", plane.ring, quick=BRIEF,
           **CURED),
    _plane("gan_spots", "a GAN on eight spots, with R1", seeds=3, **CURED),
    _plane("gan_collapsed", "the same without R1, the generator far ahead", seeds=3,
           quick=BRIEF, game="non-saturating", d_lr=0.1),
    _plane("gan_r1_alone", "R1, and the generator still far ahead", seeds=3, quick=BRIEF,
           **CURED, d_lr=0.1),
    _plane("gan_rates_alone", "equal rates, and no R1", seeds=3, quick=BRIEF,
           game="non-saturating"),
    _plane("gan_saturating", "the same with the loss as it was first written", seeds=3,
           quick=BRIEF, game="saturating"),
    _faces("gan_dcgan", "the corrected DCGAN on faces", "batch",
           {"game": "non-saturating", "signed": True}, DCGAN_FULL),
    _faces("gan_r1", "R1 in the place of batch norm in the discriminator", "none", R1),
    _faces("gan_augmented", "the same with DiffAugment and flips", "none", AUGMENTED),
    Recipe("gan_faces", "R1, gentle augmentation, rates that fall: the generator to walk through",
           FaceGAN, {"width": 32, "d_norm": "none", "d_width": 48, "refined": True}, None,
           replace(FACES_FULL, epochs=45), replace(FACES_FULL, epochs=1), GENTLE, faces,
           fit=fit_pair, score=score_pair),
    Recipe("gan_faces_on", "on from gan_faces, with shifts of two pixels and half the penalty",
           FaceGAN, {"width": 32, "d_norm": "none", "d_width": 48, "refined": True}, None,
           replace(FACES_FULL, epochs=14), replace(FACES_FULL, epochs=1), LIGHT, faces,
           fit=fit_on, score=score_pair),
    _faces("gan_relativistic", "the same with a relativistic loss, R1 and R2", "none", BOTH),
]  # fmt: skip
