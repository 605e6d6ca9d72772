"""A graded check of chapter 05: how sure a network is that reads with its bounds.

Its solution stands in the exercise notebook alone, which neither wheel nor page holds.
"""

from __future__ import annotations

from decimal import Decimal

import torch

from course_utils.check.exercise import Check
from course_utils.check.probes import (
    DoublePrecision,
    Extremes,
    Mistake,
    OnTheCard,
    Untouched,
    Values,
    case,
)

CASES = (
    case([[0.0, 0.0]], [1, 3]),
    case([[-1.0, -3.0]], [1, 1]),
    case([[-1.0, -3.0]], [2, 8]),
    case([[-2.0, -1.0, -4.0], [-1.0, -2.0, -2.5]], [2, 1, 5]),
    case([[-2.0, -1.0], [-0.5, -3.0]], [4, 0]),  # a label that never occurred
)
FAR = (case([[-800.0, -802.0]], [10, 90]), case([[-100.0, -900.0]], [1, 1]))


def by_odds(bounds, counts):
    """Return the probabilities from the odds of each pair of labels, in decimals: the oracle."""
    rows = []
    for row in bounds.tolist():
        labels = [(Decimal(b), int(n)) for b, n in zip(row, counts.tolist(), strict=True)]
        rows.append([chance(label, labels) for label in labels])
    return torch.tensor(rows, dtype=torch.float64)


def chance(label: tuple[Decimal, int], labels: list[tuple[Decimal, int]]) -> float:
    """Return 1 over the sum of the odds of all labels against one; 0 where it never occurred."""
    bound, count = label
    if count == 0:
        return 0.0
    return float(1 / sum(Decimal(n) / count * (b - bound).exp() for b, n in labels))


def shares(counts):
    """Return what part of all images each label has."""
    return counts.double() / counts.sum()


def rows_to_one(weights):
    """Return weights, each row divided by its sum."""
    return weights / weights.sum(1, keepdim=True)


MISTAKES = (
    Mistake(
        lambda b, n: rows_to_one(b.exp()),
        "Your probabilities do not depend on the counts: a label that is rare in training is less "
        "likely before the image is looked at",
    ),
    Mistake(
        lambda b, n: shares(n).expand(len(b), -1),
        "Yours are the shares of the labels, whatever the image says",
    ),
    Mistake(
        lambda b, n: b.exp() * shares(n) / (b.exp() * shares(n)).sum(0),
        "Your columns sum to 1: the labels of one image exclude each other, so its row has to",
    ),
    Mistake(
        lambda b, n: b.exp() * shares(n) / (b.exp() * shares(n)).sum(),
        "Your whole table sums to 1: each image has a row of probabilities of its own",
    ),
    Mistake(
        lambda b, n: rows_to_one((b + n).exp()),
        "You add counts to logarithms: what multiplies a probability is added as its logarithm",
    ),
    Mistake(
        lambda b, n: rows_to_one((b + shares(n)).exp()),
        "You add shares to logarithms: what multiplies a probability is added as its logarithm",
    ),
    Mistake(
        lambda b, n: rows_to_one((b * shares(n)).exp()),
        "You multiply logarithms by shares: it is the probabilities that are multiplied",
    ),
    Mistake(
        lambda b, n: rows_to_one((b * n).exp()),
        "You multiply logarithms by counts: it is the probabilities that are multiplied",
    ),
    Mistake(
        lambda b, n: rows_to_one(b.exp()) * shares(n),
        "Your rows do not sum to 1: after the shares have come in, divide once more",
    ),
    Mistake(
        lambda b, n: b.exp() * shares(n),
        "Yours is p(x, y), image and label together: divide by what all labels make of the image",
    ),
    Mistake(
        lambda b, n: b.exp() * n,
        "Your rows do not sum to 1: counts times likelihoods are no probabilities yet",
    ),
    Mistake(
        lambda b, n: by_odds(b, n).log(),
        "Yours are the logarithms of the probabilities: the probabilities are wanted",
    ),
    Mistake(
        lambda b, n: b + shares(n).log(),
        "Yours is log p(x, y), image and label together: turn each row into probabilities",
    ),
    Mistake(
        lambda b, n: b + n.log(),
        "Yours are still logarithms, and a row of them is known up to a number that you add: turn "
        "each row into probabilities",
    ),
    Mistake(
        lambda b, n: rows_to_one((b + shares(n).log10()).exp()),
        "Your logarithm has the base 10: nats belong to the natural one",
    ),
    Mistake(
        lambda b, n: by_odds(-b, n),
        "The label with the highest bound comes out as the least likely: a bound on log p(x|y) is "
        "no loss, so look at its sign",
    ),
    Mistake(
        lambda b, n: rows_to_one(b.exp() / shares(n)),
        "The rarer a label is, the likelier is yours: look at the sign of the logarithm of the "
        "counts, or at what you divide by",
    ),
    Mistake(
        lambda b, n: by_odds(b, n + 1),
        "You count one image more for each label: a label that never occurred has probability 0 "
        "here",
    ),
    Mistake(
        lambda b, n: (by_odds(b, n) == by_odds(b, n).amax(1, keepdim=True)).double(),
        "Yours is 1 for the label that is read and 0 for the others: how sure it is gets lost",
    ),
    Mistake(
        lambda b, n: by_odds(b, n).argmax(1),
        "Yours is the label that is read: a probability for each label is wanted, (B, C)",
    ),
    Mistake(
        lambda b, n: by_odds(b, n).amax(1),
        "Yours is the probability of the likeliest label alone: one for each label is wanted, "
        "(B, C)",
    ),
    Mistake(
        lambda b, n: b.sigmoid(),
        "You judge each label by itself: an image has one of them, so a row sums to 1",
    ),
    Mistake(
        lambda b, n: rows_to_one(b),
        "You divide the bounds themselves by their sum: they are logarithms, and no probabilities",
    ),
)

WHY = "exp(-800) is 0 in a computer, and 0 over 0 is nothing; stay with logarithms to the end"

label_posterior = Check(
    "label_posterior",
    "05",
    ("bounds", "counts"),
    probes=(
        Values("your table of probabilities", by_odds, CASES, MISTAKES),
        Extremes("your table of probabilities", by_odds, FAR, WHY),
        Untouched(CASES[3]),
        DoublePrecision(CASES[3]),
        OnTheCard(CASES[3]),
    ),
    hints=(
        "Bayes' rule: p(y|x) is p(x|y) p(y), divided by what makes the labels of an image sum to "
        "1. Which of the three are you given, and in which form?",
        "Two labels, equal bounds, 1 image of the first and 3 of the second: it must be 1/4 and "
        "3/4. Equal counts and a bound that is 2 nats higher: e^2 times as likely.",
        "Multiplied probabilities are added logarithms. Begin with the logarithm of p(x|y) p(y) "
        "for every label; what turns such a row into probabilities is what a classifier ends with.",
    ),
    opens="A reader that knows how rare a label is may read another one than the highest bound "
    "says.",
)
