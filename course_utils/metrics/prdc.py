"""Precision, recall, density and coverage: fidelity and variety, measured apart."""

from __future__ import annotations

from typing import NamedTuple

import torch

from course_utils.metrics.distances import pair
from course_utils.metrics.inputs import check_whole
from course_utils.metrics.neighbours import distance_rows


class PrecisionRecall(NamedTuple):
    """Two measures of fidelity (precision, density) and two of variety (recall, coverage)."""

    precision: float
    recall: float
    density: float
    coverage: float


def precision_recall(real, fake, k: int = 5) -> PrecisionRecall:
    """Return precision, recall, density and coverage of generated features.

    Around each point lies a ball that reaches to its k-th neighbour in its own set.
    Precision: the share of fake points inside a real ball. Recall: of real points inside a fake
    ball. Density: real balls around a fake point, over k; it can exceed 1. Coverage: the share of
    real balls that hold a fake point. Two samples of one distribution do not reach 1: print their
    row beside the model's. Exact; a slice of the distance matrix is held at a time.
    Sources: Kynkäänniemi et al. 2019, arXiv 1904.06991; Naeem et al. 2020, arXiv 2002.09797.

    Args:
        real, fake: features (N, D) and (M, D).
        k: which neighbour sets the radius, below N and M.

    Raises CourseError for bad or too few features.
    """
    real, fake = pair(real, fake)
    most = min(len(real), len(fake)) - 1
    check_whole(k, "k", most, " (the samples in the smaller set, less one)")
    real_radius, fake_radius = ball_radii(real, k), ball_radii(fake, k)
    balls = torch.zeros(len(fake), device=real.device)  # real balls around each fake point
    recalled, covered = 0, 0
    for rows, squared in distance_rows(real, fake):  # (n, M)
        inside = squared < real_radius[rows, None]
        balls += inside.sum(0)
        covered += int(inside.any(1).sum())
        recalled += int((squared < fake_radius).any(1).sum())
    return PrecisionRecall(
        precision=float((balls > 0).float().mean()),
        recall=recalled / len(real),
        density=float(balls.mean()) / k,
        coverage=covered / len(real),
    )


def ball_radii(points: torch.Tensor, k: int) -> torch.Tensor:
    """Return the squared distance (N,) of each point to its k-th neighbour, itself left out."""
    radii = []
    for rows, squared in distance_rows(points, points):
        own = torch.arange(rows.start, rows.stop, device=points.device)
        squared[own - rows.start, own] = torch.inf
        radii.append(squared.kthvalue(k, dim=1).values)
    return torch.cat(radii)
