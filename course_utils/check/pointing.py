"""Checks of chapter 03: from the best denoiser to the score, where both are known."""

from __future__ import annotations

import torch
from torch import distributions

from course_utils.check.exercise import exercise
from course_utils.check.probes import Extremes, Mistake, OnTheCard, Untouched, Values, case


def slope_of_log_density(x, points, sigma):
    """Return the score (N, D) as autograd finds it in the density: a bell around each point."""
    x = x.clone().requires_grad_()
    bells = distributions.Independent(distributions.Normal(points, sigma), 1)
    which = distributions.Categorical(torch.ones(len(points), dtype=points.dtype))
    density = distributions.MixtureSameFamily(which, bells)
    return torch.autograd.grad(density.log_prob(x).sum(), x)[0]


def squares(x, points):
    """Return the squared distances (N, M)."""
    return (x[:, None] - points).square().sum(2)


def answered(x, points, weights, sigma):
    """Return what follows from weights (N, M) of the clean points."""
    return (weights @ points - x) / sigma**2


def likely(x, points, sigma):
    """Return how likely each clean point is, (N, M)."""
    return (-squares(x, points) / (2 * sigma**2)).softmax(1)


def way(x, points, sigma):
    """Return the way from noisy points to the best answers (N, D)."""
    return likely(x, points, sigma) @ points - x


def slope_of_density(x, points, sigma):
    """Return the slope of the density itself, up to its constant factor."""
    bells = (-squares(x, points) / (2 * sigma**2)).exp().mean(1, keepdim=True)
    return bells * way(x, points, sigma) / sigma**2


def nearest(x, points, sigma):
    """Return the arrows to the nearest clean points."""
    return (points[squares(x, points).argmin(1)] - x) / sigma**2


OF_POINTS = (
    Mistake(
        lambda x, p, s: -way(x, p, s) / s**2,
        "Your arrows point away from the data: the density rises towards them",
    ),
    Mistake(
        way,
        "Yours is the way to the best answer: the score has another length, for which sigma is "
        "needed once more",
    ),
    Mistake(
        lambda x, p, s: way(x, p, s) / s,
        "You divide by the deviation: look at what stands below the way in the chapter's formula",
    ),
    Mistake(
        lambda x, p, s: way(x, p, s) / (2 * s**2),
        "Yours is half of the score: the 2 in the exponent of the bell goes when it is "
        "differentiated",
    ),
    Mistake(
        lambda x, p, s: likely(x, p, s) @ p,
        "Yours is the best answer, a place: the score is an arrow from the noisy point",
    ),
    Mistake(
        nearest,
        "Your arrows lead to the nearest clean point: the best answer is a mean over all of them",
    ),
    Mistake(
        lambda x, p, s: (p.mean(0) - x) / s**2,
        "All clean points count alike in your answer: near ones are more probable",
    ),
    Mistake(
        lambda x, p, s: answered(x, p, (-squares(x, p) / s**2).softmax(1), s),
        "Your weights fall too fast with the distance: look at the exponent of the bell again",
    ),
    Mistake(
        lambda x, p, s: answered(x, p, (-squares(x, p).sqrt() / (2 * s**2)).softmax(1), s),
        "The distances in your weights are not squared",
    ),
    Mistake(
        lambda x, p, s: answered(x, p, (-squares(x, p) / (2 * s)).softmax(1), s),
        "In your weights sigma is not squared",
    ),
    Mistake(
        lambda x, p, s: answered(x, p, (-squares(x, p) / (2 * s**2)).exp(), s),
        "Your weights do not add up to 1 for a noisy point: probabilities do",
    ),
    Mistake(
        lambda x, p, s: answered(x, p, (-squares(x, p) / (2 * s**2)).softmax(0), s),
        "Your weights add up to 1 over the noisy points: each noisy point has its own, over the "
        "clean ones",
    ),
    Mistake(
        slope_of_density,
        "Yours is the slope of the density: that of its logarithm is wanted, which does not fade "
        "far from the data",
    ),
)

ONE = case([[1.0, 0.5]], [[0.0, 0.0]], 0.4)
TWO = case([[0.5, 0.5]], [[-1.0, 0.0], [1.0, 0.0]], 0.8)
BOTH = case([[0.5, 0.5], [0.0, -1.0]], [[-1.0, 0.0], [1.0, 0.0], [0.0, 2.0]], 0.8)
SPACE = case(
    [[0.2, -0.3, 0.5], [1.0, 0.4, -0.6]],
    [[0.0, 0.0, 0.0], [1.0, 1.0, 1.0], [0.5, -0.5, 1.5], [-1.0, 0.2, 0.3]],
    1.3,
    note="2 noisy and 4 clean points in space",
)
FAR = case([[40.0, 0.0]], [[-1.0, 0.0], [1.0, 0.0]], 0.5)


@exercise(
    "03",
    probes=[
        Values("your score", slope_of_log_density, (ONE, TWO, BOTH, SPACE), OF_POINTS),
        Extremes(
            "your score",
            slope_of_log_density,
            [FAR],
            "each weight rounds to 0 by itself there; only what they are to each other is wanted",
        ),
        Untouched(TWO),
        OnTheCard(TWO),
    ],
    hints=[
        "With a single clean point there is nothing to weigh: the best answer is that point. What "
        "is the score of one bell?",
        "A clean point is the more probable the higher its bell is at x, and over the clean points "
        "the probabilities add up to 1: `.softmax(dim=1)` of the exponents, (N, M).",
        "The best answer is the mean of the clean points under these probabilities. The chapter's "
        "formula makes a score of it.",
    ],
    opens="No density was differentiated: whoever can denoise knows where it rises.",
)
def score_of_points(x, points, sigma):
    """Return the score of the noisy data, (N, D): where log p rises.

    x: noisy points, (N, D).  points: all clean data there are, (M, D),
    equally probable.  sigma: the standard deviation of the noise.
    """
    squared = (x[:, None] - points).square().sum(dim=2)  # (N, M)
    probable = (-squared / (2 * sigma**2)).softmax(dim=1)
    best_answer = probable @ points
    return (best_answer - x) / sigma**2
