"""What a model is given is looked at once, at its door; torch would name two matrices inside.

Shapes, types and places are looked at; numbers are not: on a graphics card that would wait.
"""

from __future__ import annotations

import torch
from torch import nn

from course_utils.errors import CourseError


def check_images(model: nn.Module, x: torch.Tensor, y: torch.Tensor | None = None) -> None:
    """Raise CourseError unless x is a batch (B, *model.image_shape) in the model's own dtype.

    Bytes are refused too: 0 to 255 where a network expects 0 to 1 trains to nothing.

    Args:
        model: with `image_shape`; with `conditional = True` where it is told labels.
        x, y: images, and the labels (B,) that a conditional model needs and others cannot use.
    """
    check_tensor(x, "images")
    if tuple(x.shape[1:]) != tuple(model.image_shape):
        expected = ", ".join(map(str, model.image_shape))
        raise CourseError(f"images have shape {tuple(x.shape)}; this model takes (B, {expected})")
    if not x.is_floating_point():
        raise CourseError(f"images are {x.dtype}; this model takes floats in [0, 1]: give x / 255")
    check_place(model, x, "images")
    check_labels(model, y, len(x))


def check_codes(model: nn.Module, z: torch.Tensor, y: torch.Tensor | None = None) -> None:
    """Raise CourseError unless z is a batch (B, model.code_dim); otherwise as `check_images`."""
    check_tensor(z, "codes")
    if z.ndim != 2 or z.shape[1] != model.code_dim:
        raise CourseError(
            f"codes have shape {tuple(z.shape)}; this model takes (B, {model.code_dim})"
        )
    if not z.is_floating_point():
        raise CourseError(f"codes are {z.dtype}; this model takes floats: give z.float()")
    check_place(model, z, "codes")
    check_labels(model, y, len(z))


def check_labels(model: nn.Module, y: torch.Tensor | None, n: int) -> None:
    """Raise CourseError when the model needs n labels and y is not that, or the other way round.

    Which labels there may be is for `check_classes` to say.
    """
    name, conditional = type(model).__name__, getattr(model, "conditional", False)
    if y is None:
        if conditional:
            raise CourseError(f"a {name} has to be told labels: give y (B,)")
        return
    if not conditional:
        raise CourseError(f"a {name} cannot be told labels: leave y out")
    check_tensor(y, "labels")
    if y.ndim == 1 and len(y) != n:
        raise CourseError(f"{len(y)} labels for {n} rows; there must be one each")


def check_classes(y: torch.Tensor, n_classes: int) -> None:
    """Raise CourseError unless y is (B,), whole numbers from 0 to n_classes - 1.

    The one look at numbers in these files, on a CPU and outside torch.func.vmap only. On a
    graphics card it would wait: there torch's own check has to do.
    """
    if y.ndim != 1 or y.is_floating_point() or y.dtype == torch.bool:
        raise CourseError(
            f"labels are {y.dtype} of shape {tuple(y.shape)}; they must be int64 (B,)"
        )
    if y.device.type != "cpu" or not len(y):
        return
    try:
        low, high = int(y.min()), int(y.max())
    except RuntimeError:  # vmap: there are many numbers behind this one
        return
    if not 0 <= low <= high < n_classes:
        raise CourseError(f"labels run from {low} to {high}; this model knows 0 to {n_classes - 1}")


def check_tensor(value, name: str) -> None:
    """Raise CourseError unless value is a tensor."""
    if not isinstance(value, torch.Tensor):
        kind = type(value).__name__
        raise CourseError(f"{name} are a {kind}; models take tensors: give torch.as_tensor(...)")


def check_place(model: nn.Module, x: torch.Tensor, name: str) -> None:
    """Raise CourseError where x has another dtype than the weights, or rests on another device.

    Under autocast torch chooses the dtype by itself.
    """
    weight = next(model.parameters(), None)
    if weight is None:
        return
    if x.device != weight.device:
        raise CourseError(
            f"{name} rest on {x.device}, this model on {weight.device}: give .to({weight.device})"
        )
    if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
        dtype = str(weight.dtype)
        raise CourseError(
            f"{name} are {x.dtype}; this model computes in {dtype}: give .to({dtype})"
        )


def one_of(what: str, word: str, known) -> None:
    """Raise CourseError unless `word` is among the known ones."""
    if word not in known:
        raise CourseError(f"{what} {word!r} is unknown; choose one of: {', '.join(known)}")
