"""Tests for answers that draw random numbers.

Every test has the same two error rates. A right answer is refused in less than one of a million
checks (`SIGMAS` standard errors, two-sided). The sizes of the samples are such that a fault of the
size that a sentence names, 5 % of a standard deviation and more, is missed as rarely; the tests
measure both. All draws are seeded, so that a verdict does not change from call to call.
"""

from __future__ import annotations

import math

import torch

SIGMAS = 4.9  # standard errors of a normal estimate: exceeded with probability 1e-6


def mean_is_off(x: torch.Tensor, wanted: float, std: float) -> bool:
    """Tell whether the mean of independent x, of standard deviation `std`, cannot be `wanted`."""
    return abs(x.double().mean().item() - wanted) > SIGMAS * std / math.sqrt(x.numel())


def std_is_off(x: torch.Tensor, wanted: float, kurtosis: float = 3.0) -> bool:
    """Tell whether the standard deviation of independent x cannot be `wanted`.

    The variance of n numbers has a relative standard error of sqrt((kurtosis - 1) / n).
    """
    error = math.sqrt((kurtosis - 1) / x.numel())
    return abs(x.double().var().item() / wanted**2 - 1) > SIGMAS * error


def is_not_normal(x: torch.Tensor) -> bool:
    """Tell whether independent x, whatever mean and deviation, have another kurtosis than 3."""
    x = (x.double() - x.double().mean()) / x.double().std()
    return abs(x.pow(4).mean().item() - 3) > SIGMAS * math.sqrt(24 / x.numel())


def share_is_off(count: int, n: int, wanted: float) -> bool:
    """Tell whether `count` of n independent events cannot have the probability `wanted`."""
    error = math.sqrt(wanted * (1 - wanted) / n)
    return abs(count / n - wanted) > SIGMAS * error + 0.5 / n


def are_correlated(x: torch.Tensor, y: torch.Tensor) -> bool:
    """Tell whether two samples of equal length cannot be independent."""
    x, y = (v.double().flatten() - v.double().mean() for v in (x, y))
    scale = (x.norm() * y.norm()).item()
    return scale == 0 or abs((x @ y).item() / scale) > SIGMAS / math.sqrt(x.numel())
