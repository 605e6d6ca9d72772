"""The training of everything that has one loss.

It is fast for plain reasons: the data rests on the device, nothing asks the device for a number
during a step, and the optimizer updates all parameters in one fused operation.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from course_utils import runtime
from course_utils.data.loader import Loader, check_loader
from course_utils.errors import CourseError
from course_utils.losses import check_input
from course_utils.train import graphs
from course_utils.train.loop import run_epochs
from course_utils.train.means import RunningMeans
from course_utils.train.noise import same_noise
from course_utils.train.numerics import drop_negligible, forget_gradients
from course_utils.train.pace import Pace
from course_utils.train.parallel import bare, sum_over_processes, together
from course_utils.train.watch import CHECK_EVERY, refuse_lost_weights, refuse_nan

LossFn = Callable[[nn.Module, torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]


def fit(
    model: nn.Module,
    loss_fn: LossFn | None,
    train: Loader,
    val: Loader | None = None,
    *,
    epochs: int,
    optimizer: torch.optim.Optimizer,
    scheduler=None,
    precision: str = "float32",
    checkpoint: Path | None = None,
    resume: bool = False,
    run: dict | None = None,
    on_epoch: Callable[[dict], None] | None = None,
    progress: bool | None = None,
    graph: bool = False,
) -> list[dict]:
    """Train `model` in place and return its history: one dict of means per epoch.

    Args:
        model: on the device of the batches, in the memory format to train in.
        loss_fn: `loss_fn(model, x, y)` -> dict of scalars per image; "loss" is minimised. None
            where the model is a `losses.Objective`, which gives its own terms; it may be wrapped in
            DistributedDataParallel: see `parallel`.
        train, val: batches on the device; `val` is scored after each epoch.
        epochs: passes over `train` in all, those before a resume included.
        optimizer, scheduler: the scheduler, if any, steps after every batch.
        precision: "float32", or "bf16" for autocast of the forward pass.
        checkpoint, resume, run, on_epoch, progress: as in `loop.run_epochs`.
        graph: replay the step as a CUDA graph, see `graphs`; the optimizer must be capturable.

    Raises Diverged when the loss is NaN or infinite, Interrupted on Ctrl-C, CourseError when the
    checkpoint cannot be read or written.
    """
    check_loader(train, "train")
    refuse_plateau(scheduler)
    train = Pace(train)
    step = {"step": captured(model, loss_fn, optimizer, scheduler, precision)} if graph else {}

    def one_epoch(epoch: int) -> dict[str, float]:
        train.epoch = epoch
        means = train_epoch(model, loss_fn, train, optimizer, scheduler, precision, epoch,
                            **step)  # fmt: skip
        scores = evaluate(model, loss_fn, val) if val is not None else {}
        return prefix(means, "train_") | prefix(scores, "val_")

    parts = {"model": bare(model), "optimizer": optimizer}
    if scheduler is not None:
        parts["scheduler"] = scheduler
    return run_epochs(
        one_epoch, parts, epochs=epochs, checkpoint=checkpoint, resume=resume, run=run,
        on_epoch=on_epoch, progress=progress, together=together(model), hint=train.hint,
    )  # fmt: skip


def train_epoch(
    model, loss_fn, train, optimizer, scheduler, precision, epoch, step=None
) -> dict[str, float]:
    """Make one pass over `train`; return the means of the loss terms over its images."""
    model.train()
    step = step or step_of(model, loss_fn, optimizer, precision)
    totals = means_of(model, train.device)
    for i, (x, y) in enumerate(train):
        if i == 0:
            check_first(loss_fn, x, model)
        terms = step(x, y)
        if scheduler is not None:
            scheduler.step()
        totals.add(terms, len(x))
        if i % CHECK_EVERY == CHECK_EVERY - 1:
            refuse_nan(totals, epoch, i)
            drop_negligible(optimizer)
    refuse_nan(totals, epoch, i)
    drop_negligible(optimizer)
    refuse_lost_weights(model, epoch)
    return totals.result()


def step_of(model, loss_fn, optimizer, precision: str) -> Callable:
    """Return one training step: batch (x, y) -> the terms of its loss."""
    loss_fn = loss_fn or own_terms
    parameters = list(model.parameters())

    def step(x: torch.Tensor, y: torch.Tensor) -> dict[str, torch.Tensor]:
        with runtime.autocast(x.device, precision):
            terms = loss_fn(model, x, y)
        forget_gradients(parameters)
        terms["loss"].backward()
        optimizer.step()
        return terms

    return step


def captured(model, loss_fn, optimizer, scheduler, precision: str) -> graphs.Captured:
    """Return the training step as a CUDA graph."""
    graphs.refuse_schedule(scheduler)
    return graphs.Captured(step_of(model, loss_fn, optimizer, precision), optimizer)


def refuse_plateau(scheduler) -> None:
    """Raise CourseError for the one schedule that wants to be told a number at each step."""
    if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
        raise CourseError(
            "ReduceLROnPlateau waits for a validation loss, and fit steps its schedule after every "
            "batch; choose another schedule, or step this one yourself in on_epoch"
        )


def check_first(loss_fn: LossFn | None, x: torch.Tensor, model: nn.Module) -> None:
    """Raise CourseError where the first batch of an epoch is not what the loss takes."""
    inner = bare(model)
    check_input(loss_fn or inner, x, inner if loss_fn else getattr(inner, "model", inner))


@torch.no_grad()
def evaluate(model: nn.Module, loss_fn: LossFn | None, batches: Loader) -> dict[str, float]:
    """Return the mean of every loss term over all images of `batches`, in eval mode.

    A loss that draws random numbers draws the same ones at every call, and those of the training
    go on as if nothing had been evaluated.
    """
    check_loader(batches, "batches")
    loss_fn, inner = loss_fn or own_terms, bare(model)
    totals = means_of(model, batches.device)
    batches.epoch = 0
    was_training = model.training
    model.eval()
    try:
        with same_noise(batches.device):
            for x, y in batches:
                totals.add(loss_fn(inner, x, y), len(x))
    finally:
        model.train(was_training)
    return totals.result()


def own_terms(objective: nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict:
    """Return the terms of an objective, which knows its loss."""
    return objective(x, y)


def means_of(model: nn.Module, device: torch.device) -> RunningMeans:
    """Return means of this process's batches, or of all processes that train the model."""
    return RunningMeans(sum_over_processes(device) if together(model) else None)


def prefix(row: dict[str, float], with_: str) -> dict[str, float]:
    """Return the row with every name led by `with_`."""
    return {with_ + name: value for name, value in row.items()}


def parameter_count(model: nn.Module) -> int:
    """Return the number of trainable numbers in `model`."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
