"""How a run comes to be: loaded where it is finished, resumed where it was interrupted, or trained."""

from __future__ import annotations

import datetime
import time
from pathlib import Path

import torch
from torch import nn

from course_utils import data, recipes, runtime, train
from course_utils.recipes.recipe import Recipe, Settings
from course_utils.runs.folder import Run, finish, home, load, resumable
from course_utils.runs.identity import describe


SCORED_AT_ONCE = 1000  # images
MAX_SEED = 2**31 - 1  # whatever draws from a seed takes numbers up to here


def run(
    recipe: Recipe | str,
    seed: int = 0,
    profile: str | None = None,
    device: str | None = None,
    out: Path | None = None,
    resume: bool = True,
    progress: bool | None = None,
) -> Run:
    """Load the run where it is finished, resume it where it was interrupted, else train it.

    Args:
        recipe: a recipe, or its name.
        seed: of weights, batch order and noise.
        profile: "quick" or "full"; COURSE_PROFILE where None.
        device: "cpu", "cuda", ...; the best there is where None.
        out: the run's folder; below `runtime.runs_dir()`, named by its hash, where None.
        resume: continue an interrupted run; otherwise its checkpoint is overwritten.
        progress: show a bar; None shows one in a terminal.

    Raises CourseError for bad arguments, a folder that cannot be written, or one that holds
    another run; train.Diverged and train.Interrupted from the training.
    """
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    profile = runtime.profile(profile)
    runtime.whole_number(seed, "seed", least=0, most=MAX_SEED)
    where = runtime.device(device)
    dataset = recipe.data(profile=profile)
    description = describe(recipe, seed, profile, dataset)
    folder = Path(out) if out else home(description)
    if (folder / "run.json").exists():
        return load(folder, recipe, description)
    runtime.make_folder(folder)
    return _train(recipe, description, dataset, folder, where, resume, progress)


def run_seeds(recipe: Recipe | str, n: int | None = None, **options) -> list[Run]:
    """Return runs of a recipe over seeds 0 to n-1; where `n` is None the profile decides.

    Args:
        recipe: a recipe, or its name.
        n: how many, at least one.
        options: profile, device, resume, progress: see `run`.

    Raises CourseError as `run` does, and for an `n` that is no count.
    """
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    if n is None:
        n = recipe.seeds_in(options.get("profile"))
    runtime.whole_number(n, "n, the number of seeds,", least=1)
    return [run(recipe, seed, **options) for seed in range(n)]


def _train(recipe, description, dataset, folder, where, resume, progress) -> Run:
    """Train from the last checkpoint or from the start, score, and finish the folder."""
    profile, seed = description["profile"], description["seed"]
    settings = recipe.settings(profile)
    runtime.seed_everything(seed)
    memory_format = torch.channels_last if settings.channels_last else torch.contiguous_format
    model = recipe.build().to(where, memory_format=memory_format)
    last = folder / "checkpoint.safetensors"
    started = time.perf_counter()
    history = recipe.fit(
        recipe, settings, model, loaders(dataset, settings, where, seed),
        checkpoint=last, resume=resume and resumable(last, description), progress=progress,
        run=description,
    )  # fmt: skip
    metrics = score(recipe, model, dataset, where)
    info = description | {
        "metrics": metrics,
        "parameters": train.parameter_count(model),
        "seconds": round(time.perf_counter() - started, 1),
        "device": runtime.device_label(where),
        "versions": runtime.versions(),
        "date": datetime.date.today().isoformat(),
    }
    finish(folder, model, history, info)
    return Run(folder, recipe, seed, profile, model.cpu().eval(), metrics, history, info)


def loaders(dataset: data.Dataset, settings: Settings, where: torch.device, seed: int) -> dict:
    """Return the batches of every split on the device; those to train on in random order."""
    return {
        name: data.batches(getattr(dataset, name), size, where, seed, shuffle=name == "train")
        for name, size in (
            ("train", settings.batch_size),
            ("val", SCORED_AT_ONCE),
            ("test", SCORED_AT_ONCE),
        )
    }


def score(recipe: Recipe, model: nn.Module, dataset, where: torch.device) -> dict[str, float]:
    """Return what the recipe measures of train, val and test, by names led by the split's."""
    scores = {}
    for split in ("train", "val", "test"):
        in_order = data.batches(getattr(dataset, split), SCORED_AT_ONCE, where)
        found = recipe.score(recipe, model, in_order)
        scores |= {f"{split}_{name}": value for name, value in found.items()}
    return scores
