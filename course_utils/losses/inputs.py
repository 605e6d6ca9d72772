"""What losses accept, and the words for everything else.

A loss says which pixels it wants: `@wants(UNIT)` above it, found again as `loss.wants`. `fit` looks
at the first images it is given (`check_input`), once: on a graphics card a look makes the device
wait. On a CPU a look costs less than a hundredth of a step, and is taken in every call. What a
model gives is never looked at: a NaN there is a run that diverged, and `fit` says so.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import torch

from course_utils.errors import CourseError

UNIT = "[0, 1]"
SIGNED = "[-1, 1]"
BINARY = "0 or 1"
FINITE = "any finite number"
AS_THE_MODEL = "what the model's pixels can reach"  # `model.reaches`, and [0, 1] without one
LIMITS = {UNIT: (0.0, 1.0), SIGNED: (-1.0, 1.0), BINARY: (0.0, 1.0), FINITE: (-math.inf, math.inf)}
TOLERANCE = 1e-6  # how far pixels may leave their range: the rounding of a sum, no more


def wants(pixels: str) -> Callable:
    """Declare above a `loss(model, x, y, ...)` which pixels it takes, and have each call look.

    Args:
        pixels: UNIT, SIGNED, BINARY, FINITE or AS_THE_MODEL; found again as `loss.wants`.
    """

    def declare(loss: Callable) -> Callable:
        @functools.wraps(loss)
        def looking(model, x, *labels, **options):
            check_target(x, x, wanted_by(looking, model), "images")
            return loss(model, x, *labels, **options)

        looking.wants = pixels
        return looking

    return declare


def wanted_by(loss: Callable, model=None) -> str:
    """Return which pixels a loss takes; FINITE where it does not say.

    Args:
        loss: a function, functools.partial, `Objective`, or a method of an object that has a
            `loss`, like a recipe's.
        model: that the loss is to be called with; matters where the loss leaves it to the model.
    """
    while not hasattr(loss, "wants"):
        owner = getattr(loss, "__self__", loss)
        inner = loss.func if isinstance(loss, functools.partial) else getattr(owner, "loss", None)
        if inner is None:
            return FINITE
        loss = inner
    return getattr(model, "reaches", UNIT) if loss.wants == AS_THE_MODEL else loss.wants


def check_input(loss: Callable, x: torch.Tensor, model=None) -> None:
    """Raise CourseError unless images x (B, ...) are what the loss takes. The device waits here.

    One sentence says what came, what is wanted, and how to mend it. Called once, with the first
    batch of a training.

    Args:
        loss, model: as in `wanted_by`.
        x: a batch as the loss will see it.
    """
    wanted = wanted_by(loss, model)
    check_floats(x, "images", wanted)
    low, high = (float(v) for v in torch.aminmax(x.detach()))
    refuse_range(low, high, wanted)
    if wanted == UNIT and 0 < high < 1.5 / 255:
        raise CourseError(f"pixels run from {low:.3g} to {high:.3g}, as if divided by 255 twice; "
                          "the loss takes [0, 1]: give x * 255")  # fmt: skip
    if wanted == FINITE and x.ndim == 4 and low == 0 and 2 < high <= 255 and is_whole(x):
        raise CourseError(f"pixels are whole numbers from 0 to {high:.0f}, as bytes are; "
                          "give x / 255, or (x - x.mean()) / x.std()")  # fmt: skip
    if wanted == SIGNED and low >= 0 and high > 0:
        raise CourseError(f"pixels run from {low:.3g} to {high:.3g}, none of them negative; "
                          "the loss takes [-1, 1]: give 2 * x - 1")  # fmt: skip
    if wanted == BINARY and not bool(((x == 0) | (x == 1)).all()):
        raise CourseError("some pixels are grey; the loss takes 0 or 1: give torch.bernoulli(x)")


def is_whole(x: torch.Tensor) -> bool:
    """Tell whether all numbers of x are whole."""
    return bool((x == x.round()).all())


def check_floats(x: torch.Tensor, name: str, wanted: str) -> None:
    """Raise CourseError unless x is a tensor of floats and not empty; looks at no number."""
    if not isinstance(x, torch.Tensor):
        kind = type(x).__name__
        raise CourseError(f"{name} are a {kind}; losses take tensors: give torch.as_tensor(...)")
    if x.dtype == torch.uint8:
        line = "x / 127.5 - 1" if wanted == SIGNED else "x / 255"
        raise CourseError(f"{name} are uint8; the loss takes floats, {wanted}: give {line}")
    if not x.is_floating_point():
        raise CourseError(f"{name} are {x.dtype}; the loss takes floats, {wanted}: give x.float()")
    if not x.numel():
        raise CourseError(f"{name} are empty, of shape {tuple(x.shape)}; a mean needs one or more")


def check_target(made: torch.Tensor, x: torch.Tensor, wanted: str, name: str = "recon") -> None:
    """Raise CourseError unless what a model made can be compared with x, of the same shape.

    Looks at the numbers of x too where nobody has to wait for them.
    """
    check_floats(x, name if made is x else "x", wanted)
    check_floats(made, name, FINITE)
    if made.shape != x.shape:  # torch would stretch one to the other
        raise CourseError(f"shapes {tuple(made.shape)} and {tuple(x.shape)}; they must be equal")
    found = extremes(x)
    if found is not None:
        refuse_range(*found, wanted)


def extremes(x: torch.Tensor) -> tuple[float, float] | None:
    """Return the lowest and the highest number of x; None where a look would be a wait or no look.

    That is on other devices than the CPU, and inside torch.compile and torch.func.vmap.
    """
    if x.device.type != "cpu" or torch.compiler.is_compiling() or not x.numel():
        return None
    low, high = torch.aminmax(x.detach())
    try:
        return float(low), float(high)
    except RuntimeError:  # vmap: there are many numbers behind this one
        return None


def refuse_range(low: float, high: float, wanted: str) -> None:
    """Raise CourseError unless pixels from `low` to `high` are in the range that is wanted."""
    least, most = LIMITS[wanted]
    if not (math.isfinite(low) and math.isfinite(high)):
        raise CourseError("some pixels are NaN or infinite; find them with x.isfinite()")
    if low < least - TOLERANCE or high > most + TOLERANCE:
        raise CourseError(f"pixels run from {low:.3g} to {high:.3g}, {mended(low, high, wanted)}")


def mended(low: float, high: float, wanted: str) -> str:
    """Say what pixels outside the wanted range look like, what is wanted, and what to write."""
    signed = wanted == SIGNED
    if low >= -0.25 and high <= 1.25 and not signed:
        looks, line = "a little beyond, as resized ones do", "x.clamp(0, 1)"
    elif low >= 0 and high <= 255:
        looks, line = "as bytes do", "x / 127.5 - 1" if signed else "x / 255"
    elif low >= -1 and high <= 1:
        looks, line = "as those of tanh do", "(x + 1) / 2"
    else:
        looks, line = "as standardised ones do", "the pixels themselves, x * std + mean"
    return f"{looks}; the loss takes {wanted}: give {line}"


def binarised_anew(x: torch.Tensor) -> torch.Tensor:
    """Return each pixel of x anew as 0 or 1, 1 with probability x: "dynamic binarisation"."""
    check_target(x, x, UNIT)
    return torch.bernoulli(x)


def check_labels(y: torch.Tensor | None, logits: torch.Tensor) -> None:
    """Raise CourseError unless y are labels (B,) of the classes of logits (B, K)."""
    n, classes = logits.shape
    if not isinstance(y, torch.Tensor) or y.dtype != torch.int64 or y.shape != (n,):
        came = f"{y.dtype} {tuple(y.shape)}" if isinstance(y, torch.Tensor) else type(y).__name__
        raise CourseError(f"labels are {came}; this loss takes int64 ({n},), one for each image")
    found = extremes(y)
    if found is not None and not (found[0] >= 0 and found[1] < classes):
        low, high = map(int, found)
        raise CourseError(f"labels run from {low} to {high}; this model knows 0 to {classes - 1}")
