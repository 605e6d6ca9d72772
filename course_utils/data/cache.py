"""Drawn images are kept, so that a course without real data waits for them once."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import torch

from course_utils import folders
from course_utils.data import drawings, drawn
from course_utils.errors import CourseError

Tensors = dict[str, torch.Tensor]


@functools.cache
def fingerprint(*code: ModuleType) -> str:
    """Return the SHA-256 of drawing code, of the digits and garments where no modules are named:
    other code draws other images."""
    files = [Path(module.__file__).read_bytes() for module in code or (drawings, drawn)]
    return hashlib.sha256(b"".join(files)).hexdigest()


def drawn_images(kind: str, n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Return `n` drawn images (n, 1, 28, 28) uint8 and labels (n,) int64, from the cache if there.

    Args:
        kind: "digits" or "garments".
        n: how many.
        seed: of the drawing.
    """

    def draw() -> Tensors:
        x, y = getattr(drawn, kind)(n, seed)
        return {"x": x, "y": y}

    found = kept(f"{kind}-{n}-seed{seed}-{fingerprint()[:8]}", draw)
    return found["x"], found["y"]


def kept(name: str, draw: Callable[[], Tensors]) -> Tensors:
    """Return what is kept under `name` in the cache of drawn images; draw and keep it where it is
    not there, or damaged.

    Args:
        name: says all that the drawing depends on: kind, number, seed, code.
        draw: makes the tensors. Another process that wants the same waits and reads them.

    Raises CourseError when the cache cannot be written.
    """
    path = folders.cache_dir() / "drawn" / f"{name}.safetensors"
    if found := read(path):
        return found
    with folders.lock(path.with_name(".lock"), f"drawn images ({name})"):
        if found := read(path):
            return found
        folders.sweep(path)
        tensors = draw()
        folders.write_sealed(path, tensors)
        return tensors


def read(path: Path) -> Tensors | None:
    """Return the tensors kept in a file; None where it is absent, damaged or another user's."""
    try:
        return folders.read_sealed(path)[0]
    except CourseError:
        return None
