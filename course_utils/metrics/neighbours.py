"""Nearest neighbours, exact, a slice of the distance matrix at a time; memorisation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch

from course_utils.errors import CourseError
from course_utils.metrics.inputs import as_points, check_same_width, check_whole

CLOSE = 1e-9  # share of |a|^2 + |b|^2 below which a - b was lost in the rounding of a.b
ROWS = 500  # rows of the distance matrix held at once: 40 MB against 10,000 points


class Neighbours(NamedTuple):
    """The k nearest rows of a bank for each query, nearest first."""

    distances: torch.Tensor  # (N, k), Euclidean
    indices: torch.Tensor  # (N, k), rows of the bank


class Memorisation(NamedTuple):
    """How near generated images come to the training images, against held-out real images."""

    ratio: float  # mean of fake_distances / mean of test_distances
    fake_distances: torch.Tensor  # (N,), to the nearest training image
    test_distances: torch.Tensor  # (M,), likewise for held-out images
    indices: torch.Tensor  # (N,), the training image nearest to each generated one


def nearest_neighbours(queries, bank, k: int = 1) -> Neighbours:
    """Return the k nearest rows of `bank` for each query: distances (N, k) and indices (N, k).

    Args:
        queries, bank: features (N, D) and (M, D), or images (N, C, H, W) and (M, C, H, W), whose
            distance is then Euclidean on pixels in [0, 1].
        k: neighbours of each query, at most M.

    Raises CourseError for bad input, or shapes that do not fit together.
    """
    queries, bank = as_points(queries, "queries"), as_points(bank, "bank")
    check_same_width(queries, bank, "queries and bank")
    check_whole(k, "k", len(bank), " (the rows of the bank)")
    bank = bank.to(queries.device)
    found = [nearest(rows, bank, k) for rows in queries.split(ROWS)]
    distances, indices = (torch.cat(part) for part in zip(*found, strict=True))
    return Neighbours(distances, indices)


def nearest(queries: torch.Tensor, bank: torch.Tensor, k: int) -> tuple:
    """Return distances and indices (n, k) for a few queries (n, D)."""
    indices = squared_distances(queries, bank).topk(k, largest=False).indices
    columns = [(queries - bank[column]).norm(dim=1) for column in indices.T]
    distances, order = torch.stack(columns, 1).sort(dim=1)  # measured anew: a copy is at exactly 0
    return distances, indices.gather(1, order)


def squared_distances(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """Return the squared Euclidean distances (n, m) of a (n, D) and b (m, D), both float64.

    |a|^2 + |b|^2 - 2 a.b is fast, and rounding where a and b are close: such pairs are measured
    anew, by their differences.
    """
    lengths = a.square().sum(1)[:, None] + b.square().sum(1)
    squared = torch.addmm(lengths, a, b.T, alpha=-2)
    close = squared <= CLOSE * lengths
    if close.sum() > 0.02 * close.numel():
        return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist").square()
    i, j = close.nonzero(as_tuple=True)
    squared[i, j] = (a[i] - b[j]).square().sum(1)
    return squared


def distance_rows(a: torch.Tensor, b: torch.Tensor) -> Iterator[tuple[slice, torch.Tensor]]:
    """Yield (rows, squared distances of a[rows] to all of b), at most ROWS rows at a time."""
    for start in range(0, len(a), ROWS):
        rows = slice(start, min(start + ROWS, len(a)))
        yield rows, squared_distances(a[rows], b)


def memorisation(fake, train, test) -> Memorisation:
    """Compare the way from generated images to training images with that from held-out images.

    A ratio near 1: generated images are as far from the training set as new real ones. Near 0:
    copies. Blurred images lie near everything, so a ratio a little below 1 proves nothing: look at
    the images beside `train[result.indices]`. Source: the distance of Bai et al. 2021, arXiv
    2106.03062, set against held-out data.

    Args:
        fake, train, test: images (., C, H, W) or features (., D); `test` was never trained on.

    Raises CourseError for bad input, and where every test row also lies in train.
    """
    fake, train, test = (
        as_points(points, name)
        for points, name in ((fake, "fake"), (train, "train"), (test, "test"))
    )
    of_fake = nearest_neighbours(fake, train)
    of_test = nearest_neighbours(test, train)
    usual = float(of_test.distances.mean())
    if usual == 0:
        raise CourseError(
            "every row of test is also in train, so nothing is held out; pass a split that the "
            "model has not seen"
        )
    ratio = float(of_fake.distances.mean()) / usual
    return Memorisation(
        ratio, of_fake.distances[:, 0], of_test.distances[:, 0], of_fake.indices[:, 0]
    )
