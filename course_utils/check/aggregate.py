"""A graded check of chapter 04: the density of all codes together.

Its solution stands in the exercise notebook alone, which neither wheel nor page holds.
"""

from __future__ import annotations

import math

import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from course_utils.check.exercise import Check
from course_utils.check.probes import Case, Extremes, Mistake, Values, case, usual

CASES = (
    case([[0.0]], [[0.0]], [[0.0]]),
    case([[1.0]], [[0.0]], [[2.0]]),
    case([[0.0, 1.0]], [[0.0, 0.0]], [[0.0, 0.0]]),
    case([[0.0]], [[0.0], [2.0]], [[0.0], [0.0]]),
    case([[0.0], [3.0]], [[0.0], [2.0], [-1.0]], [[0.0], [0.0], [1.0]]),
    Case(
        (
            torch.tensor([[0.5, -1.0], [2.0, 0.0], [0.0, 0.3], [-1.5, 1.0]]),
            torch.tensor([[0.0, -1.0], [1.5, 0.5], [-2.0, 1.0]]),
            torch.tensor([[0.5, 1.0], [2.0, 0.2], [1.5, 0.7]]),
        ),
        "four codes of two numbers and three images",
    ),
    Case(
        (
            torch.tensor([[0.2, -0.4, 1.0], [1.0, 0.0, -1.0]]),
            torch.tensor([[0.0, -1.0, 0.5], [1.5, 0.5, 0.0]]),
            torch.tensor([[-1.0, 0.3, -0.5], [0.6, -2.0, 0.1]]),
        ),
        "two codes of three numbers and two images",
    ),
)
FAR = (case([[100.0]], [[0.0], [1.0]], [[0.0], [0.0]]), case([[3.0]], [[0.0]], [[-8.0]]))


def normals(mu, logvar) -> Normal:
    """Return a normal distribution for each number of each image."""
    return Normal(mu, (logvar / 2).exp(), validate_args=False)


def mixture(z, mu, logvar):
    """Return the log-density of a mixture of torch.distributions: the oracle."""
    images = Independent(normals(mu, logvar), 1, validate_args=False)
    equal = Categorical(torch.ones(len(mu), dtype=mu.dtype))
    return MixtureSameFamily(equal, images, validate_args=False).log_prob(z)


def table(z, mu, logvar):
    """Return the log-density of each number of each code for each image, (M, N, Z)."""
    return normals(mu, logvar).log_prob(z.unsqueeze(1))


def mixed(logs, over: int = 1):
    """Return the logarithm of the mean of what logarithms are given of."""
    return logs.exp().mean(over).log()


def away(z, mu, logvar):
    """Return the squared distance of each number of each code from each image's mean."""
    return (z.unsqueeze(1) - mu) ** 2


def squares(z, mu, logvar):
    """Return the squared distances in units of the variances."""
    return away(z, mu, logvar) / logvar.exp()


def one_normal(z, mu, logvar):
    """Return the log-density of one normal distribution with mean and variance of all codes."""
    variance = mu.var(0, correction=0) + logvar.exp().mean(0)
    return normals(mu.mean(0), variance.log()).log_prob(z).sum(1)


