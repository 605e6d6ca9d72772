"""What the tests of the `course` command share: a way to call it, and small things to use."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from typer.testing import CliRunner

from course_utils import cli, data, recipes
from course_utils.data.mnist_like import FILES, MNIST


def course(*words, input=None):
    """Run the command in this process; return exit_code, stdout, stderr and output (both)."""
    words = [str(word) for word in words]
    return CliRunner().invoke(cli.app, words, prog_name="course", input=input)


def refused(*words) -> str:
    """Check that the command ends as it should for a person's mistake; return its message."""
    result = course(*words)
    assert result.exit_code == 2, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert "Traceback" not in result.output
    assert result.stderr.strip()
    return result.stderr


def few_images(n: int, seed: int = 0) -> data.Split:
    """Return `n` images of smooth noise with labels."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(0, 256, (n, 1, 7, 7), dtype=torch.uint8, generator=generator)
    x = coarse.repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    return data.Split(x, torch.randint(0, 10, (n,), generator=generator))


def dataset(profile=None, name="drawn digits") -> data.Dataset:
    """Return a data set of 700 images, whatever the profile."""
    splits = [few_images(n, seed) for seed, n in enumerate((500, 100, 100))]
    return data.Dataset(name, "drawn", "0" * 64, *splits, data.DIGITS)


def tiny_recipe(**changes) -> recipes.Recipe:
    """Return a recipe that trains in a fraction of a second."""
    settings = recipes.Settings(epochs=3, batch_size=100, lr=3e-3)
    small = {"name": "tiny", "model_args": {"widths": (16,), "output": "tanh"}, "data": dataset}
    return replace(recipes.get("ae"), **(small | {"quick": settings, "full": settings} | changes))


def as_idx(array: np.ndarray) -> bytes:
    """Return an array of bytes as LeCun's IDX format."""
    sizes = b"".join(n.to_bytes(4, "big") for n in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def publish(root: Path, monkeypatch, sizes=(60, 20)) -> Path:
    """Write a small MNIST below `root`, packed, and make it the published one; return MNIST/raw.

    Args:
        root: becomes what COURSE_DATA names.
        monkeypatch: pytest's.
        sizes: numbers of training and of test images.
    """
    rng = np.random.default_rng(0)
    shapes = [shape for n in sizes for shape in ((n, 28, 28), (n,))]
    contents = [as_idx(rng.integers(0, 10, shape, dtype=np.uint8)) for shape in shapes]
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for name, content in zip(FILES, contents, strict=True):
        (raw / f"{name}.gz").write_bytes(gzip.compress(content))
    sums = [hashlib.sha256(content).hexdigest() for content in contents]
    monkeypatch.setattr(MNIST, "sha256", dict(zip(FILES, sums, strict=True)))
    monkeypatch.setitem(MNIST.sizes, "quick", (40, 20, 20))
    monkeypatch.setenv("COURSE_DATA", str(root))
    monkeypatch.setenv("COURSE_SOURCE", "auto")
    data.forget()
    return raw
