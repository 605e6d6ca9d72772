"""What a recipe is, and how a run of it comes to be, is kept, and is found again."""

from __future__ import annotations

import csv
import datetime
import hashlib
import io
import json
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from torch import nn

from course_utils import checkpoint, data, runtime, train
from course_utils.runtime import CourseError


@dataclass(frozen=True)
class Settings:
    """How a recipe is trained in one profile.

    Attributes:
        epochs, batch_size, lr: as everywhere.
        seeds: how many runs the book averages over.
        optimizer: "adam" or "adamw", always fused.
        weight_decay: of the optimizer.
        schedule: "constant", or "onecycle" with its peak at `lr`.
        precision: "float32" or "bf16" (autocast). bf16 pays where layers are wide or convolve: a
            convolutional VAE trains 1.8 times faster, the MLP autoencoder 1.4 times slower, since
            its matrices do not repay the casts of every step (two Xeon cores with AMX). A processor
            without bf16 instructions pays dearly: on one thread of an EPYC with AVX2 alone an epoch
            of the recipe `vae` took 28.5 s, not 4.2 (7 times), of `vae_binary` 117, not 6.8 (17).
        channels_last: memory format of the convolutions, faster there: 133 -> 112 s per epoch of
            the convolutional VAE on one core; nothing where there are none.
    """

    epochs: int
    batch_size: int
    lr: float
    seeds: int = 1
    optimizer: str = "adam"
    weight_decay: float = 0.0
    schedule: str = "constant"
    precision: str = "float32"
    channels_last: bool = False


@dataclass(frozen=True)
class Recipe:
    """A named run of the book.

    Attributes:
        name: what `course train` and `recipes.run` call it.
        says: one line for people.
        model: the class; `model_args` its arguments.
        loss: `loss(model, x, y, **loss_args)` -> dict of scalars.
        full, quick: the two profiles.
        data: the function that returns the `Dataset`.
    """

    name: str
    says: str
    model: type[nn.Module]
    model_args: dict
    loss: Callable
    full: Settings
    quick: Settings
    loss_args: dict = field(default_factory=dict)
    data: Callable = data.mnist

    def settings(self, profile: str | None = None) -> Settings:
        """Return the settings of the profile."""
        return self.quick if runtime.profile(profile) == "quick" else self.full

    def build(self) -> nn.Module:
        """Return the model, untrained."""
        return self.model(**self.model_args)

    def loss_fn(self, model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict:
        """Return the loss terms of a batch."""
        return self.loss(model, x, y, **self.loss_args)


@dataclass
class Run:
    """A finished run: its folder, its model in eval mode, and what was measured.

    Attributes:
        metrics: "train_…", "val_…" and "test_…" means per image of every loss term.
        history: one dict per epoch.
        info: all of run.json.
    """

    path: Path
    recipe: Recipe
    seed: int
    profile: str
    model: nn.Module
    metrics: dict[str, float]
    history: list[dict]
    info: dict


def seeds(recipe: Recipe, profile: str | None = None) -> int:
    """Return how many seeds the profile averages over."""
    return recipe.settings(profile).seeds


def describe(recipe: Recipe, seed: int, profile: str, dataset: data.Dataset) -> dict:
    """Return everything that a run's result depends on, the machine apart, as JSON-able data."""
    settings = asdict(recipe.settings(profile))
    del settings["seeds"]  # how many runs there are changes none of them
    return {
        "recipe": recipe.name,
        "model": recipe.model.__name__,
        "model_args": json.loads(json.dumps(recipe.model_args)),
        "loss": recipe.loss.__name__,
        "loss_args": recipe.loss_args,
        "settings": settings,
        "seed": seed,
        "profile": profile,
        "data": dataset.name,
        "data_sha256": dataset.sha256,
    }


def key(description: dict) -> str:
    """Return the short hash by which a run is found again."""
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:10]


