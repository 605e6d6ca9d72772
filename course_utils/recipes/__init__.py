"""The named recipes of the book, one file per chapter: what is trained, on what, and how.

recipe = recipes.get("ae")
run = recipes.run("ae", seed=3)     # loads, resumes or trains: see `course_utils.runs`
"""

from __future__ import annotations

import difflib
import fnmatch

from course_utils.recipes import (
    ae,
    conv,
    cvae,
    dae,
    deep,
    face_referee,
    gan,
    mlp,
    referee,
    told_faces,
    vae,
)
from course_utils.recipes.recipe import Recipe, Settings
from course_utils.runtime import CourseError

__all__ = ["Recipe", "Settings", "get", "names"]

RECIPES: dict[str, Recipe] = {
    recipe.name: recipe
    for recipe in [
        *ae.RECIPES,
        *deep.RECIPES,
        *conv.RECIPES,
        *dae.RECIPES,
        *vae.RECIPES,
        *cvae.RECIPES,
        *mlp.RECIPES,
        *referee.RECIPES,
        *gan.RECIPES,
        *face_referee.RECIPES,
        *told_faces.RECIPES,
    ]
}
SHIPPED = dict(RECIPES)  # other processes know these, whatever a notebook adds
OF_RUNS = ("Run", "load", "measured", "run", "run_seeds")  # chapters call them by recipes.NAME


def names() -> list[str]:
    """Return the names of all recipes, in the order of the chapters."""
    return list(RECIPES)


def chosen(patterns: list[str]) -> list[str]:
    """Return the names that fit one of some patterns, with * and ? for whatever.

    Raises CourseError for a pattern that fits none.
    """
    fitting = [fnmatch.filter(RECIPES, pattern) or [get(pattern).name] for pattern in patterns]
    return [name for name in RECIPES if any(name in among for among in fitting)]


def get(name: str) -> Recipe:
    """Return the recipe `name`; raise CourseError when there is none."""
    if name not in RECIPES:
        near = difflib.get_close_matches(str(name).lower(), RECIPES, n=3)
        meant = f"did you mean {' or '.join(near)}? " if near else ""
        raise CourseError(f"recipe {name!r} is unknown; {meant}`course recipes` lists them all")
    return RECIPES[name]


def __getattr__(name: str):
    """Return what `course_utils.runs` has under these names; it stands above the recipes."""
    if name not in OF_RUNS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from course_utils import runs

    return getattr(runs, name)
