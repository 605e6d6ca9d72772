"""What a recipe is: a model, a loss, data, and how it is fitted in each of the two profiles."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING

import torch
from torch import nn
from torch.optim import lr_scheduler

from course_utils import data, runtime, train
from course_utils.runtime import CourseError

if TYPE_CHECKING:
    from collections.abc import Iterable

OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
    "nadam": torch.optim.NAdam,
}
FUSED = {  # one kernel for all parameters; without it torch walks through them one by one
    "adam": ("cpu", "cuda", "mps"),
    "adamw": ("cpu", "cuda", "mps"),
    "sgd": ("cpu", "cuda", "mps"),
    "adagrad": ("cpu",),
}
SCHEDULES = {  # and what `schedule_args` may say, in epochs where it is a time
    "constant": (),
    "onecycle": ("pct_start", "div_factor", "final_div_factor", "anneal_strategy"),
    "step": ("step_size", "gamma"),
    "multistep": ("milestones", "gamma"),
    "cosine": ("eta_min",),
}
PRECISIONS = ("float32", "bf16", "auto")


@dataclass(frozen=True)
class Settings:
    """How a recipe is trained in one profile.

    Attributes:
        epochs, batch_size, lr: as everywhere.
        optimizer: "adam", "adamw", "sgd", "rmsprop", "adagrad", "adadelta" or "nadam", fused where
            torch can.
        weight_decay: of the optimizer.
        optimizer_args: its other arguments, by the names that torch gives them: {"momentum": 0.9}.
        schedule: of the learning rate, stepped after every batch. "constant"; "onecycle" with its
            peak at `lr`; "cosine" from `lr` down; "step" and "multistep", which multiply it.
        schedule_args: {"step_size": 5, "gamma": 0.5} for "step", {"milestones": [4, 12]} for
            "multistep", both in epochs; {"eta_min": 1e-5} for "cosine"; {"pct_start": 0.2} and
            other arguments of torch's OneCycleLR.
        precision: "float32"; "bf16" (autocast of the forward pass); or "auto": bf16 where the
            device has it natively, else float32. bf16 pays where layers are wide or convolve: a
            convolutional VAE trains 1.8 times faster, the MLP autoencoder 1.4 times slower, since
            its matrices do not repay the casts of every step (two Xeon cores with AMX). A processor
            without bf16 instructions pays dearly: on one thread of an EPYC with AVX2 alone an epoch
            of the recipe `vae` took 28.5 s, not 4.2 (7 times), of `vae_binary_40` 117, not 6.8.
        channels_last: memory format of the convolutions, faster there: 133 -> 112 s per epoch of
            the convolutional VAE on one core; nothing where there are none.

    Raises CourseError for a word that is unknown and a number that makes no sense.
    """

    epochs: int
    batch_size: int
    lr: float
    optimizer: str = "adam"
    weight_decay: float = 0.0
    optimizer_args: dict = field(default_factory=dict)
    schedule: str = "constant"
    schedule_args: dict = field(default_factory=dict)
    precision: str = "float32"
    channels_last: bool = False

    def __post_init__(self) -> None:
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES),
                            ("precision", PRECISIONS)):  # fmt: skip
            if getattr(self, name) not in known:
                raise CourseError(
                    f"{name} {getattr(self, name)!r} is unknown; choose one of: {', '.join(known)}"
                )
        for name in ("epochs", "batch_size"):
            runtime.whole_number(getattr(self, name), name, least=1)
        if not is_number(self.lr) or not 0 < self.lr < math.inf:
            raise CourseError(f"lr is {self.lr!r}; a learning rate is a number above 0")
        if not is_number(self.weight_decay) or not 0 <= self.weight_decay < math.inf:
            raise CourseError(f"weight_decay is {self.weight_decay!r}; it is a number, 0 or more")
        self._refuse_arguments("optimizer_args", optimizer_arguments(self.optimizer))
        self._refuse_arguments("schedule_args", SCHEDULES[self.schedule])

    def _refuse_arguments(self, name: str, known: Iterable[str]) -> None:
        """Raise CourseError when the arguments `name` hold one that is not among `known`."""
        wrong = [word for word in getattr(self, name) if word not in known]
        if wrong:
            what = name.removesuffix("_args")
            raise CourseError(
                f"{name} holds {wrong[0]!r}, which {what} {getattr(self, what)!r} does not take; "
                f"it takes: {', '.join(known) or 'nothing'}"
            )


def is_number(value: object) -> bool:
    """Tell whether a value is a number; True and False are none here."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def optimizer_arguments(name: str) -> list[str]:
    """Return what an optimizer takes beside parameters, `lr`, `weight_decay` and its speed."""
    ours = ("params", "lr", "weight_decay", "fused", "foreach", "capturable", "differentiable")
    return [word for word in inspect.signature(OPTIMIZERS[name]).parameters if word not in ours]