def home(description: dict) -> Path:
    """Return the folder that a run is kept in when no other is asked for."""
    name = "{recipe}-{profile}-s{seed}".format_map(description)
    return runtime.runs_dir() / f"{name}-{key(description)}"


def train_recipe(
    recipe: Recipe,
    seed: int = 0,
    profile: str | None = None,
    device: str | None = None,
    out: Path | None = None,
    resume: bool = True,
    progress: bool | None = None,
) -> Run:
    """Load the run where it is finished, resume it where it was interrupted, else train it.

    Args:
        recipe, seed: what to run.
        profile: "quick" or "full"; COURSE_PROFILE where None.
        device: "cpu", "cuda", ...; the best there is where None.
        out: the run's folder; below `runtime.runs_dir()`, named by its hash, where None.
        resume: continue an interrupted run; otherwise its checkpoint is overwritten.
        progress: show a bar; None shows one in a terminal.

    Raises CourseError for bad arguments, a folder that cannot be written, or one that holds
    another run; train.Diverged and train.Interrupted from the training.
    """
    profile = runtime.profile(profile)
    where = runtime.device(device)
    dataset = recipe.data(profile=profile)
    description = describe(recipe, seed, profile, dataset)
    folder = Path(out) if out else home(description)
    if (folder / "run.json").exists():
        return load(folder, recipe, description)
    runtime.make_folder(folder)
    return _train(recipe, description, dataset, folder, where, resume, progress)


def _train(recipe, description, dataset, folder, where, resume, progress) -> Run:
    """Train from the last checkpoint or from the start, score, and finish the folder."""
    profile, seed = description["profile"], description["seed"]
    settings = recipe.settings(profile)
    runtime.seed_everything(seed)
    memory_format = torch.channels_last if settings.channels_last else torch.contiguous_format
    model = recipe.build().to(where, memory_format=memory_format)
    loaders = {
        name: data.batches(getattr(dataset, name), size, where, seed, shuffle=name == "train")
        for name, size in (("train", settings.batch_size), ("val", 1000), ("test", 1000))
    }
    optimizer = make_optimizer(model, settings)
    scheduler = make_schedule(optimizer, settings, len(loaders["train"]))
    last = folder / "checkpoint.safetensors"
    started = time.perf_counter()
    history = train.fit(
        model, recipe.loss_fn, loaders["train"], loaders["val"], epochs=settings.epochs,
        optimizer=optimizer, scheduler=scheduler, precision=settings.precision,
        checkpoint=last, resume=resume and resumable(last, description), progress=progress,
        run=description,
    )  # fmt: skip
    metrics = score(model, recipe, loaders)
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


def resumable(last: Path, description: dict) -> bool:
    """Tell whether `last` is a checkpoint of this very run; refuse another run's.

    Raises CourseError when it is unreadable or belongs to other settings or data.
    """
    if not last.exists():
        return False
    _, info = checkpoint.load(last)
    if info.get("run") != description:
        raise CourseError(
            f"{last.parent} holds an unfinished run with other settings or data; "
            "choose another folder with --out, or delete this one"
        )
    return True


