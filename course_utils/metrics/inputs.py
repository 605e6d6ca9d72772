"""Checks that every metric makes before it computes: a wrong input must not become a number."""

from __future__ import annotations

import torch

from course_utils.errors import CourseError

LARGEST = 1e40  # feature whose sixth power, in the kernel distance, is still a number
SMALLEST = 1e-60  # largest feature of a set whose fourth power, in the Fréchet distance, is not 0
TOLERANCE = 1e-6  # how far a float image may leave [0, 1]: the rounding of a sum, no more


def as_tensor(values, name: str) -> torch.Tensor:
    """Return `values` (tensor or array) as a detached tensor: not empty, every number finite."""
    try:
        is_tensor = isinstance(values, torch.Tensor)
        tensor = values.detach() if is_tensor else torch.tensor(values)
    except (TypeError, ValueError, RuntimeError) as error:
        raise CourseError(f"{name} cannot be read as a tensor: {error}") from None
    if tensor.is_complex():
        raise CourseError(f"{name} is {tensor.dtype}; real numbers can be measured")
    if tensor.numel() == 0:
        raise CourseError(f"{name} is empty (shape {tuple(tensor.shape)}); nothing can be measured")
    if not all_finite(tensor):
        bad = int((~tensor.isfinite()).sum())
        raise CourseError(
            f"{name} holds {bad} of {tensor.numel()} numbers that are NaN or infinite; "
            "look for a diverged model before measuring it"
        )
    return tensor


def all_finite(x: torch.Tensor) -> bool:
    """Tell whether no number is NaN or infinite; one pass, and no tensor as large as x."""
    return not x.is_floating_point() or bool(torch.stack(x.aminmax()).isfinite().all())


def as_images(values, name: str) -> torch.Tensor:
    """Return images (N, C, H, W) as float32 in [0, 1]; uint8 is divided by 255."""
    x = as_tensor(values, name)
    if x.ndim != 4:
        raise CourseError(f"{name} has shape {tuple(x.shape)}; images are (N, C, H, W)")
    if x.dtype == torch.uint8:
        return x.float() / 255
    if not x.is_floating_point():
        raise CourseError(f"{name} is {x.dtype}; images are uint8, or float in [0, 1]")
    low, high = map(float, x.aminmax())
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        raise CourseError(
            f"{name} runs from {low:.3g} to {high:.3g}; float images lie in [0, 1] "
            "(logits want a sigmoid, tanh pixels (x + 1) / 2, bytes x / 255)"
        )
    return x.float().clamp(0, 1)


def as_features(values, name: str) -> torch.Tensor:
    """Return features (N, D) as float64; uint8 is divided by 255.

    float64, because squared distances are small differences of large numbers. Raises CourseError
    for numbers so large or small that their powers are infinite or zero.
    """
    x = as_tensor(values, name)
    if x.ndim != 2:
        raise CourseError(f"{name} has shape {tuple(x.shape)}; features are (N, D)")
    if x.device.type == "mps":  # has no float64
        x = x.cpu()
    x = x.double() / 255 if x.dtype == torch.uint8 else x.double()
    low, high = map(float, x.aminmax())
    largest = max(-low, high)
    if largest > LARGEST or 0 < largest < SMALLEST:
        raise CourseError(
            f"the largest number in {name} is {largest:.3g}; its powers cannot be told from "
            "infinity or zero: multiply all features by one factor first"
        )
    return x


def as_points(values, name: str) -> torch.Tensor:
    """Return features (N, D), or images (N, C, H, W) flattened to (N, C*H*W), as float64."""
    x = as_tensor(values, name)
    return as_features(as_images(x, name).flatten(1) if x.ndim == 4 else x, name)


def as_labels(values, n: int, name: str) -> torch.Tensor:
    """Return labels (n,) as int64 on the CPU."""
    y = as_tensor(values, name)
    if y.is_floating_point() or y.dtype == torch.bool:
        raise CourseError(f"{name} is {y.dtype}; labels are whole numbers")
    if y.shape != (n,):
        raise CourseError(f"{name} has shape {tuple(y.shape)}; {n} rows need labels ({n},)")
    return y.long().cpu()


def check_same_width(a: torch.Tensor, b: torch.Tensor, names: str) -> None:
    """Raise CourseError unless a (N, D) and b (M, D) have the same D."""
    if a.shape[1] != b.shape[1]:
        raise CourseError(
            f"{names} have {a.shape[1]} and {b.shape[1]} numbers per row; "
            "both must come from the same features"
        )


def check_whole(value, name: str, most: int | None = None, why: str = "") -> None:
    """Raise CourseError unless `value` is a whole number from 1 to `most`."""
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise CourseError(f"{name} is {value!r}; it must be a whole number, 1 or more")
    if most is not None and value > most:
        raise CourseError(f"{name} is {value}; it can be at most {most} here{why}")
