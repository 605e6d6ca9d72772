"""Wrong shapes are refused at the door, in words; torch would name two matrices inside."""

from __future__ import annotations

import torch


def check_images(x: torch.Tensor, image_shape: tuple[int, ...]) -> None:
    """Raise ValueError unless x is a batch (B, *image_shape) of floats.

    Bytes are refused too: 0 to 255 where a network expects 0 to 1 trains to nothing.
    """
    if tuple(x.shape[1:]) != tuple(image_shape):
        expected = ", ".join(map(str, image_shape))
        raise ValueError(f"images have shape {tuple(x.shape)}; this model takes (B, {expected})")
    if not x.is_floating_point():
        raise ValueError(f"images are {x.dtype}; this model takes floats in [0, 1]: x / 255")


def check_codes(z: torch.Tensor, code_dim: int) -> None:
    """Raise ValueError unless z is a batch (B, code_dim)."""
    if z.ndim != 2 or z.shape[1] != code_dim:
        raise ValueError(f"codes have shape {tuple(z.shape)}; this model takes (B, {code_dim})")
