"""How a run comes to be: loaded where it is finished, resumed where interrupted, or trained."""

from __future__ import annotations

import contextlib
import datetime
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from course_utils import data, folders, provenance, recipes, runtime, train
from course_utils.recipes.recipe import Recipe, Settings
from course_utils.runs.code import code_hash
from course_utils.runs.folder import (
    CHECKPOINT,
    Run,
    finish,
    finished,
    held,
    home,
    load,
    refuse_foreign,
    unfinished,
    use,
)  # fmt: skip
from course_utils.runs.identity import describe

SCORED_AT_ONCE = 1000 * 28 * 28  # numbers in a batch that is only scored
MAX_SEED = 2**31 - 1  # whatever draws from a seed takes numbers up to here


@dataclass(frozen=True)
class Plan:
    """A run that may have to be trained: what, on what, where.

    Attributes:
        recipe, seed, profile: of the run.
        dataset: as the recipe loads it in the profile.
        description: by which the run is known.
        folder: in which it is kept.
    """

    recipe: Recipe
    seed: int
    profile: str
    dataset: data.Dataset
    description: dict
    folder: Path


def plan(recipe: Recipe | str, seed: int, profile: str | None, out: Path | None = None) -> Plan:
    """Return the plan of a run; nothing is written, and the data is loaded.

    Args:
        recipe: a recipe, or its name.
        seed, profile, out: as in `run`.

    Raises CourseError for a recipe, seed or profile that makes no sense.
    """
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    profile = runtime.profile(profile)
    runtime.whole_number(seed, "seed", least=0, most=MAX_SEED)
    dataset = recipe.data(profile=profile)
    description = describe(recipe, seed, profile, dataset)
    folder = folders.located(out) if out else home(description)
    return Plan(recipe, seed, profile, dataset, description, folder)


def run(
    recipe: Recipe | str,
    seed: int = 0,
    profile: str | None = None,
    device: str | None = None,
    out: Path | None = None,
    resume: bool = True,
    progress: bool | None = None,
    threads: int | None = None,
    on_epoch: Callable[[dict], None] | None = None,
) -> Run:
    """Load the run where it is finished, resume it where it was interrupted, else train it.

    Args:
        recipe: a recipe, or its name.
        seed: of weights, batch order and noise.
        profile: "quick" or "full"; COURSE_PROFILE where None.
        device: "cpu", "cuda", ...; the best there is where None.
        out: the run's folder; below `folders.runs_dir()`, named by its hash, where None.
        resume: continue an interrupted run; otherwise its checkpoint is overwritten.
        progress: show a bar; None shows one in a terminal.
        threads: to train with on the processor; None decides at the start, see
            `runtime.threads_for`. A resumed run goes on with those that it began with.
        on_epoch: called with each new row of the history.

    Raises CourseError for bad arguments, a folder that cannot be written, or one that holds
    something else; train.Diverged and train.Interrupted from the training.
    """
    if threads is not None:
        runtime.whole_number(threads, "threads", least=1, most=1024)
    where = runtime.device(device)
    todo = plan(recipe, seed, profile, out)
    if finished(todo.folder):
        return load(todo.folder, todo.recipe, todo.description)
    refuse_foreign(todo.folder)
    folders.make_folder(todo.folder)
    with held(todo.folder):
        if finished(todo.folder):  # by the process that was waited for
            return load(todo.folder, todo.recipe, todo.description)
        return _train(todo, where, resume, threads, progress=progress, on_epoch=on_epoch)


def _train(todo: Plan, where: torch.device, resume: bool, threads: int | None, **loop) -> Run:
    """Train from the last checkpoint or from the start, score, and finish the folder."""
    recipe, settings = todo.recipe, todo.recipe.settings(todo.profile)
    begun = unfinished(todo.folder, todo.description)  # refuses another run's checkpoint
    resume = resume and begun is not None
    runtime.seed_everything(todo.seed)
    memory_format = torch.channels_last if settings.channels_last else torch.contiguous_format
    model = recipe.build().to(where, memory_format=memory_format)
    count = train.parameter_count(model)
    how = circumstances(recipe, settings, where, count, threads) | (begun if resume else {})
    started = time.perf_counter()
    with computing(where, how["threads"]):
        history = recipe.fit(
            recipe, replace(settings, precision=how["precision"]), model,
            loaders(todo.dataset, settings, where, todo.seed),
            checkpoint=todo.folder / CHECKPOINT, resume=resume, run=how | todo.description, **loop,
        )  # fmt: skip
        info = how | todo.description | {
            "metrics": score(recipe, model, todo.dataset, where),
            "parameters": count,
            "seconds": round(time.perf_counter() - started, 1),
            "device": provenance.device_label(where),
            "versions": provenance.versions(),
            "date": datetime.date.today().isoformat(),
        }  # fmt: skip
    finish(todo.folder, model, history, info)
    run = Run(todo.folder, recipe, todo.seed, todo.profile, model.cpu().eval(), info["metrics"],
              history, info)  # fmt: skip
    use(run)
    return run


def circumstances(
    recipe: Recipe, settings: Settings, where: torch.device, parameters: int, threads: int | None
) -> dict:
    """Return how a run is made: with which code, precision and threads (None off the processor).

    They are kept in the checkpoint, so that a resumed run goes on as it began, and in run.json; a
    run is not known by them.
    """
    on_cpu = where.type == "cpu"
    return {
        "code": code_hash(recipe),
        "precision": runtime.precision_on(where, settings.precision),
        "threads": runtime.threads_for(parameters, threads) if on_cpu else None,
    }


def computing(where: torch.device, threads: int | None):
    """Return the context in which a run computes: with its threads, on the processor."""
    if where.type != "cpu" or threads is None:
        return contextlib.nullcontext()
    return runtime.using_threads(threads)


def loaders(dataset: data.Dataset, settings: Settings, where: torch.device, seed: int) -> dict:
    """Return the batches of every split on the device; those to train on in random order."""
    to_train = data.batches(dataset.train, settings.batch_size, where, seed, shuffle=True)
    return {"train": to_train} | {
        name: in_order(getattr(dataset, name), where) for name in ("val", "test")
    }


def in_order(split: data.Split, where: torch.device) -> data.Batches:
    """Return large batches of a split as it lies, to be scored: 1000 digits, 64 larger faces."""
    numbers = max(1, split.x[0].numel())
    return data.batches(split, max(1, min(1000, SCORED_AT_ONCE // numbers)), where)


def score(recipe: Recipe, model: nn.Module, dataset, where: torch.device) -> dict[str, float]:
    """Return what the recipe measures of train, val and test, by names led by the split's."""
    scores = {}
    for split in ("train", "val", "test"):
        found = recipe.score(recipe, model, in_order(getattr(dataset, split), where))
        scores |= {f"{split}_{name}": value for name, value in found.items()}
    return scores
