"""Checks of chapter 03 on pixels: decibels, standardising, and what a loss asks for."""

from __future__ import annotations

import math
from itertools import product

import torch

from course_utils.check.calling import Answer
from course_utils.check.exercise import exercise
from course_utils.check.probes import Case, Mistake, Untouched, Values, case

# ------------------------------------------------------------------------------------- decibels


def db_of_roots(recon, x):
    """Return the ratio of the peak to the root of the error, in dB of amplitudes: the oracle."""
    roots = torch.stack([(a - b).norm() / math.sqrt(a.numel()) for a, b in zip(recon, x)])  # noqa: B905
    return -20 * roots.log10()


def some(*shape: int, seed: int = 0) -> torch.Tensor:
    """Return numbers in [0, 1]."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


DB_CASES = (
    case([[[[0.1]]]], [[[[0.0]]]]),
    case([[[[0.5, 0.5]]]], [[[[0.0, 1.0]]]]),
    Case((some(3, 1, 4, 5), some(3, 1, 4, 5, seed=1)), "three images of 4 by 5"),
    Case((some(2, 3, 4, 4, seed=2), some(2, 3, 4, 4, seed=3)), "two images of three channels"),
)


def mse(recon, x):
    """Return the mean squared error of each image."""
    return (recon - x).square().flatten(1).mean(1)


DB_MISTAKES = (
    Mistake(
        lambda r, x: -10 * mse(r, x).mean().log10(),
        "You average the error over the batch before the logarithm: every image has a ratio of its "
        "own",
    ),
    Mistake(
        lambda r, x: (-10 * mse(r, x).log10()).mean(),
        "You average over the batch: one number per image is wanted",
    ),
    Mistake(
        lambda r, x: -10 * mse(r, x).log(),
        "Yours is the natural logarithm: decibels count in powers of ten",
    ),
    Mistake(
        lambda r, x: -20 * mse(r, x).log10(),
        "Yours is twice as much: 20 goes with the root of the error, 10 with its square",
    ),
    Mistake(
        lambda r, x: -5 * mse(r, x).log10(),
        "Yours is half of it: 10 goes with the squared error, 20 with its root",
    ),
    Mistake(
        lambda r, x: 10 * mse(r, x).log10(),
        "Yours has the wrong sign: a better image has more decibels",
    ),
    Mistake(
        lambda r, x: -10 * (mse(r, x) * x[0].numel()).log10(),
        "You sum the error over the pixels: the ratio is one of the mean over them, or a larger "
        "image would be worse",
    ),
    Mistake(
        lambda r, x: 20 * math.log10(255) - 10 * mse(r, x).log10(),
        "Your peak is 255: these pixels lie in [0, 1], so their peak is 1",
    ),
    Mistake(
        lambda r, x: -10 * (r - x).abs().flatten(1).mean(1).log10(),
        "You take the absolute error: the squared one is wanted",
    ),
)


@exercise(
    "03",
    probes=[Values("your ratio", db_of_roots, DB_CASES, DB_MISTAKES, per_image=True)],
    hints=[
        "First the mean squared error of each image, (B,): the mean over everything but the batch.",
        "An error of 0.1 at every pixel is a squared error of 0.01, and 20 dB.",
        "Ten times the logarithm to the base 10, and the sign such that small errors give much.",
    ],
    opens="Halve the error at every pixel and it grows by 6 dB, whatever it was.",
)
def psnr(recon, x):
    """Return the peak signal-to-noise ratio of each image in dB, (B,).

    recon, x: images in [0, 1] of the same shape, (B, C, H, W).
    """
    mse = (recon - x).square().flatten(1).mean(dim=1)
    return -10 * mse.log10()


# ------------------------------------------------------------------------------- standardising

TRAIN = torch.stack(
    [(torch.arange(400) % 2).float(), 0.05 * (torch.arange(400) % 5).float(), torch.zeros(400)], 1
)  # 400 images of three pixels, the last one always 0
PIXELS = (
    Case(
        (torch.tensor([[1.0, 0.2], [0.0, 0.0]]), TRAIN[:, :2]),
        "two images of two pixels (means 0.5 and 0.1, deviations 0.5 and 0.071 in training)",
    ),
    Case((some(50, 6, seed=4) * 0.3, some(600, 6, seed=5)), "50 darker images of six pixels"),
)


def standard(x, train):
    """Return the pixels by scikit-learn's rule, dark ones left out: the oracle."""
    mean = train.mean(0)
    deviation = ((train - mean) ** 2).mean(0).sqrt()
    return (x - mean) / torch.where(deviation > 0, deviation, torch.inf)


OWN = (
    "You take mean and deviation of the images themselves: those of the training images are "
    "wanted, or an image would change with its company"
)
PIXEL_MISTAKES = (
    Mistake(lambda x, t: standard(x, x), OWN),
    Mistake(lambda x, t: (x - x.mean(0)) / x.std(0), OWN),
    Mistake(
        lambda x, t: (x - t.mean()) / t.std(),
        "You take one mean and one deviation for all pixels: each pixel has its own",
    ),
    Mistake(
        lambda x, t: standard(x, t) / t.std(0).clamp_min(1e-12),
        "You divide by the variance: the standard deviation is its root",
    ),
    Mistake(
        lambda x, t: standard(x, t) * t.std(0),
        "You take the mean off, and do not divide",
    ),
    Mistake(
        lambda x, t: torch.where(t.std(0) > 0, x / t.std(0), 0.0),
        "You divide, and do not take the mean off first",
    ),
    Mistake(
        lambda x, t: (x - x.mean(1, keepdim=True)) / x.std(1, keepdim=True),
        "You take mean and deviation of each image: over the images, for each pixel, is wanted",
    ),
)


