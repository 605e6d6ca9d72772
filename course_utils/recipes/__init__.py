"""The named runs of the book, one file per chapter.

    run = recipes.run("ae", seed=3)     # loads, resumes or trains
    run.model, run.history, run.metrics["test_sse"]

A run is a folder, named by a hash of everything it depends on. So a notebook shows how a model is
trained and never trains again what is already there.
"""

from __future__ import annotations

from course_utils.recipes import ae, cvae, referee, vae
from course_utils.recipes.base import Recipe, Run, Settings, load, seeds, train_recipe
from course_utils.recipes.measured import measured
from course_utils.runtime import CourseError

__all__ = ["Recipe", "Run", "Settings", "get", "load", "measured", "names", "run", "run_seeds"]

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe for recipe in [*ae.RECIPES, *vae.RECIPES, *cvae.RECIPES, *referee.RECIPES]
}


def names() -> list[str]:
    """Return the names of all recipes, in the order of the chapters."""
    return list(RECIPES)


def get(name: str) -> Recipe:
    """Return the recipe `name`; raise CourseError when there is none."""
    if name not in RECIPES:
        raise CourseError(f"recipe {name!r} is unknown; choose one of: {', '.join(RECIPES)}")
    return RECIPES[name]


def run(name: str, seed: int = 0, **options) -> Run:
    """Return the finished run of a recipe: loaded, resumed, or trained.

    Args:
        name: of the recipe.
        seed: of weights, batch order and noise.
        options: profile, device, out, resume, progress: see `base.train_recipe`.

    Raises CourseError for an unknown recipe and whatever stops a training.
    """
    return train_recipe(get(name), seed, **options)


def run_seeds(name: str, n: int | None = None, **options) -> list[Run]:
    """Return runs of a recipe over seeds 0 to n-1; where `n` is None the profile decides."""
    recipe = get(name)
    count = n or seeds(recipe, options.get("profile"))
    return [train_recipe(recipe, seed, **options) for seed in range(count)]
