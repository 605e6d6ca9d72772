"""The training loop of everything that has one loss.

It is fast for plain reasons: the data rests on the device, nothing asks the device for a number
during a step, and the optimizer updates all parameters in one fused operation.
"""

from __future__ import annotations

import math
import os
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from tqdm.auto import tqdm

from course_utils import checkpoint as checkpoints
from course_utils import runtime
from course_utils.data.batches import Batches
from course_utils.runtime import CourseError

CHECK_EVERY = 100  # steps between two looks at the loss: each look makes the device wait
NEGLIGIBLE = 1e-30  # a moment this small moves no weight; ten times smaller every 22 steps

LossFn = Callable[[nn.Module, torch.Tensor, torch.Tensor], dict[str, torch.Tensor]]


class Interrupted(CourseError):
    """Training was stopped by hand; finished epochs are kept."""


class Diverged(CourseError):
    """The loss is no longer a number; the last good checkpoint is kept."""


def fit(
    model: nn.Module,
    loss_fn: LossFn,
    train: Batches,
    val: Batches | None = None,
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
) -> list[dict]:
    """Train `model` in place and return its history: one dict of means per epoch.

    Args:
        model: on the device of the batches, in the memory format to train in.
        loss_fn: `loss_fn(model, x, y)` -> dict of scalars per image; "loss" is minimised.
        train, val: batches on the device; `val` is scored after each epoch.
        epochs: passes over `train` in all, those before a resume included.
        optimizer, scheduler: the scheduler, if any, steps after every batch.
        precision: "float32", or "bf16" for autocast of the forward pass.
        checkpoint: file written after every epoch; an interrupted epoch is discarded.
        resume: continue from `checkpoint`; the result is the same, bit for bit, as without
            the interruption (same machine, versions and number of threads).
        run: JSON-able; kept in the checkpoint as the name of what is being trained.
        on_epoch: called with each new row of the history.
        progress: show a bar; None shows one in a terminal and in a notebook.

    Raises Diverged when the loss is NaN or infinite, Interrupted on Ctrl-C, CourseError when the
    checkpoint cannot be read or written.
    """
    history: list[dict] = []
    if resume and checkpoint is not None:
        history = checkpoints.load_training(checkpoint, model, optimizer, scheduler)["history"]
    bar = tqdm(range(len(history), epochs), initial=len(history), total=epochs, unit="epoch",
               disable=hidden(progress))  # fmt: skip
    try:
        for epoch in bar:
            train.epoch = epoch
            means = train_epoch(model, loss_fn, train, optimizer, scheduler, precision, epoch)
            row = {"epoch": epoch + 1} | prefix(means, "train_")
            if val is not None:
                row |= prefix(evaluate(model, loss_fn, val), "val_")
            if checkpoint is not None:
                info = {"history": [*history, row], "run": run}
                checkpoints.save_training(checkpoint, model, optimizer, scheduler, info)
            history.append(row)  # once it is safe
            bar.set_postfix(loss=f"{row['train_loss']:.2f}")
            if on_epoch:
                on_epoch(row)
    except KeyboardInterrupt:
        raise Interrupted(interruption(len(history), checkpoint)) from None
    return history


def hidden(progress: bool | None) -> bool | None:
    """Return what tqdm calls `disable`: None hides the bar where output is no terminal.

    COURSE_PROGRESS=0 hides bars that nobody asked for: a stored notebook should not hold any.
    """
    if progress is None:
        return True if os.environ.get("COURSE_PROGRESS") == "0" else None
    return not progress


def train_epoch(model, loss_fn, train, optimizer, scheduler, precision, epoch) -> dict[str, float]:
    """Make one pass over `train`; return the means of the loss terms over its images."""
    model.train()
    device = train.x.device
    totals = RunningMeans()
    parameters = list(model.parameters())
    for step, (x, y) in enumerate(train):
        with runtime.autocast(device, precision):
            terms = loss_fn(model, x, y)
        for parameter in parameters:  # as optimizer.zero_grad() does, with less ado: 4 % of a step
            parameter.grad = None
        terms["loss"].backward()
        optimizer.step()
        if scheduler is not None:
            scheduler.step()
        totals.add(terms, len(x))
        if step % CHECK_EVERY == CHECK_EVERY - 1:
            refuse_nan(totals, epoch, step)
            drop_negligible(optimizer)
    refuse_nan(totals, epoch, step)
    drop_negligible(optimizer)
    refuse_lost_weights(model, epoch)
    return totals.result()


