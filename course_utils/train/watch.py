"""Notice that a training went astray before it is kept."""

from __future__ import annotations

import math

from torch import nn

from course_utils.runtime import CourseError
from course_utils.train.means import RunningMeans

CHECK_EVERY = 100  # steps between two looks at the loss: each look makes the device wait


class Diverged(CourseError):
    """The loss is no longer a number; the last good checkpoint is kept."""


def refuse_nan(totals: RunningMeans, epoch: int, step: int, name: str = "loss") -> None:
    """Raise Diverged when a loss so far is NaN or infinite."""
    mean = totals.mean(name)
    if not math.isfinite(mean):
        raise Diverged(
            f"the {name.replace('_', ' ')} became {mean} in epoch {epoch + 1}, by step {step + 1}; "
            "the last good checkpoint is kept. Lower the learning rate, or look at the data for "
            "bad pixels"
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
