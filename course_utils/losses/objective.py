"""A model and its loss as one module, for those who take nothing but modules."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import torch
from torch import nn

from course_utils.errors import CourseError


class Objective(nn.Module):
    """Batches (x, y) -> the terms of a loss, as `loss(model, x, y, **loss_args)` gives them.

    DistributedDataParallel, torch.func and CUDA graphs take a module and call its `forward`, and
    losses call `encode`, `decode` and `pixels` of a model too, which a wrapper hides. Wrapped in
    an objective, the model is inside, whole:

        objective = DistributedDataParallel(Objective(model, losses.negative_elbo, beta=4.0))
        objective(x, y)["loss"].backward()

    Args:
        model: trained in place; `objective.model` is this very module, and its weights are found
            in `objective.state_dict()` under "model.".
        loss: `loss(model, x, y, **loss_args)` -> dict of scalars, "loss" among them.
        loss_args: options of the loss.

    Raises CourseError for an option that the loss does not have.
    """

    def __init__(self, model: nn.Module, loss: Callable, **loss_args):
        super().__init__()
        refuse_unknown_options(loss, loss_args)
        self.model, self.loss, self.loss_args = model, loss, loss_args

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        return self.loss(self.model, x, y, **self.loss_args)


def refuse_unknown_options(loss: Callable, options: dict) -> None:
    """Raise CourseError unless `loss(model, x, y, **options)` can be called."""
    try:
        inspect.signature(loss).bind("model", "x", "y", **options)
    except TypeError as error:
        name = getattr(loss, "__name__", type(loss).__name__)
        raise CourseError(f"{name}(model, x, y, ...): {error}; mend the options") from None
