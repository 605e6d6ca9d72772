"""Conditional faces, beside chapter 05: networks that are told hair, a smile or glasses."""

from __future__ import annotations

from dataclasses import replace

from course_utils import losses
from course_utils.data.attributes import hairstyles, smiles_and_glasses
from course_utils.data.derived import few
from course_utils.losses.questions import yes_or_no
from course_utils.models.face_cvae import ConditionalFaceVAE
from course_utils.models.factor_net import FactorNet
from course_utils.recipes.recipe import Recipe, Settings

HAIR, FACES = few(64, hairstyles), few(64, smiles_and_glasses)
GAUSSIAN = {"likelihood": "gaussian"}
VAE_FULL = Settings(epochs=60, batch_size=64, lr=8e-4, schedule="onecycle", precision="auto",
                    channels_last=True)  # fmt: skip
HAIR_FULL = replace(VAE_FULL, epochs=40)
QUICK = replace(VAE_FULL, epochs=1, batch_size=32, precision="float32")
READER_FULL = replace(VAE_FULL, epochs=5, lr=4e-3, optimizer="adamw", weight_decay=0.05)
READER_QUICK = replace(READER_FULL, epochs=1, batch_size=32, precision="float32")
SILENT = {"weight": 1000.0, "variance": 0.03}
READ = {"shift": 3, "weights": (1.4, 4.2)}  # so many times as often, the answer is no


def _vae(name: str, says: str, full: Settings, data, **model_args) -> Recipe:
    """Return the recipe of a convolutional VAE on faces."""
    return Recipe(name, says, ConditionalFaceVAE, model_args, losses.conditional_negative_elbo,
                  full, QUICK, GAUSSIAN, data)  # fmt: skip


RECIPES = [
    _vae("cface_hair", "drawn faces; all layers are told one of four hairstyles", HAIR_FULL, HAIR,
         code_dim=32, width=16),
    _vae("cface_hair_narrow", "the same with a code of 8 numbers", HAIR_FULL, HAIR, code_dim=8,
         width=16),
    _vae("cface_hair_untold", "the same, nobody is told anything", HAIR_FULL, HAIR, code_dim=32,
         width=16, n_classes=0),
    _vae("cface_vae", "LFW; all layers are told whether somebody smiles or wears glasses", VAE_FULL,
         FACES, width=24),
    Recipe("cface_hair_silent", "drawn faces; told the hair, and the code may not give it away",
           ConditionalFaceVAE, {"code_dim": 32, "width": 16}, losses.silent_negative_elbo,
           replace(HAIR_FULL, epochs=20, lr=1e-3), QUICK, SILENT, HAIR),
    Recipe("cface_hair_coarse", "the same at no price: its variance and its training alone",
           ConditionalFaceVAE, {"code_dim": 32, "width": 16}, losses.silent_negative_elbo,
           replace(HAIR_FULL, epochs=20, lr=1e-3), QUICK, SILENT | {"weight": 0.0}, HAIR),
    Recipe("cface_silent", "LFW; told smile and glasses, and the code may not give them away",
           ConditionalFaceVAE, {"code_dim": 48, "width": 16}, losses.silent_negative_elbo,
           replace(VAE_FULL, epochs=30, lr=1e-3), QUICK, SILENT | {"variance": 0.02}, FACES),
    Recipe("cface_coarse", "the same at no price: its variance and its training alone",
           ConditionalFaceVAE, {"code_dim": 48, "width": 16}, losses.silent_negative_elbo,
           replace(VAE_FULL, epochs=30, lr=1e-3), QUICK, {"weight": 0.0, "variance": 0.02}, FACES),
    Recipe("cface_reader", "reads on faces of LFW whether somebody smiles or wears glasses",
           FactorNet, {"n_outputs": 2}, yes_or_no, READER_FULL,
           READER_QUICK, READ, FACES),
    Recipe("cface_reader_2", "another one, for a second opinion: 5 x 5 kernels, GELU, 80 features",
           FactorNet, {"n_outputs": 2, "channels": (16, 32, 64, 96), "feature_dim": 80,
                       "kernel_size": 5, "activation": "gelu"},
           yes_or_no, replace(READER_FULL, epochs=4),
           READER_QUICK, READ, FACES),
]  # fmt: skip
