"""Checks of the scoring chapter: the error bar of a share, and a test of two samples."""

from __future__ import annotations

import torch

from course_utils.check.exercise import exercise
from course_utils.check.probes import Mistake, Values, case
from course_utils.check.scoring import features

# ------------------------------------------------------------------------------- error of a share


def error_by_numpy(p, n):
    """Return the standard error with NumPy: the oracle."""
    import numpy as np

    p = p.double().numpy()
    return torch.from_numpy(np.sqrt(p * (1.0 - p) / float(n)))


ERROR_CASES = (
    case([0.5], 100),
    case([0.9, 0.1], 1_000),
    case([0.0, 0.25, 1.0], 16),
)
ERROR_MISTAKES = (
    Mistake(
        lambda p, n: p * (1 - p) / n,
        "Yours is the variance of the share: an error bar has the unit of the share itself",
    ),
    Mistake(
        lambda p, n: (p * (1 - p)).sqrt(),
        "Yours is the deviation of a single draw: the share of many draws scatters less",
    ),
    Mistake(
        lambda p, n: (p * (1 - p)).sqrt() / n,
        "Yours shrinks as one over the number of draws: four times as many draws only halve the "
        "error",
    ),
    Mistake(
        lambda p, n: (p / n).sqrt(),
        "Yours grows up to p = 1: a share that is always 1 does not scatter at all",
    ),
    Mistake(
        lambda p, n: 2 * (p * (1 - p) / n).sqrt(),
        "Yours is two standard errors: one is wanted",
    ),
    Mistake(
        lambda p, n: 1.96 * (p * (1 - p) / n).sqrt(),
        "Yours is the half width of a 95 % interval: one standard error is wanted",
    ),
    Mistake(
        lambda p, n: torch.full_like(p, 0.5) / n**0.5,
        "Yours is the largest error that any share can have: it depends on the share too",
    ),
)


@exercise(
    "scoring",
    probes=[Values("your error", error_by_numpy, ERROR_CASES, ERROR_MISTAKES)],
    hints=[
        "One draw is 1 with probability p and 0 otherwise: its variance is p (1 - p).",
        "The variance of a mean of n independent draws is that of one, over n. A bar has the root.",
    ],
    opens="A thousand draws give a share of one half to within three points, twice that error.",
)
def share_error(p, n):
    """Return the standard error of shares that were counted in n draws each.

    p: shares (K,), from 0 to 1.  n: draws, a whole number.  The errors: (K,).
    """
    return (p * (1 - p) / n).sqrt()


# ------------------------------------------------------------------------- a test of two samples


def test_by_loops(a, b, of: str = "ab", order: float = 2):
    """Return the share of points whose nearest other point is of their own set: the oracle."""
    points = [(x, "a") for x in a] + [(x, "b") for x in b]
    own = []
    for i, (x, name) in enumerate(points):
        if name not in of:
            continue
        rest = [(float((x - y).norm(p=order)), other) for j, (y, other) in enumerate(points)
                if j != i]  # fmt: skip
        own.append(min(rest)[1] == name)
    return torch.tensor(own, dtype=torch.float64).mean()


TEST_CASES = (
    case([[0.0], [1.0]], [[10.0], [11.0]], note="two sets far apart, 0 and 1 against 10 and 11"),
    case([[0.0], [2.0], [4.0]], [[1.1], [3.1]], note="0, 2 and 4 against 1.1 and 3.1"),
    case(
        features(40, 2).tolist(),
        features(25, 2, shift=0.7, seed=1).tolist(),
        note="40 points in the plane against 25 that are moved",
    ),
    case(
        features(30, 3).tolist(), features(30, 3, seed=2).tolist(), note="two samples of one cloud"
    ),
)
TEST_MISTAKES = (
    Mistake(
        lambda a, b: torch.ones(()),
        "Yours is always 1: the nearest point to each is itself, at distance 0, and has to be left "
        "out",
    ),
    Mistake(
        lambda a, b: 1 - test_by_loops(a, b),
        "Yours counts the neighbours from the other set: those from the own set are wanted, so "
        "that sets far apart have 1",
    ),
    Mistake(
        lambda a, b: test_by_loops(a, b, of="a"),
        "Yours asks the points of a only: those of b have neighbours as well",
    ),
    Mistake(
        lambda a, b: test_by_loops(a, b, of="b"),
        "Yours asks the points of b only: those of a have neighbours as well",
    ),
    Mistake(
        lambda a, b: test_by_loops(a, b) * (len(a) + len(b)),
        "Yours is a number of points: their share is wanted, from 0 to 1",
    ),
    Mistake(
        lambda a, b: test_by_loops(a, b, order=1),
        "Yours adds up absolute differences: the Euclidean distance is wanted",
    ),
    Mistake(
        lambda a, b: (test_by_loops(a, b, of="a") + test_by_loops(a, b, of="b")) / 2,
        "Yours averages over the two sets, whatever their sizes: each point counts the same",
    ),
)


@exercise(
    "scoring",
    probes=[Values("your share", test_by_loops, TEST_CASES, TEST_MISTAKES)],
    hints=[
        "Join the sets, and remember which point is whose.",
        "All distances at once: torch.cdist of the joined points with themselves. Its diagonal is "
        "no neighbour: fill it with infinity.",
        "The nearest is the argmin of each row; compare its set with the row's.",
    ],
    opens="Two samples of one distribution have one half, and 1 means that every sample is found "
    "out.",
)
def nearest_neighbour_test(a, b):
    """Return the share of points whose nearest other is of their own set.

    a, b: features (N, D) and (M, D).
    Source: Lopez-Paz and Oquab 2017, arXiv 1610.06545.
    """
    points = torch.cat([a, b])
    is_b = torch.arange(len(points)) >= len(a)
    distances = torch.cdist(points, points)
    distances.fill_diagonal_(torch.inf)
    nearest = distances.argmin(dim=1)
    return (is_b[nearest] == is_b).double().mean()
