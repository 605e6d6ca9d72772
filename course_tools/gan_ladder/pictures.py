"""Codes that every rung is asked for, and sheets of what it makes of them."""

from __future__ import annotations

import io
from pathlib import Path

import torch
from PIL import Image

from course_utils import folders


def codes(n: int, seed: int, size: int = 128) -> torch.Tensor:
    """Return the codes (n, size) that every rung is asked for."""
    return torch.randn(n, size, generator=torch.Generator().manual_seed(seed))


def bytes_of(x: torch.Tensor) -> torch.Tensor:
    """Turn images in [-1, 1] into uint8."""
    return ((x.float() + 1) * 127.5).round().clamp(0, 255).to(torch.uint8)


def as_signed(x: torch.Tensor) -> torch.Tensor:
    """Turn uint8 images into floats in [-1, 1]."""
    return x.float() / 127.5 - 1


def sheet(x: torch.Tensor, quality: int = 92) -> bytes:
    """Return images (N, 3, 64, 64) uint8 as a JPEG sheet of eight columns, whole rows alone."""
    x = x[: len(x) // 8 * 8].cpu()
    rows = x.reshape(-1, 8, 3, 64, 64).permute(0, 3, 1, 4, 2).reshape(-1, 512, 3)
    file = io.BytesIO()
    picture = Image.fromarray(rows.contiguous().numpy())
    picture.save(file, "JPEG", quality=quality, subsampling=0)
    return file.getvalue()


def write_sheet(x: torch.Tensor, path: Path, quality: int = 92) -> None:
    """Write a sheet to a file."""
    folders.write_atomically(path, sheet(x, quality))
