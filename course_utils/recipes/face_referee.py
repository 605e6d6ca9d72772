"""The face referees: two networks that read drawn faces, on whose features faces are measured.

    referee = load_face_referee()
    metrics.frechet(referee.features, real, fake)     # FD-face_referee

They have seen no photograph: their 16 amounts and two kinds (skin, light, smile, glasses, ...) are
those of drawn faces, which the course may give away. Their weights were trained by the recipes
below in the full profile with seed 0, and are part of the package.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import replace

import torch

from course_utils import checkpoint, losses, runtime
from course_utils.data import drawn_faces, lfw
from course_utils.data.dataset import Dataset, Split
from course_utils.models.factor_net import FactorNet
from course_utils.recipes.recipe import Recipe, Settings
from course_utils.recipes.referee import ASSETS
from course_utils.runtime import CourseError

SIZES = {"quick": (2_000, 300, 300), "full": (20_000, 1_000, 1_000)}
KINDS = tuple(span for span in drawn_faces.FACTORS.values() if isinstance(span, int))


def with_factors(source: str | None = None, profile: str | None = None) -> Dataset:
    """Return drawn faces with all their factors (N, 18) float32 as labels; always drawn."""
    sizes = SIZES[runtime.profile(profile)]
    x, y = lfw.drawn_images(sum(sizes), seed=2)
    parts = [Split(*pair) for pair in zip(x.split(sizes), y.split(sizes), strict=True)]
    sha256 = hashlib.sha256(f"{lfw.drawing_code()} factors {sizes}".encode()).hexdigest()
    return Dataset("drawn faces", "drawn", sha256, *parts, classes=drawn_faces.NAMES)


FULL = Settings(epochs=7, batch_size=64, lr=4e-3, optimizer="adamw", weight_decay=0.01,
                schedule="onecycle", precision="auto", channels_last=True)  # fmt: skip
READ = {"kinds": KINDS, "smallest": 44}
QUICK = replace(FULL, epochs=1, precision="float32")

RECIPES = [
    Recipe("face_referee", "reads the factors of drawn faces: 64 features",
           FactorNet, {}, losses.factor_reading, FULL, QUICK, READ, with_factors),
    Recipe("face_referee_2", "another one, for a second opinion: 5 x 5 kernels, GELU, 80 features",
           FactorNet, {"channels": (16, 32, 64, 96), "feature_dim": 80, "kernel_size": 5,
                       "activation": "gelu"},
           losses.factor_reading, FULL, QUICK, READ, with_factors),
]  # fmt: skip

SHA256 = {  # of the files that are kept, with 16 bits to a weight
    "face_referee": "01d2b82af1bf7da834d9809ebf7f91266df8c9db2f954c26be08777be02578ca",
    "face_referee_2": "708a6110e5f25c7cf82f71929b40732006452c0fc8f551c84ef2d79d1983fe6b",
}


@functools.lru_cache(maxsize=4)
def load_face_referee(name: str = "face_referee") -> FactorNet:
    """Return a trained referee in eval mode: referee.features(x) gives features (B, D).

    Args:
        name: "face_referee" (64 features) or "face_referee_2" (80 features).

    Raises CourseError for another name, or a file that is absent or not the one that the course
    was measured with.
    """
    if name not in SHA256:
        raise CourseError(f"referee {name!r} is unknown; choose one of: {', '.join(SHA256)}")
    path = ASSETS / f"{name}.safetensors"
    tensors, _ = checkpoint.load(path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[name]:
        raise CourseError(f"{path} is not the referee of this course; restore it with git checkout")
    model = next(recipe for recipe in RECIPES if recipe.name == name).build()
    checkpoint.load_weights(model, {k: v.to(torch.float32) if v.is_floating_point() else v
                                    for k, v in tensors.items()}, path)  # fmt: skip
    return model.requires_grad_(False).eval()
