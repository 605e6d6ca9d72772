"""Sweeps: many small runs of which only the numbers are kept.

    for share in (0.0, 0.25, 0.5):
        found = sweeps.numbers(recipes.get("mlp").variant(model_args={"dropout": share}), seed=0)
        found.metrics["test_accuracy"], found.history

A run keeps its weights, a megabyte or more. A chapter that compares a hundred settings needs a few
numbers of each: here they are kept as one file of a few kilobytes, below `numbers` in the folder of
runs, by the same hash as a run's folder.
"""

from __future__ import annotations

import json
import statistics
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from course_utils import folders, recipes, runs, runtime
from course_utils.errors import CourseError
from course_utils.recipes.recipe import Recipe
from course_utils.runs.folder import home, use

FOLDER = "numbers"


@dataclass(frozen=True)
class Numbers:
    """What is known of a run whose weights are gone; the attributes are those of a `Run`.

    `path` is the folder in which the run would be kept whole.
    """

    path: Path
    recipe: Recipe
    seed: int
    profile: str
    metrics: dict[str, float]
    history: list[dict]
    info: dict


def numbers(
    recipe: Recipe | str, seed: int = 0, profile: str | None = None, device: str | None = None
) -> Numbers:
    """Return metrics and history of a run: the kept ones, else those of a training now.

    Args:
        recipe: a recipe, a variant of one, or its name.
        seed: of weights, batch order and noise.
        profile, device: as in `runs.run`.

    A run that is kept with its weights is used as it is. Raises CourseError as `runs.run` does, and
    for a file of numbers that is damaged.
    """
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    profile = runtime.profile(profile)
    description = runs.describe(recipe, seed, profile, recipe.data(profile=profile))
    folder = home(description)
    if folders.exists(folder / "run.json"):
        return of_run(runs.run(recipe, seed, profile, device))
    path = folders.runs_dir() / FOLDER / f"{folder.name}.json"
    if not folders.exists(path):
        folders.make_folder(path.parent)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as room:
            made = runs.run(recipe, seed, profile, device, out=Path(room) / "run", progress=False)
        content = {"info": made.info, "history": made.history}
        folders.write_atomically(path, json.dumps(content) + "\n")
    found = read(path, folder, recipe, description)
    use(found)
    return found


def numbers_of_seeds(recipe: Recipe | str, n: int | None = None, **options) -> list[Numbers]:
    """Return the numbers of seeds 0 to n-1; in the quick profile of seed 0 alone.

    Args:
        recipe: as in `numbers`.
        n: how many, at least one; None asks the recipe.
        options: those of `numbers`, but the seed.
    """
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    n = recipe.seeds if n is None else n
    runtime.whole_number(n, "n, the number of seeds,", least=1)
    n = 1 if runtime.profile(options.get("profile")) == "quick" else n
    return [numbers(recipe, seed, **options) for seed in range(n)]


def over(variants: dict[str, Recipe], n: int, **options) -> dict[str, list[Numbers]]:
    """Return the numbers of n seeds for each of the variants, by their names."""
    return {name: numbers_of_seeds(recipe, n, **options) for name, recipe in variants.items()}


def mean(found: Iterable[Numbers], key: str = "test_accuracy") -> float:
    """Return the mean of a metric over runs; raise CourseError where there are none."""
    values = [one.metrics[key] for one in found]
    if not values:
        raise CourseError("there are no runs to average over")
    return sum(values) / len(values)


def shown(found: Iterable[Numbers], key: str = "test_accuracy") -> str:
    """Return an accuracy as a table shows it: "97.95% ± 0.12%", mean and standard deviation.

    Args:
        found: the runs; of a single one there is no deviation: "97.95%".
        key: the metric, between 0 and 1.

    Raises CourseError where there are none.
    """
    found = list(found)
    average = f"{mean(found, key):.2%}"
    if len(found) == 1:
        return average
    return f"{average} ± {statistics.stdev(one.metrics[key] for one in found):.2%}"


def of_run(run: runs.Run) -> Numbers:
    """Return the numbers of a run."""
    return Numbers(run.path, run.recipe, run.seed, run.profile, run.metrics, run.history, run.info)


def read(path: Path, folder: Path, recipe: Recipe, description: dict) -> Numbers:
    """Return the numbers kept in `path`, of a run whose folder would be `folder`.

    Raises CourseError when the file is damaged or describes another run.
    """
    try:
        content = json.loads(folders.read_text(path))
        info, history = content["info"], content["history"]
        wrong = [name for name, value in description.items() if info.get(name) != value]
        metrics = {name: float(value) for name, value in info["metrics"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise CourseError(f"{path} cannot be read ({error}); delete it to train again") from None
    if wrong:
        raise CourseError(f"{path} is of a run with another {wrong[0]}; delete it to train again")
    return Numbers(folder, recipe, info["seed"], info["profile"], metrics, history, info)


def rows(found: dict[str, list[Numbers]], against: str | None = None) -> list[dict]:
    """Return a table of test accuracies: mean, deviation, and the difference from one variant.

    Args:
        found: as `over` returns it.
        against: the name of the variant that the others are compared with; None compares none.

    Raises CourseError for a name that is not among the variants.
    """
    if against is not None and against not in found:
        raise CourseError(f"{against!r} is none of the variants: {', '.join(found)}")
    table = []
    for name, runs_of in found.items():
        values = [one.metrics["test_accuracy"] for one in runs_of]
        row = {"network": name, "test accuracy": f"{mean(runs_of):.2%}"}
        row["deviation"] = f"{statistics.stdev(values):.2%}" if len(values) > 1 else "–"
        if against is not None:
            row["difference in points"] = f"{100 * (mean(runs_of) - mean(found[against])):+.2f}"
        table.append(row)
    return table
