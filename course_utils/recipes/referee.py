"""The referees: two classifiers of digits, on whose features the course measures images.

    referee = load_referee()
    metrics.frechet(referee.features, real, fake)     # FD-referee

Their weights were trained by the recipes below on real MNIST, in the full profile with seed 0, and
are part of the package, so that a number means the same in every profile and on every machine.
They know drawn digits too, only less well: 96 in a hundred.
"""

from __future__ import annotations

import functools
import hashlib
from dataclasses import replace
from pathlib import Path

from course_utils import checkpoint, losses
from course_utils.data.derived import few
from course_utils.models import Classifier
from course_utils.recipes.recipe import Recipe, Settings
from course_utils.runtime import CourseError

FULL = Settings(epochs=15, batch_size=128, lr=4e-3, optimizer="adamw", weight_decay=0.01,
                schedule="onecycle", precision="auto")  # fmt: skip
QUICK = replace(FULL, epochs=2, batch_size=64, precision="float32")

RECIPES = [
    Recipe("referee", "a small convolutional classifier: 64 features, 47,130 parameters",
           Classifier, {}, losses.classification, FULL, QUICK, {"shift": 2}, few(2_000)),
    Recipe("referee_2", "another one, for a second opinion: 5 x 5 kernels, GELU, 80 features",
           Classifier, {"channels": (8, 24, 36), "feature_dim": 80, "kernel_size": 5,
                        "activation": "gelu"},
           losses.classification, replace(FULL, precision="float32"), QUICK, {"shift": 2},
           few(2_000)),
]  # fmt: skip

ASSETS = Path(__file__).resolve().parent.parent / "assets"
SHA256 = {  # of the files that are kept; run.json of the run names the same
    "referee": "a83d348c760596b031d482fc426aff1a39d6de77aca11ba476a68b0e3d0c7f53",
    "referee_2": "616f5c89e2eb9f2f82270498afcbc947478fa1a565c4e3686c78bbc72986f91e",
}


def load_referee(name: str = "referee") -> Classifier:
    """Return a trained referee in eval mode: referee(x) gives logits, referee.features(x) features.

    Args:
        name: "referee" (features (B, 64)) or "referee_2" (features (B, 80)).

    The same object is returned at each call. Raises CourseError for another name, or a file that
    is absent or not the one that the course was measured with.
    """
    if name not in SHA256:
        raise CourseError(f"referee {name!r} is unknown; choose one of: {', '.join(SHA256)}")
    return _load(name, ASSETS / f"{name}.safetensors")


@functools.lru_cache(maxsize=4)
def _load(name: str, path: Path) -> Classifier:
    """Read, check and build a referee."""
    tensors, _ = checkpoint.load(path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != SHA256[name]:
        raise CourseError(f"{path} is not the referee of this course; restore it with git checkout")
    recipe = next(recipe for recipe in RECIPES if recipe.name == name)
    model = recipe.build()
    checkpoint.load_weights(model, tensors, path)
    return model.requires_grad_(False).eval()