def make_optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Return the fused optimizer that the settings name."""
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW}
    kind = kinds[settings.optimizer]
    return kind(model.parameters(), lr=settings.lr, weight_decay=settings.weight_decay, fused=True)


def make_schedule(optimizer, settings: Settings, steps_per_epoch: int):
    """Return the learning-rate schedule, stepped once per batch; None for a constant rate."""
    if settings.schedule == "constant":
        return None
    return torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.lr, total_steps=settings.epochs * steps_per_epoch
    )


def score(model: nn.Module, recipe: Recipe, loaders: dict) -> dict[str, float]:
    """Return the means of every loss term on train, val and test, in eval mode, in float32."""
    train_split = loaders["train"]
    in_order = data.Batches(train_split.x, train_split.y, 1000, train_split.x.device)
    every = {"train": in_order, "val": loaders["val"], "test": loaders["test"]}
    return {
        f"{split}_{name}": value
        for split, batches in every.items()
        for name, value in train.evaluate(model, recipe.loss_fn, batches).items()
    }


def finish(folder: Path, model: nn.Module, history: list[dict], info: dict) -> None:
    """Write weights, history and, last, run.json: its presence says that the run is finished."""
    weights = folder / "weights.safetensors"
    checkpoint.save(weights, model.state_dict(), {"model": info["model"]})
    runtime.write_atomically(folder / "history.csv", as_csv(history))
    sha256 = hashlib.sha256(weights.read_bytes()).hexdigest()
    info |= {"format": checkpoint.FORMAT, "weights_sha256": sha256}
    runtime.write_atomically(folder / "run.json", json.dumps(info, indent=1) + "\n")
    killed = [*folder.glob(".*.tmp"), *folder.glob(".tmp*")]  # writes: ours, and safetensors' own
    for unfinished in [folder / "checkpoint.safetensors", *killed]:
        unfinished.unlink(missing_ok=True)


def as_csv(rows: list[dict]) -> str:
    """Return rows that share their keys as CSV text."""
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def load(folder: Path, recipe: Recipe | None = None, expected: dict | None = None) -> Run:
    """Return the finished run in `folder`.

    Args:
        folder: as `train_recipe` left it.
        recipe: where None, the one that run.json names.
        expected: refuse the folder when it holds a run with another description.

    Raises CourseError for a folder without a finished run, a damaged one, one of another
    architecture, or one from a newer course.
    """
    folder = Path(folder)
    info = read_info(folder)
    if expected is not None and any(info.get(k) != v for k, v in expected.items()):
        raise CourseError(
            f"{folder} already holds a finished run with other settings or data; "
            "choose another folder with --out"
        )
    if recipe is None:
        from course_utils import recipes

        recipe = recipes.get(info["recipe"])
    path = folder / "weights.safetensors"
    tensors, _ = checkpoint.load(path)
    model = recipe.build()
    checkpoint.load_weights(model, tensors, path)
    if hashlib.sha256(path.read_bytes()).hexdigest() != info["weights_sha256"]:
        raise CourseError(f"{path} is not the file that run.json describes; train the run again")
    history = read_history(folder / "history.csv", info["settings"]["epochs"])
    return Run(folder, recipe, info["seed"], info["profile"], model.eval(), info["metrics"],
               history, info)  # fmt: skip


def read_history(path: Path, epochs: int) -> list[dict]:
    """Return the rows of history.csv; raise CourseError unless there is one for each epoch."""
    try:
        with path.open(newline="") as file:
            history = [numbers(row) for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError) as error:
        raise CourseError(f"{path} cannot be read ({error}); train the run again") from None
    if len(history) != epochs:
        raise CourseError(f"{path} has {len(history)} of {epochs} epochs; train the run again")
    return history


def numbers(row: dict[str, str]) -> dict:
    """Return a row of history.csv with its texts turned back into numbers."""
    return {k: int(v) if k == "epoch" else float(v) for k, v in row.items()}


def read_info(folder: Path) -> dict:
    """Return run.json of a finished run; raise CourseError when there is none or it is damaged."""
    path = folder / "run.json"
    if not path.is_file():
        unfinished = (folder / "checkpoint.safetensors").exists()
        state = "an unfinished run; finish it with --resume" if unfinished else "no run"
        raise CourseError(f"{folder} holds {state} (no run.json); `course train RECIPE` makes one")
    try:
        info = json.loads(path.read_text())
        checkpoint.refuse_newer(info["format"], path)
        info["recipe"], info["seed"], info["profile"], info["metrics"], info["weights_sha256"]
        info["settings"]["epochs"]
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise CourseError(f"{path} is damaged ({error!r}); train the run again") from None
    return info
