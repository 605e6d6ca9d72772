"""Numbers as a sentence can hold them, and whether two of them are the same."""

from __future__ import annotations

import torch

MOST = 8  # numbers that a sentence can hold


def same(got: torch.Tensor, wanted: torch.Tensor, rtol: float = 1e-4, atol: float = 1e-5) -> bool:
    """Tell whether two tensors of one shape agree as far as single precision does."""
    got, wanted = as_double(got), as_double(wanted)
    if got.shape != wanted.shape:
        return False
    return torch.allclose(got, wanted, rtol=rtol, atol=atol, equal_nan=True)


def alike(got: torch.Tensor, made: torch.Tensor, rtol: float) -> bool:
    """Tell whether two tensors of one shape agree wherever both are finite."""
    got, made = as_double(got), as_double(made)
    if got.shape != made.shape:
        return False
    both = got.isfinite() & made.isfinite()
    return same(got[both], made[both], rtol)


def as_double(value) -> torch.Tensor:
    """Return a tensor on the CPU, in double precision, without its history."""
    value = value if isinstance(value, torch.Tensor) else torch.as_tensor(value)
    value = value.detach().cpu()
    return (value.real if value.is_complex() else value).double()


def shown(value) -> str:
    """Return a number, or a small tensor as nested lists, with at most four digits.

    Images are shown as rows of pixels, so that brackets do not hide the numbers.
    """
    if not isinstance(value, torch.Tensor):
        return number(value) if isinstance(value, (int, float)) else str(value)
    if value.numel() == 1:
        return number(value.item())
    if value.numel() > MOST:
        return f"a tensor {tuple(value.shape)}"
    return nested((value.flatten(1) if value.ndim > 2 else value).tolist())


def nested(values) -> str:
    """Return lists in lists of numbers."""
    if isinstance(values, list):
        return "[" + ", ".join(nested(value) for value in values) + "]"
    return number(values)


def number(value) -> str:
    """Return one number: 0.5, 1e-06, nan."""
    if isinstance(value, (bool, int)):
        return str(value)
    return f"{value:.4g}"


def example(takes: tuple[str, ...], inputs: tuple, note: str = "") -> str:
    """Return "mu = 1, logvar = 0": the inputs of a call; what is large is named by `note`."""
    if note:
        return note
    pairs = zip(takes, inputs, strict=True)
    return ", ".join(f"{name} = {shown(value)}" for name, value in pairs)


def images(count: int) -> str:
    """Return "1 image" or "3 images"."""
    return "1 image" if count == 1 else f"{count} images"