@torch.no_grad()
def evaluate(model: nn.Module, loss_fn: LossFn, batches: Batches) -> dict[str, float]:
    """Return the mean of every loss term over all images of `batches`, in eval mode.

    A loss that draws random numbers draws the same ones at every call, and those of the training
    go on as if nothing had been evaluated.
    """
    was_training = model.training
    model.eval()
    totals = RunningMeans()
    batches.epoch = 0
    devices = [batches.x.device] if batches.x.device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(0)
        for x, y in batches:
            totals.add(loss_fn(model, x, y), len(x))
    model.train(was_training)
    return totals.result()


class RunningMeans:
    """Means of loss terms over images. Adding a batch computes nothing and waits for nothing."""

    def __init__(self) -> None:
        self.terms: dict[str, list[torch.Tensor]] = defaultdict(list)
        self.images: list[int] = []

    def add(self, terms: dict[str, torch.Tensor], n: int) -> None:
        """Add the terms (scalars per image) of a batch of `n` images."""
        for name, term in terms.items():
            self.terms[name].append(term.detach())
        self.images.append(n)

    def mean(self, name: str) -> float:
        """Return the mean of one term so far; the device is waited for here."""
        images = torch.tensor(self.images, dtype=torch.float64)
        return float(torch.stack(self.terms[name]).cpu().double() @ images / images.sum())

    def result(self) -> dict[str, float]:
        """Return the means of all terms."""
        return {name: self.mean(name) for name in self.terms}


def prefix(row: dict[str, float], with_: str) -> dict[str, float]:
    """Return the row with every name led by `with_`."""
    return {with_ + name: value for name, value in row.items()}


def refuse_nan(totals: RunningMeans, epoch: int, step: int) -> None:
    """Raise Diverged when a loss so far is NaN or infinite."""
    mean = totals.mean("loss")
    if not math.isfinite(mean):
        raise Diverged(
            f"the loss became {mean} in epoch {epoch + 1}, by step {step + 1}; the last good "
            "checkpoint is kept. Lower the learning rate, or look at the data for bad pixels"
        )


def refuse_lost_weights(model: nn.Module, epoch: int) -> None:
    """Raise Diverged when a weight is NaN or infinite.

    The last step of an epoch can spoil the weights after its loss was computed; a checkpoint of
    them could never be resumed.
    """
    if not all(p.detach().isfinite().all() for p in model.parameters()):
        raise Diverged(
            f"weights became NaN or infinite in the last step of epoch {epoch + 1}, after a finite "
            "loss; the last good checkpoint is kept. Lower the learning rate"
        )


@torch.no_grad()
def drop_negligible(optimizer: torch.optim.Optimizer) -> None:
    """Set moments that have all but vanished to zero.

    A pixel that lights up in a few images only has no gradient most of the time, and its moment
    shrinks by a tenth at every step, into the denormal numbers, with which a CPU is many times
    slower: after five epochs of MNIST half the step went into them. Swept every 100 steps, none
    gets so far: that takes 170 steps from NEGLIGIBLE. (torch.set_flush_denormal does not serve:
    it reaches the calling thread alone.)
    """
    for state in optimizer.state.values():
        for moment in state.values():
            if isinstance(moment, torch.Tensor) and moment.dim() > 0:
                moment.masked_fill_(moment.abs() < NEGLIGIBLE, 0)


def interruption(finished: int, checkpoint: Path | None) -> str:
    """Return what to tell someone who pressed Ctrl-C."""
    if checkpoint is None:
        return f"stopped by hand after {finished} finished epochs; no checkpoint was asked for"
    kept = f"{finished} finished epochs are kept in {checkpoint.parent}" if finished else (
        "no epoch was finished, nothing is kept")  # fmt: skip
    return f"stopped by hand; {kept}; repeat the command with --resume to go on"


def parameter_count(model: nn.Module) -> int:
    """Return the number of trainable numbers in `model`."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)
