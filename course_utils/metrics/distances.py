"""Distances between two sets of features: Fréchet and kernel."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import torch

from course_utils.errors import CourseError
from course_utils.metrics.features import features_of
from course_utils.metrics.inputs import as_features, check_same_width, check_whole


class KernelDistance(NamedTuple):
    """Mean and standard deviation of the kernel distance over subsets."""

    mean: float
    std: float


def frechet(features_fn: Callable, real, fake, batch_size: int = 500) -> float:
    """Return the Fréchet distance of two sets of images on the features of a network.

    Args:
        features_fn: images -> (B, D), as in `features_of`. Quote the number as FD-<network>.
        real, fake: images (N, C, H, W) and (M, C, H, W), uint8 or float in [0, 1].
        batch_size: images in one call of `features_fn`.

    Raises CourseError as `features_of` and `frechet_distance` do.
    """
    return frechet_distance(
        features_of(features_fn, real, batch_size), features_of(features_fn, fake, batch_size)
    )


def frechet_distance(real_features, fake_features) -> float:
    """Return the Fréchet distance of two sets of features, seen as two Gaussians.

    |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), in squared units of the features; 0 is best. It is
    biased upwards for few samples: compare numbers of the same N only, with N far above D.
    Source: Heusel et al. 2017, arXiv 1706.08500.

    Args:
        real_features, fake_features: (N, D) and (M, D), with N and M above D.

    Raises CourseError for bad or too few features.
    """
    real, fake = pair(real_features, fake_features)
    for features, name in ((real, "real"), (fake, "fake")):
        check_enough(features, name)
    mean_term = (real.mean(0) - fake.mean(0)).square().sum()
    cov_real, cov_fake = real.T.cov(), fake.T.cov()
    cov_real, cov_fake = (torch.atleast_2d(c) for c in (cov_real, cov_fake))  # D = 1
    overlap = trace_of_root(cov_real, cov_fake)
    return max(0.0, float(mean_term + cov_real.trace() + cov_fake.trace() - 2 * overlap))


def trace_of_root(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return tr((a b)^(1/2)) of two covariances (D, D).

    a b has the eigenvalues of a^(1/2) b a^(1/2), which is symmetric: they are real, and stay so
    when features are constant and the covariances singular.
    """
    values, vectors = torch.linalg.eigh(a)
    root = vectors * values.clamp_min(0).sqrt() @ vectors.T
    return torch.linalg.eigvalsh(root @ b @ root).clamp_min(0).sqrt().sum()


def kernel_distance(
    real_features, fake_features, subset_size: int = 1000, subsets: int = 100, seed: int = 0
) -> KernelDistance:
    """Return the kernel distance (KID) of two sets of features: mean and std over subsets.

    The squared maximum mean discrepancy for the kernel (a.b / D + 1)^3, estimated without bias:
    around 0 for equal distributions, so a subset's value may be negative.
    Source: Binkowski et al. 2018, arXiv 1801.01401.

    Args:
        real_features, fake_features: (N, D) and (M, D), with N and M at least `subset_size`.
        subset_size: rows drawn from each set, without repetition.
        subsets: how many pairs of subsets are drawn.
        seed: of the draws, which use a generator of their own.

    Raises CourseError for bad or too few features.
    """
    real, fake = pair(real_features, fake_features)
    check_whole(subsets, "subsets")
    most = min(len(real), len(fake))
    check_whole(subset_size, "subset_size", most, " (the samples in the smaller set)")
    if subset_size < 2:
        raise CourseError("subset_size is 1; an unbiased estimate needs pairs: 2 or more")
    generator = torch.Generator().manual_seed(seed)
    values = []
    for _ in range(subsets):
        a, b = (draw(features, subset_size, generator) for features in (real, fake))
        values.append(unbiased_mmd(a, b))
    values = torch.stack(values)
    return KernelDistance(float(values.mean()), float(values.std(correction=0)))


def draw(features: torch.Tensor, n: int, generator: torch.Generator) -> torch.Tensor:
    """Return n different rows of features (N, D)."""
    order = torch.randperm(len(features), generator=generator)
    return features[order[:n].to(features.device)]


def unbiased_mmd(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the unbiased squared MMD of a (m, D) and b (m, D) under the cubic kernel."""
    m = len(a)
    within = sum(k.sum() - k.trace() for k in (cubic_kernel(a, a), cubic_kernel(b, b)))
    return within / (m * (m - 1)) - 2 * cubic_kernel(a, b).mean()  # no row meets itself


def cubic_kernel(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return (a.b / D + 1)^3 - 1 for all pairs of rows, (m, n).

    A constant drops out of the discrepancy; left in, it would swallow small features.
    """
    u = (a @ b.T).div_(a.shape[1])
    return (u + 3).mul_(u).add_(3).mul_(u)


def pair(real_features, fake_features) -> tuple[torch.Tensor, torch.Tensor]:
    """Return both sets of features as float64 on one device, checked against one another."""
    real = as_features(real_features, "real_features")
    fake = as_features(fake_features, "fake_features").to(real.device)
    check_same_width(real, fake, "real_features and fake_features")
    return real, fake


def check_enough(features: torch.Tensor, name: str) -> None:
    """Raise CourseError unless features (N, D) have N > D: fewer leave the covariance singular."""
    n, d = features.shape
    if n <= d:
        raise CourseError(
            f"{name}_features has {n} samples of {d} numbers; a covariance needs more than {d}, "
            f"and a steady distance about {10 * d}"
        )
