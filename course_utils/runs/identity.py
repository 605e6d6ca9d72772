"""By what a run is known: everything that its result depends on, as JSON, and a hash of it."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import asdict

from course_utils import data
from course_utils.recipes.recipe import Recipe, fit_one_loss
from course_utils.runtime import CourseError


def describe(recipe: Recipe, seed: int, profile: str, dataset: data.Dataset) -> dict:
    """Return everything that a run's result depends on, machine and code apart.

    It is what JSON makes of it, so that it equals what run.json and checkpoints give back.

    Raises CourseError for arguments that JSON cannot hold.
    """
    return parts_of(recipe, profile) | {
        "seed": seed,
        "profile": profile,
        "data": dataset.name,
        "data_sha256": dataset.sha256,
    }


def parts_of(recipe: Recipe, profile: str) -> dict:
    """Return what a recipe consists of in a profile, as JSON-able data.

    What most recipes leave as it is (how it is fitted, the optimizer's own arguments) is left out.
    """
    settings = {k: v for k, v in asdict(recipe.settings(profile)).items() if v != {}}
    description = {
        "recipe": recipe.name,
        "model": recipe.model.__name__,
        "model_args": recipe.model_args,
        "loss": recipe.loss.__name__ if recipe.loss else None,
        "loss_args": recipe.loss_args,
        "settings": settings,
    }
    if recipe.fit is not fit_one_loss:
        description["fit"] = recipe.fit.__name__
    return as_json(description)


def as_json(value, where: str = "") -> object:
    """Return `value` as JSON gives it back: tuples become lists.

    Args:
        value: of strings, numbers, booleans, None, and lists, tuples and dicts of them.
        where: the name of the value, for the message.

    Raises CourseError for anything else, NaN and infinity among it.
    """
    if isinstance(value, dict):
        for name in value:
            if not isinstance(name, str):
                raise CourseError(f"{where} has the key {name!r}; keys of arguments are strings")
        return {k: as_json(v, f"{where}.{k}".removeprefix(".")) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_json(v, where) for v in value]
    plain = value is None or type(value) in (str, bool, int, float)
    if not plain or (isinstance(value, float) and not math.isfinite(value)):
        raise CourseError(
            f"{where} is {value!r} ({type(value).__name__}), which a run cannot be known by; use "
            "numbers, words, and lists of them (float(x) for a tensor's number)"
        )
    return json.loads(json.dumps(value))


def key(description: dict) -> str:
    """Return the short hash by which a run is found again."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:10]