def make_optimizer(model: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """Return the optimizer that the settings name, over the parameters of `model`.

    Raises CourseError for arguments that torch refuses.
    """
    parameters = list(model.parameters())
    devices = {parameter.device.type for parameter in parameters}
    arguments = {k: tuple(v) if k == "betas" else v for k, v in settings.optimizer_args.items()}
    if devices <= set(FUSED.get(settings.optimizer, ())):
        arguments["fused"] = True
    try:
        return OPTIMIZERS[settings.optimizer](
            parameters, lr=settings.lr, weight_decay=settings.weight_decay, **arguments
        )
    except (TypeError, ValueError) as error:
        raise CourseError(f"optimizer {settings.optimizer!r}: {error}") from None


def make_schedule(optimizer, settings: Settings, steps_per_epoch: int):
    """Return the learning-rate schedule, stepped once per batch; None for a constant rate.

    Raises CourseError for arguments that torch refuses.
    """
    if settings.schedule == "constant":
        return None
    steps, given = settings.epochs * steps_per_epoch, dict(settings.schedule_args)
    makers = {
        "onecycle": lambda: lr_scheduler.OneCycleLR(
            optimizer, settings.lr, total_steps=steps, cycle_momentum=has_momentum(optimizer),
            **given,
        ),
        "cosine": lambda: lr_scheduler.CosineAnnealingLR(optimizer, steps, **given),
        "step": lambda: lr_scheduler.StepLR(
            optimizer, given.pop("step_size") * steps_per_epoch, **given
        ),
        "multistep": lambda: lr_scheduler.MultiStepLR(
            optimizer, [epoch * steps_per_epoch for epoch in given.pop("milestones")], **given
        ),
    }  # fmt: skip
    try:
        return makers[settings.schedule]()
    except (TypeError, ValueError) as error:
        raise CourseError(f"schedule {settings.schedule!r}: {error}") from None
    except KeyError as error:
        raise CourseError(f"schedule {settings.schedule!r} needs schedule_args {error}") from None


def has_momentum(optimizer: torch.optim.Optimizer) -> bool:
    """Tell whether an optimizer has a momentum that one cycle may move against the rate."""
    return "betas" in optimizer.defaults or optimizer.defaults.get("momentum", 0) > 0


# --------------------------------------------------------------------------- how a recipe is fitted


def fit_one_loss(recipe: Recipe, settings: Settings, model: nn.Module, loaders: dict, **loop):
    """Train `model` on the recipe's loss with one optimizer; return the history.

    This is what `Recipe.fit` is unless a recipe says otherwise; another one has the same arguments.

    Args:
        recipe: whose loss is minimised.
        settings: of the profile, its precision settled.
        model: on its device, freshly built and seeded; trained in place.
        loaders: batches "train", "val" and "test" on that device; "test" is not for here.
        loop: checkpoint, resume, run, on_epoch and progress, for `train.fit` or its kin.
    """
    optimizer = make_optimizer(model, settings)
    scheduler = make_schedule(optimizer, settings, len(loaders["train"]))
    return train.fit(
        model, recipe.loss_fn, loaders["train"], loaders["val"], epochs=settings.epochs,
        optimizer=optimizer, scheduler=scheduler, precision=settings.precision, **loop,
    )  # fmt: skip


def mean_terms(recipe: Recipe, model: nn.Module, batches) -> dict[str, float]:
    """Return the mean per image of every term of the recipe's loss, in eval mode, in float32.

    This is what `Recipe.score` is unless a recipe says otherwise.
    """
    return train.evaluate(model, recipe.loss_fn, batches)


# ------------------------------------------------------------------------------------------ recipes


@dataclass(frozen=True)
class Recipe:
    """A named run of the book.

    Attributes:
        name: what `course train` and `recipes.run` call it.
        says: one line for people.
        model: the class; `model_args` its arguments.
        loss: `loss(model, x, y, **loss_args)` -> dict of scalars.
        full, quick: the two profiles.
        data: the function that returns the `Dataset`; called with `profile`.
        seeds: how many runs the book averages over in full; quick makes one.
        fit: how it is trained, see `fit_one_loss`.
        score: what is measured of each split when it is finished, see `mean_terms`.
    """

    name: str
    says: str
    model: Callable[..., nn.Module]
    model_args: dict
    loss: Callable | None
    full: Settings
    quick: Settings
    loss_args: dict = field(default_factory=dict)
    data: Callable[..., data.Dataset] = data.mnist
    seeds: int = 1
    fit: Callable[..., list[dict]] = fit_one_loss
    score: Callable[..., dict[str, float]] = mean_terms

    def settings(self, profile: str | None = None) -> Settings:
        """Return the settings of the profile."""
        return self.quick if runtime.profile(profile) == "quick" else self.full

    def seeds_in(self, profile: str | None = None) -> int:
        """Return how many runs the profile averages over."""
        return 1 if runtime.profile(profile) == "quick" else self.seeds

    def build(self) -> nn.Module:
        """Return the model, untrained."""
        return self.model(**self.model_args)

    def loss_fn(self, model: nn.Module, x: torch.Tensor, y: torch.Tensor | None = None) -> dict:
        """Return the loss terms of a batch."""
        return self.loss(model, x, y, **self.loss_args)

    def variant(self, **changes) -> Recipe:
        """Return a recipe that differs in some things: for a sweep, which needs no names.

            for rate in (0.0, 0.2, 0.5):
                run = runs.run(recipes.get("mlp").variant(model_args={"dropout": rate}))

        It is in no list, and its runs are kept and found like any other's. Of `model_args`,
        `loss_args` and `optimizer_args` only what is named changes; what names one (`model`,
        `loss`, `optimizer`, `schedule`) takes the old arguments away.

        Args:
            changes: attributes of the recipe, or of its settings (lr, epochs, ...): those change
                in both profiles.

        Raises CourseError for a name that neither has, or a setting that makes no sense.
        """
        of_settings = {f.name for f in fields(Settings)} & set(changes)
        unknown = set(changes) - of_settings - {f.name for f in fields(Recipe)}
        if unknown:
            known = [f.name for f in (*fields(Recipe), *fields(Settings))]
            raise CourseError(
                f"a recipe has no {sorted(unknown)[0]!r} to vary; choose among: {', '.join(known)}"
            )
        settings = {name: changes[name] for name in of_settings}
        own = {name: value for name, value in changes.items() if name not in of_settings}
        profiles = {
            name: changed(own.pop(name, getattr(self, name)), settings)
            for name in ("full", "quick")
        }
        return changed(self, own | profiles)


def changed(what: Recipe | Settings, changes: dict) -> Recipe | Settings:
    """Return a recipe or settings with the changes; dicts of arguments are joined with the old."""
    merged = {}
    for name, value in changes.items():
        if name.endswith("_args"):
            kept = {} if name.removesuffix("_args") in changes else getattr(what, name)
            value = {**kept, **value}
        elif hasattr(what, f"{name}_args"):
            merged.setdefault(f"{name}_args", {})
        merged[name] = value
    return replace(what, **merged)
