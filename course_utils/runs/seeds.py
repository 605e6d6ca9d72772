"""Several seeds of one recipe: one after another, or side by side where each takes long.

Side by side each run has a process and one thread of its own: threads that share a step wait for
each other at every layer, seeds wait for nobody. A run that is trained so is the same, bit for bit,
as with `at_once=1`.

In turn on two idle cores of an EPYC, the start of the processes included: two seeds of `unet_0.3`,
one epoch each, took 68 s side by side, 107 s one by one with one thread, and 71 s with two; four
seeds of `ae`, twenty epochs each, 122, 132 and 102 s. So against one thread it pays where a step
computes much; against two threads on an idle machine it gained little there, and lost for `ae`.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

import torch

from course_utils import recipes, runtime
from course_utils.errors import CourseError
from course_utils.recipes.recipe import Recipe
from course_utils.runs.driver import Plan, loaders, plan, run
from course_utils.runs.folder import Run, finished, read_info
from course_utils.runs.workers import train_side_by_side

WORTHWHILE = 30.0  # seconds; below, the start of a process (torch, data) eats what it saves
PROBED = (2, 12)  # steps: what the longer probe takes more is ten steps
CLEAR = 1.0  # seconds for the shorter one: then nobody need look closer
MEMORY = 1.5e9  # bytes that a process with torch and a data set may take


def run_seeds(
    recipe: Recipe | str,
    n: int | None = None,
    *,
    at_once: int | None = None,
    profile: str | None = None,
    device: str | None = None,
    resume: bool = True,
    progress: bool | None = None,
    threads: int | None = None,
) -> list[Run]:
    """Return runs of a recipe over seeds 0 to n-1.

    Where a run takes more than half a minute on the processor, each is trained with one thread, and
    several are trained side by side.

    Args:
        recipe: a recipe, or its name.
        n: how many, at least one; None asks the recipe and the profile.
        at_once: how many may be trained side by side; None takes one per core.
        profile, device, resume, progress: see `run`.
        threads: see `run`; more than one means one run after another.

    Ctrl-C stops all of them; finished epochs are kept. Raises CourseError as `run` does, and for
    numbers that are no counts.
    """
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    n = recipe.seeds_in(profile) if n is None else n
    runtime.whole_number(n, "n, the number of seeds,", least=1)
    if at_once is not None:
        runtime.whole_number(at_once, "at_once", least=1)
    where = runtime.device(device)
    if n > 1 and where.type == "cpu":
        plans = [plan(recipe, seed, profile) for seed in range(n)]
        todo = [one for one in plans if not finished(one.folder)]
        if todo and takes_long(plans):
            threads = threads or runtime.threads_named() or 1
            if (width := how_many_at_once(todo, threads, at_once)) > 1:
                train_side_by_side(todo, width, resume, progress)
    return [
        run(recipe, seed, profile, device, resume=resume, progress=progress, threads=threads)
        for seed in range(n)
    ]


def takes_long(plans: list[Plan]) -> bool:
    """Tell whether a run takes so long that it repays a process of its own.

    Runs that are finished tell; where there are none, a few steps do.
    """
    for one in plans:
        if finished(one.folder):
            return read_info(one.folder).get("seconds", 0) > WORTHWHILE
    return estimated_seconds(plans[0]) > WORTHWHILE


def estimated_seconds(one: Plan) -> float:
    """Return how long a run takes with one thread, by a probe of a few steps; 0 if it fails.

    The probe trains a model of its own, keeps nothing, and leaves torch's random state as it was.
    """
    settings = one.recipe.settings(one.profile)
    per_epoch = math.ceil(len(one.dataset.train) / settings.batch_size)
    steps = settings.epochs * per_epoch
    few, more = (min(count, per_epoch) for count in PROBED)
    try:
        with runtime.using_threads(1), torch.random.fork_rng(devices=[]):
            probe(one, few)  # torch loads much at its first step
            short = probe(one, few)
            if short > CLEAR or few == more:
                return steps * short / few
            return steps * max(0.0, probe(one, more) - short) / (more - few)
    except CourseError:  # the training itself will say it better
        return 0.0


def probe(one: Plan, steps: int) -> float:
    """Train a fresh model for some steps, on the processor; return the seconds it took."""
    started = time.perf_counter()
    settings = replace(one.recipe.settings(one.profile), epochs=1)
    cpu = torch.device("cpu")
    settings = replace(settings, precision=runtime.precision_on(cpu, settings.precision))
    few = {name: getattr(one.dataset, name).head(settings.batch_size) for name in ("val", "test")}
    dataset = replace(one.dataset, train=one.dataset.train.head(steps * settings.batch_size), **few)
    one.recipe.fit(
        one.recipe, settings, one.recipe.build(), loaders(dataset, settings, cpu, one.seed),
        checkpoint=None, resume=False, run=None, progress=False, on_epoch=None,
    )  # fmt: skip
    return time.perf_counter() - started


def how_many_at_once(todo: list[Plan], threads: int, at_once: int | None) -> int:
    """Return how many runs to train side by side; 1 means one after another."""
    if threads != 1 or not can_be_told(todo[0].recipe):
        return 1
    memory = max(1.0, runtime.free_memory() // MEMORY)
    return int(min(len(todo), at_once or len(runtime.cores()), memory))


def can_be_told(recipe: Recipe) -> bool:
    """Tell whether another process can build the recipe from its description.

    That is so for those of the course and their variants in numbers and words; functions that a
    notebook defines are known to that notebook alone.
    """
    shipped = recipes.SHIPPED.get(recipe.name)
    parts = ("model", "loss", "data", "fit", "score")
    return shipped is not None and all(
        getattr(recipe, part) is getattr(shipped, part) for part in parts
    )