MISTAKES = (
    Mistake(
        lambda *a: table(*a).sum(2).mean(1),
        "You average the logarithms: the density of all codes is the mean of the images' "
        "densities, and its logarithm comes last",
    ),
    Mistake(
        lambda *a: mixture(*a) + math.log(len(a[1])),
        "You add up the images' densities and do not divide by their number, so that the whole "
        "integrates to N and not to 1",
    ),
    Mistake(
        lambda *a: mixture(*a) - math.log(len(a[1])),
        "You divide by the number of images twice",
    ),
    Mistake(
        lambda *a: mixed(table(*a)).sum(1),
        "You mix the images for each number of the code apart: the numbers of one code come from "
        "the same image, so put them together first",
    ),
    Mistake(
        lambda *a: mixed(table(*a).mean(2)),
        "You average over the numbers of the code: they are independent given the image, so their "
        "densities are multiplied",
    ),
    Mistake(
        lambda *a: mixture(*a).exp(),
        "Yours is the density itself: its logarithm is wanted",
    ),
    Mistake(
        lambda z, mu, logvar: mixture(z, mu, (logvar**2).log()),
        "You take logvar for a standard deviation: it is the logarithm of the variance",
    ),
    Mistake(
        lambda z, mu, logvar: mixture(z, mu, logvar.log()),
        "You take logvar for the variance itself: it is its logarithm",
    ),
    Mistake(
        lambda z, mu, logvar: mixture(z, mu, 2 * logvar),
        "You take logvar for the logarithm of the standard deviation: the variance is its "
        "exponential, without a square",
    ),
    Mistake(
        lambda *a: mixed((table(*a) + squares(*a) / 2 - away(*a) * a[2].exp() / 2).sum(2)),
        "You multiply the squared distance by the variance where you ought to divide: a wide "
        "normal distribution takes distances lightly",
    ),
    Mistake(
        lambda *a: mixture(*a) + a[0].shape[1] * math.log(2 * math.pi) / 2,
        "Your normal distributions lack the factor with 2 pi: their integrals are not 1",
    ),
    Mistake(
        lambda *a: mixed((table(*a) + a[2] / 2).sum(2)),
        "Your normal distributions are all of the same height: a wider one is lower, so that its "
        "integral stays 1",
    ),
    Mistake(
        lambda *a: mixed((table(*a) - squares(*a) / 2).sum(2)),
        "The squared distance counts twice in yours: look for the factor one half",
    ),
    Mistake(
        lambda *a: table(*a).sum(2).amax(1) - math.log(len(a[1])),
        "You keep the most likely image alone: all of them may have given the code",
    ),
    Mistake(
        lambda *a: table(*a).sum(2).amax(1),
        "Yours is the density of the most likely image: the mean over all of them is wanted",
    ),
    Mistake(
        one_normal,
        "Yours is one normal distribution with the mean and the variance of all codes: it has a "
        "hill where they leave a hole",
    ),
    Mistake(
        lambda z, mu, logvar: normals(mu * 0, logvar * 0).log_prob(z.unsqueeze(1))[:, 0].sum(1),
        "Yours is the density of the prior N(0, 1): mu and logvar do not enter",
    ),
    Mistake(
        lambda *a: table(*a).sum(2),
        "Yours is a table with a column for each image: take the mean of the densities over them",
    ),
    Mistake(
        lambda *a: mixed(table(*a).sum(2), 0),
        "You average over the codes z: the mean is over the images, with one number for each z",
    ),
    Mistake(
        lambda *a: mixture(*a).mean(),
        "Yours is averaged over the codes z too: one number for each of them is wanted, (M,)",
    ),
    Mistake(
        lambda *a: -mixture(*a),
        "Yours has the wrong sign: where many codes lie the log-density is large",
    ),
)

WHY = "the density rounds to 0 before its logarithm is taken; stay with logarithms to the end"

log_aggregate = Check(
    "log_aggregate",
    "04",
    ("z", "mu", "logvar"),
    probes=(
        Values("your log-density", mixture, CASES, MISTAKES),
        Extremes("your log-density", mixture, FAR, WHY),
        *usual("your log-density", CASES[5], ("z", "mu", "logvar")),
    ),
    hints=(
        "A code of q(z) is drawn in two steps: first an image, each as likely as any other, then a "
        "code from its normal distribution. So the density at z is a mean over the images; a mean "
        "of what?",
        "Given the image, the numbers of a code are independent. Make a table of log-densities: a "
        "row for each z, a column for each image. How do the numbers of a code enter it?",
        "You then have the logarithms of what is to be averaged, and have met that in exercise 3. "
        "For the table every z has to meet every image: give z a dimension more.",
    ),
    opens="Where it is low and the prior is not, there is a hole: no image taught the decoder what "
    "to draw there.",
)
