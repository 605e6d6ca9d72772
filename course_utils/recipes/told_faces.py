"""Conditional faces, beside chapter 05: networks that are told hair, a smile or glasses."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import nn

from course_utils import losses, train
from course_utils.data.attributes import carrying_labels, hairstyles, smiles_and_glasses
from course_utils.data.augment import diff_augment
from course_utils.data.derived import few
from course_utils.losses.questions import yes_or_no
from course_utils.models.face_cvae import ConditionalFaceVAE
from course_utils.models.factor_net import FactorNet
from course_utils.models.told_gan import ToldFaceGAN
from course_utils.recipes.face_gan import load_face_generator
from course_utils.recipes.gan import FACES_FULL, GAMES, GENTLE, fit_pair, score_pair
from course_utils.recipes.recipe import Recipe, Settings, make_optimizer
from course_utils.train.gan import average_of, signed

HAIR, FACES = few(300, hairstyles), few(300, smiles_and_glasses)
GAUSSIAN = {"likelihood": "gaussian"}
VAE_FULL = Settings(epochs=10, batch_size=64, lr=2e-3, schedule="onecycle", precision="auto",
                    channels_last=True)  # fmt: skip
HAIR_FULL = replace(VAE_FULL, epochs=7)
QUICK = replace(VAE_FULL, epochs=1, precision="float32")
READER_FULL = replace(VAE_FULL, epochs=5, lr=4e-3, optimizer="adamw", weight_decay=0.05)
READ = {"shift": 3, "weights": (1.4, 4.2)}  # so many times as often, the answer is no


def fit_from_kept(recipe: Recipe, settings: Settings, model: nn.Module, loaders: dict, **loop):
    """Teach the course's kept generator to listen; what `Recipe.fit` is for a `ToldFaceGAN`.

    The generator begins as that of chapter 06, with labels as frequent as in the training set. The
    discriminator begins from nothing, so it learns alone for one epoch, which is in no history.
    """
    if not loop.get("resume"):
        y = loaders["train"].y
        begin(model, torch.bincount(y, minlength=model.generator.n_classes) / len(y))
        teach_judge(recipe, settings, model, loaders["train"])
    return fit_pair(recipe, settings, model, loaders, **loop)


def begin(model: ToldFaceGAN, rates: torch.Tensor) -> None:
    """Give generator and average the kept weights, and the rates (A,) of the labels."""
    kept = load_face_generator().state_dict()
    for generator in (model.generator, model.average):
        generator.face.load_state_dict(kept)
        generator.rates.copy_(rates)


def teach_judge(recipe: Recipe, settings: Settings, model: ToldFaceGAN, batches) -> None:
    """Train the discriminator for one epoch against a generator that stays as it is.

    Its running statistics are put back afterwards.
    """
    state = {k: v.clone() for k, v in model.generator.state_dict().items()}
    still = torch.optim.SGD(model.generator.parameters(), lr=0.0)
    how = recipe.loss_args
    d_loss, g_loss = GAMES[how["game"]]
    rate = settings.lr * how["d_lr"]
    train.fit_gan(
        model.generator, model.discriminator, average_of(model.generator), batches, epochs=1,
        d_loss=d_loss, g_loss=g_loss, d_steps=len(batches), g_optimizer=still, r1=how["r1"],
        d_optimizer=make_optimizer(model.discriminator, replace(settings, lr=rate)),
        augment=diff_augment(how["augment"]), prepare=signed, precision=settings.precision,
        progress=False,
    )  # fmt: skip
    model.generator.load_state_dict(state)


def _vae(name: str, says: str, full: Settings, data, **model_args) -> Recipe:
    """Return the recipe of a convolutional VAE on faces."""
    return Recipe(name, says, ConditionalFaceVAE, model_args, losses.conditional_negative_elbo,
                  full, QUICK, GAUSSIAN, data)  # fmt: skip


RECIPES = [
    _vae("cface_hair", "drawn faces; all layers are told one of four hairstyles", HAIR_FULL, HAIR,
         code_dim=32, width=16),
    _vae("cface_hair_untold", "the same, nobody is told anything", HAIR_FULL, HAIR, code_dim=32,
         width=16, n_classes=0),
    _vae("cface_vae", "LFW; all layers are told whether somebody smiles or wears glasses", VAE_FULL,
         FACES, width=24),
    Recipe("cface_reader", "reads on faces of LFW whether somebody smiles or wears glasses",
           FactorNet, {"n_outputs": 2}, yes_or_no, READER_FULL,
           replace(READER_FULL, epochs=1, precision="float32"), READ, FACES),
    Recipe("cface_gan", "the kept generator of chapter 06, taught to listen", ToldFaceGAN, {}, None,
           replace(FACES_FULL, epochs=4), replace(FACES_FULL, epochs=1), GENTLE,
           carrying_labels(FACES), fit=fit_from_kept, score=score_pair),
]  # fmt: skip
