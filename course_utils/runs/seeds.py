"""Several seeds of one recipe."""

from __future__ import annotations

from course_utils import recipes, runtime
from course_utils.recipes.recipe import Recipe
from course_utils.runs.driver import run
from course_utils.runs.folder import Run


def run_seeds(recipe: Recipe | str, n: int | None = None, **options) -> list[Run]:
    """Return runs of a recipe over seeds 0 to n-1; where `n` is None the profile decides.

    Args:
        recipe: a recipe, or its name.
        n: how many, at least one.
        options: profile, device, resume, progress, threads: see `run`.

    Raises CourseError as `run` does, and for an `n` that is no count.
    """
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    if n is None:
        n = recipe.seeds_in(options.get("profile"))
    runtime.whole_number(n, "n, the number of seeds,", least=1)
    return [run(recipe, seed, **options) for seed in range(n)]
