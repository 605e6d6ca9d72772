"""Checks of chapter 06 on what the game is worth, and what its losses teach."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from course_utils.check.exercise import exercise
from course_utils.check.probes import Extremes, Mistake, Values, case

# ------------------------------------------------------------------------- what the game is worth


def js_of_torch(p, q):
    """Return the divergence by torch's distributions: the oracle."""
    middle = (p + q) / 2
    parts = (torch.special.xlogy(one, one / middle.clamp_min(1e-300)).sum() for one in (p, q))
    return sum(parts) / 2


def kl(p, q):
    """Return the KL divergence of two tables of probabilities."""
    return (p * (p / q).log()).sum()


P_AND_Q = (
    case([0.5, 0.5], [0.25, 0.75]),
    case([0.9, 0.1], [0.1, 0.9]),
    case([0.2, 0.3, 0.5], [0.1, 0.6, 0.3]),
    case([0.25, 0.25, 0.25, 0.25], [0.25, 0.25, 0.25, 0.25]),
)
APART = (case([1.0, 0.0], [0.0, 1.0]), case([0.5, 0.5, 0.0], [0.0, 0.5, 0.5]))

JS_MISTAKES = (
    Mistake(
        lambda p, q: kl(p, (p + q) / 2) + kl(q, (p + q) / 2),
        "Yours is twice as much: the two divergences are averaged",
    ),
    Mistake(
        lambda p, q: js_of_torch(p, q) / math.log(2),
        "Yours is in bits: the natural logarithm is wanted, so that the most there is is 0.693",
    ),
    Mistake(
        kl,
        "Yours is KL(p, q), which is infinite where q leaves out what p has: compare each with the "
        "mixture of both",
    ),
    Mistake(
        lambda p, q: kl(q, p),
        "Yours is KL(q, p): compare each with the mixture of both",
    ),
    Mistake(
        lambda p, q: (kl(p, q) + kl(q, p)) / 2,
        "You average KL(p, q) and KL(q, p): each is to be compared with the mixture, not with the "
        "other",
    ),
    Mistake(
        lambda p, q: (kl((p + q) / 2, p) + kl((p + q) / 2, q)) / 2,
        "Your mixture stands on the wrong side: it is what p and q are compared with",
    ),
    Mistake(
        lambda p, q: kl(p, (p + q) / 2) / 2,
        "Yours looks at p only: what q has too much must count as well",
    ),
    Mistake(
        lambda p, q: js_of_torch(p, q).sqrt(),
        "Yours is the root of it, which is a distance: the divergence itself is wanted",
    ),
    Mistake(
        lambda p, q: -js_of_torch(p, q),
        "Yours has the wrong sign: a divergence is never negative",
    ),
)


@exercise(
    "06",
    probes=[
        Values("your divergence", js_of_torch, P_AND_Q, JS_MISTAKES),
        Extremes(
            "your divergence",
            js_of_torch,
            APART,
            "where a probability is 0 its term is 0, and 0 * log 0 is not a number to a computer",
        ),
    ],
    hints=[
        "Mix the two tables half and half first.",
        "Then a KL divergence from each table to the mixture, and their mean.",
        "`torch.xlogy(p, a)` is p log a, and 0 where p is 0.",
    ],
    opens="Tables that never overlap are log 2 apart, however far: such a judge teaches nothing.",
)
def jensen_shannon(p, q):
    """Return the Jensen-Shannon divergence of two tables in nats, a scalar.

    p, q: probabilities, (K,), which sum to 1; entries may be 0.
    """
    middle = (p + q) / 2
    to_p = (torch.xlogy(p, p) - torch.xlogy(p, middle)).sum()
    to_q = (torch.xlogy(q, q) - torch.xlogy(q, middle)).sum()
    return (to_p + to_q) / 2


# ------------------------------------------------------------------------- how much a loss teaches

LOGITS = (case([0.0]), case([-6.0]), case([-6.0, 0.0, 6.0]), case([2.0, -1.0, 0.5, -3.0]))


def both_slopes(logits):
    """Return the slopes from the formulas on paper: the oracle."""
    return torch.stack([logits.sigmoid(), (-logits).sigmoid()])


SLOPE_MISTAKES = (
    Mistake(
        lambda a: both_slopes(a).flip(0),
        "Your rows are exchanged: first that of log(1 - D), then that of -log D",
    ),
    Mistake(
        lambda a: -both_slopes(a),
        "Your slopes carry their sign: their size is asked for",
    ),
    Mistake(
        lambda a: both_slopes(a) / len(a),
        "You average over the batch before the slope is taken, so that every point gets a part "
        "only: sum instead",
    ),
    Mistake(
        lambda a: torch.stack([F.softplus(a), F.softplus(-a)]),
        "Yours are the losses: their slopes are asked for, what a step goes by",
    ),
    Mistake(
        lambda a: both_slopes(a) * both_slopes(a).flip(0),
        "Yours is the slope of the sigmoid: the logarithm after it is missing",
    ),
    Mistake(
        lambda a: torch.stack([(2 * a.sigmoid() - 1)] * 2),
        "Both rows hold the sum of both slopes: `backward()` adds to what stands in .grad already",
    ),
    Mistake(
        lambda a: torch.stack([(2 * a.sigmoid() - 1)] * 2) / len(a),
        "Both rows hold the sum of both slopes, averaged over the batch: `backward()` adds to what "
        "stands in .grad already",
    ),
    Mistake(
        lambda a: 1 / both_slopes(a).flip(0),
        "Yours are the slopes in D: a network gives logits, and the slopes in the logit are wanted",
    ),
    Mistake(
        lambda a: both_slopes(a).mT,
        "Yours has a row for each logit: two rows are wanted, one for each loss, (2, B)",
    ),
    Mistake(
        lambda a: torch.stack([a.sigmoid(), a.sigmoid()]),
        "Both of your rows belong to log(1 - D)",
    ),
    Mistake(
        lambda a: torch.stack([(-a).sigmoid(), (-a).sigmoid()]),
        "Both of your rows belong to -log D",
    ),
)


@exercise(
    "06",
    probes=[
        Values("your pair of slopes", both_slopes, LOGITS, SLOPE_MISTAKES),
        Extremes(
            "your slopes",
            both_slopes,
            (case([-50.0]), case([120.0])),
            "a sigmoid that has rounded to 0 or 1 has no slope left; stay with the logits",
        ),
    ],
    hints=[
        "log(1 - D) is `-F.softplus(a)` of the logit a, and -log D is `F.softplus(-a)`.",
        "Make a copy of the logits that asks for gradients, `logits.clone().requires_grad_()`, and "
        "let `torch.autograd.grad` work on the sum of each loss.",
        "Or do it on paper: what is the derivative of softplus?",
    ],
    opens="At a logit of -6 the first loss teaches a four-hundredth of what the second one does.",
)
def lessons(logits):
    """Return the sizes of the slopes of log(1 - D) and of -log D, (2, B).

    logits: what the discriminator says, (B,); D is their sigmoid.
    """
    made = []
    for loss in (lambda a: -F.softplus(a), lambda a: F.softplus(-a)):
        at = logits.detach().clone().requires_grad_()
        (slope,) = torch.autograd.grad(loss(at).sum(), at)
        made.append(slope.abs())
    return torch.stack(made)
