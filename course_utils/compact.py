"""Networks small enough for a page: weights of 16 bits, and what the rounding changes."""

from __future__ import annotations

import copy

import torch
from torch import nn

from course_utils.errors import CourseError


def fp16_bytes(model: nn.Module) -> int:
    """Return the bytes of a model's floats, 2 each: weights, biases, means and variances of norms.

    Counters, which nothing but training reads, are left out.
    """
    kept = model.state_dict().values()
    return sum(2 * values.numel() for values in kept if values.is_floating_point())


def in_fp16(model: nn.Module) -> nn.Module:
    """Return a copy of a model whose floats are those that 16 bits can hold (IEEE 754 binary16).

    They are kept as float32 again, so that the copy computes as a page does that unpacks them.

    Raises CourseError for numbers beyond 65,504, the largest that fits, and for NaN.
    """
    made = copy.deepcopy(model)
    state = {
        name: values.half().to(values.dtype) if values.is_floating_point() else values
        for name, values in model.state_dict().items()
    }
    wrong = [name for name, values in state.items() if not torch.isfinite(values).all()]
    if wrong:
        raise CourseError(
            f"{wrong[0]} holds a number that 16 bits cannot hold; they end at 65,504. A network "
            "that trained well has none: look at its loss"
        )
    made.load_state_dict(state)
    return made
