"""Data made from data: the first images only, pixels of black and white, digits by their slant."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import torch

from course_utils import runtime
from course_utils.data import mnist_like
from course_utils.data.dataset import Dataset, Split
from course_utils.data.loader import as_float
from course_utils.errors import CourseError

QUARTERS = ("least slanted", "less slanted", "more slanted", "most slanted")


def few(n: int, whole: Callable[..., Dataset] | None = None) -> Callable[..., Dataset]:
    """Return a function like `whole` that in the quick profile gives its first images only.

    For networks that take seconds per thousand images without a graphics card.

    Args:
        n: training images in the quick profile; validation and test get a quarter of it each.
        whole: profile -> the data set that the full profile takes; None is `data.mnist`.
    """

    def load(profile: str | None = None) -> Dataset:
        dataset = (whole or mnist_like.mnist)(profile=profile)
        if runtime.profile(profile) == "full":
            return dataset
        return replace(
            dataset,
            train=dataset.train.head(n),
            val=dataset.val.head(n // 4),
            test=dataset.test.head(n // 4),
            sha256=hashlib.sha256(f"{dataset.sha256} {n}".encode()).hexdigest(),
        )

    return load


# --------------------------------------------------------------------------------- black and white


def binarised(split: Split, seed: int = 0) -> Split:
    """Return the split with each pixel drawn once, white with the probability of its grey.

    On such images a Bernoulli likelihood is a likelihood. The draw depends on nothing but `seed`,
    so every model is scored on the same images, and the first n images are the same for every n.
    Source: Salakhutdinov and Murray 2008 (ICML).

    Args:
        split: images x (N, C, H, W), uint8, and labels.
        seed: of the draw.

    Returns a Split whose x is uint8 and holds 0 and 255 only.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(split.x.shape, generator=generator)
    white = noise < as_float(split.x.cpu())
    return Split((white * 255).to(torch.uint8), split.y.cpu())


# ------------------------------------------------------------------------------------------ slant


def slant(x: torch.Tensor) -> torch.Tensor:
    """Return the slant (N,) of images: how many pixels a stroke moves right for each pixel up.

    From the second moments of the ink around its centre, -m11 / m02 (rows count downwards): the
    shear that would set the image upright. 0 is upright, 1 leans right by 45 degrees. An image
    without ink, or with all of it in one row, counts as upright.

    Args:
        x: images (N, 1, H, W), uint8 or float, bright strokes on a black ground.

    Raises CourseError for another shape or type, and for ink that is negative or no number.
    Source: Teague 1980, J. Opt. Soc. Am. 70, for image moments.
    """
    check_ink(x)
    ink = as_float(x).double()[:, 0]  # (N, H, W)
    rows = torch.arange(ink.shape[1], dtype=torch.float64, device=ink.device)[:, None]
    columns = torch.arange(ink.shape[2], dtype=torch.float64, device=ink.device)
    total = ink.sum((1, 2)).clamp_min(1e-12)[:, None, None]
    down = rows - (ink * rows).sum((1, 2), keepdim=True) / total
    across = columns - (ink * columns).sum((1, 2), keepdim=True) / total
    m11, m02 = (ink * across * down).sum((1, 2)), (ink * down.square()).sum((1, 2))
    return torch.where(m02 > 1e-9, -m11 / m02.clamp_min(1e-9), 0.0).float()


def check_ink(x: torch.Tensor) -> None:
    """Raise CourseError unless x are images (N, 1, H, W) whose pixels can be weights."""
    if not isinstance(x, torch.Tensor):
        kind = type(x).__name__
        raise CourseError(f"x is a {kind}; slant is measured on tensors: give torch.as_tensor(x)")
    if x.ndim != 4 or x.shape[1] != 1:
        raise CourseError(
            f"x has shape {tuple(x.shape)}; slant is measured on images (N, 1, H, W): "
            "give images without channels one by x[:, None], choose one of several by x[:, :1]"
        )
    if not len(x):
        raise CourseError("x holds no image, so there is no slant to measure")
    if x.dtype != torch.uint8 and not x.is_floating_point():
        raise CourseError(
            f"x is {x.dtype}; images are uint8 or float: write x.byte() for pixels from 0 to 255"
        )
    bad = int((~(x >= 0) | x.isinf()).sum())
    if bad:
        raise CourseError(
            f"x holds {bad} of {x.numel()} pixels that are negative, NaN or infinite; "
            "ink is 0 or more (logits want a sigmoid, tanh pixels (x + 1) / 2)"
        )


def slant_limits(split: Split) -> torch.Tensor:
    """Return the three slants that cut a split into quarters of equal size."""
    return slant(split.x).quantile(torch.tensor([0.25, 0.5, 0.75]))


def by_slant(source: str | None = None, profile: str | None = None) -> Dataset:
    """Return the digits labelled 0 to 3 by slant, in quarters of the training images.

    Arguments and errors as in `data.mnist`.
    """
    digits = mnist_like.mnist(source, profile)
    limits = slant_limits(digits.train)

    def relabelled(split: Split) -> Split:
        return Split(split.x, torch.bucketize(slant(split.x), limits))

    return replace(digits.derived("by slant", relabelled), classes=QUARTERS)