def dark_pixel(answer: Answer) -> str | None:
    """Ask for a pixel that never changed in training, dark and lit."""
    x = torch.tensor([[0.5, 0.1, 0.0], [0.2, 0.0, 1.0]])
    got = answer.tensor(x, TRAIN)
    if got.shape != x.shape:
        return f"Your row of pixels has shape {tuple(got.shape)} for {tuple(x.shape)}."
    for value, made in zip(x[:, 2].tolist(), got[:, 2].tolist(), strict=True):
        here = f"A pixel that is 0 in all training images, and {value:g} here, gives {made:.4g}"
        if not math.isfinite(made):
            return f"{here}: its deviation is 0."
        if abs(made) > 1e-4:
            return f"{here}: it would drown all others, and is to be 0."
    return None


@exercise(
    "03",
    probes=[
        Values("your row of pixels", standard, PIXELS, PIXEL_MISTAKES, rtol=5e-3),
        dark_pixel,
        Untouched(PIXELS[1]),
    ],
    hints=[
        "Mean and deviation are taken over the images, dimension 0, so that each has a number for "
        "every pixel.",
        "Whose mean? A test image must come out the same, whatever other images are tested.",
        "What is 0 / 0? And 1 / 1e-8, which an added epsilon makes of a pixel that lights for the "
        "first time? Pick these pixels out by `torch.where`.",
    ],
    opens="A pixel of small deviation is blown up most, and one lit image in 5,000 can decide a "
    "score.",
)
def standardise(x, train):
    """Return images, each pixel scaled to mean 0 and deviation 1, (B, P).

    x: images as rows, (B, P).  train: training images, (N, P), which say
    what mean and deviation are; what never varies there becomes 0.
    """
    mean, deviation = train.mean(dim=0), train.std(dim=0)
    safe = torch.where(deviation > 0, deviation, 1)
    return torch.where(deviation > 0, (x - mean) / safe, 0)


# ------------------------------------------------------------------------ what a loss asks for

VALUES = (
    torch.tensor([0.9, 0.0, 0.0]),
    torch.tensor([0.0, 0.0, 0.0, 0.0, 0.0, 0.9, 0.9, 0.9, 1.0]),
    torch.tensor([0.1, 0.2, 0.35, 0.8, 1.0]),
)
POWERS = (1, 2, 4)


def cost(values: torch.Tensor, c: float, p: int) -> float:
    """Return the mean of |value - c|^p."""
    return (values.double() - c).abs().pow(p).mean().item()


def best_of(values: torch.Tensor, p: int) -> float:
    """Return the best constant by trying 10,001 of them: the oracle."""
    tried = torch.linspace(0, 1, 10_001, dtype=torch.float64)
    return tried[(values.double() - tried[:, None]).abs().pow(p).mean(1).argmin()].item()


CONSTANTS = (
    (lambda v, p: v.mean().item(), "Yours is the mean, whatever the power is"),
    (lambda v, p: v.median().item(), "Yours is the median, whatever the power is"),
    (
        lambda v, p: (v.min() + v.max()).item() / 2,
        "Yours lies halfway between the smallest and the largest, whatever the power is",
    ),
    (
        lambda v, p: cost(v, best_of(v, p), p),
        "Yours is the smallest cost: the number c where it is reached is wanted",
    ),
    (lambda v, p: v.min().item(), "Yours is the smallest of the values"),
)


def constant_faults(answer: Answer) -> str | None:
    """Compare with what a search finds, for three sets of values and three powers."""
    asked = list(product(VALUES, POWERS))
    got = [float(answer.tensor(values, p)) for values, p in asked]
    wanted = [best_of(*pair) for pair in asked]
    wrong = [i for i, (a, b) in enumerate(zip(got, wanted, strict=True)) if not abs(a - b) < 0.015]
    if not wrong:
        return None
    values, p = asked[wrong[0]]
    listed = ", ".join(f"{value:.2g}" for value in values.tolist())
    there = f"for the values {listed} and p = {p} c = {got[wrong[0]]:.3g} costs " \
        f"{cost(values, got[wrong[0]], p):.3g}, and less is possible."  # fmt: skip
    for formula, says in CONSTANTS:
        if all(abs(a - formula(*pair)) < 0.015 for a, pair in zip(got, asked, strict=True)):
            return f"{says}: {there}"
    if any(math.isnan(a) for a in got):
        return f"Your search ends in nan for the values {listed} and p = {p}: smaller steps?"
    if len(wrong) <= 3 and all(asked[i][1] == 1 for i in wrong):
        return f"Right for p = 2 and 4, not for p = 1: {there}"
    return f"Your constant is not the best one: {there}"


@exercise(
    "03",
    probes=[constant_faults],
    hints=[
        "Try out: c from 0 to 1 in a thousand steps, and the mean cost of each.",
        "`values - c[:, None]` has a row for each c.",
        "Then look at what you have found, for p = 1, 2 and 4: which two of them have a name?",
    ],
    opens="Among possible pixels L1 chooses the one in the middle, and L2 a grey that none of "
    "them had.",
)
def best_constant(values, p):
    """Return the c in [0, 1] for which the mean of |values - c|^p is smallest.

    values: numbers in [0, 1], (N,), N odd.  p: 1, 2 or 4.
    """
    c = torch.linspace(0, 1, 1001)
    costs = (values - c[:, None]).abs().pow(p).mean(dim=1)
    return c[costs.argmin()].item()
