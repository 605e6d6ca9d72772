"""Whether a classifier is as sure of itself as it may be.

A classifier is calibrated when, of the images to which it gives a probability of 0.8, it gets eight
in ten right. Accuracy does not see this; a network can be right more often and boast more, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.metrics.inputs import as_labels, as_tensor, check_whole


@dataclass(frozen=True)
class Reliability:
    """Images sorted into bins by the probability of the label that was chosen.

    confidence, accuracy (K,): means within each bin that holds an image; count (K,): its images.
    """

    confidence: torch.Tensor
    accuracy: torch.Tensor
    count: torch.Tensor


def reliability(probabilities, y, bins: int = 15) -> Reliability:
    """Return accuracy against confidence, in bins of equal width.

    Args:
        probabilities: (N, classes), rows that add up to 1.
        y: labels (N,).
        bins: from 0 to 1, in all; empty ones are left out.

    Raises CourseError for anything but probabilities, or labels that do not fit.
    """
    p = as_probabilities(probabilities)
    y = as_labels(y, len(p), "y")
    check_whole(bins, "bins")
    confidence, chosen = p.max(1)
    right = (chosen == y).double()
    place = (confidence * bins).ceil().long().sub(1).clamp(0, bins - 1)  # (0, 1/K], (1/K, 2/K], ...
    count = torch.bincount(place, minlength=bins).double()
    sums = [torch.bincount(place, v, minlength=bins) for v in (confidence, right)]
    filled = count > 0
    means = [(s / count)[filled] for s in sums]
    return Reliability(*means, count[filled].long())


def expected_calibration_error(probabilities, y, bins: int = 15) -> float:
    """Return the mean over images of |accuracy - confidence| of their bin: 0 is calibrated.

    Arguments and errors as in `reliability`. Biased upwards for few images: a perfectly calibrated
    classifier scores above 0. Source: Guo et al. 2017, arXiv 1706.04599.
    """
    bin_of = reliability(probabilities, y, bins)
    gap = (bin_of.accuracy - bin_of.confidence).abs()
    return float((gap * bin_of.count).sum() / bin_of.count.sum())


def negative_log_likelihood(probabilities, y) -> float:
    """Return the mean of -log p(y) in nats; infinite where a label was given probability 0.

    Arguments and errors as in `reliability`.
    """
    p = as_probabilities(probabilities)
    y = as_labels(y, len(p), "y")
    if y.max() >= p.shape[1]:
        raise CourseError(f"a label is {int(y.max())}, but there are {p.shape[1]} probabilities")
    return float(-p[torch.arange(len(p)), y].log().mean())


@torch.no_grad()
def monte_carlo_probabilities(
    model: nn.Module, x: torch.Tensor, n: int, generator_seed: int = 0
) -> torch.Tensor:
    """Return the mean (N, classes) of the softmax over n passes with dropout switched on.

    Only layers of dropout are switched on, batch norm keeps its averages; modes are given back, and
    so is the random state. Source: Gal and Ghahramani 2016, arXiv 1506.02142.

    Args:
        model: images x (N, C, H, W) -> logits (N, classes), with a dropout layer.
        x: images, on the model's device.
        n: passes, each with units of its own dropped.
        generator_seed: of the draws.

    Raises CourseError where n is no whole number from 1, or the model has no dropout.
    """
    check_whole(n, "n")
    layers = [m for m in model.modules() if isinstance(m, nn.Dropout)]
    if not layers:
        raise CourseError("the model has no dropout layer, so every pass would be the same")
    modes = {module: module.training for module in model.modules()}
    model.eval()
    for layer in layers:
        layer.train()
    devices = [x.device] if x.device.type == "cuda" else []
    try:
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(generator_seed)
            return sum(model(x).softmax(1) for _ in range(n)) / n
    finally:
        for module, mode in modes.items():
            module.training = mode


def as_probabilities(values) -> torch.Tensor:
    """Return probabilities (N, classes) as float64 on the CPU; raise CourseError for others."""
    p = as_tensor(values, "probabilities").double().cpu()
    if p.ndim != 2 or p.shape[1] < 2 or len(p) == 0:
        raise CourseError(f"probabilities have shape {tuple(p.shape)}; it must be (N, classes)")
    if p.min() < 0 or (p.sum(1) - 1).abs().max() > 1e-3:
        raise CourseError("rows of probabilities must be 0 or more and add up to 1: softmax first")
    return p / p.sum(1, keepdim=True)
