"""Means of loss terms over an epoch, without waiting for the device at each step."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable

import torch

AT_ONCE = 100  # batches whose terms wait on the device before they are fetched together


class RunningMeans:
    """Means of loss terms over images. Adding a batch only puts its terms aside.

    After every `AT_ONCE` batches, and when a mean is asked for, what lies aside is fetched in one
    go and summed in double precision; so memory and the cost of a look do not grow with the epoch.
    A term that comes with some batches only is averaged over those.

    Args:
        across: adds up a sum and a count over all processes that train together.
    """

    def __init__(self, across: Callable[[float, int], tuple[float, int]] | None = None) -> None:
        self.across = across
        self.aside: dict[str, list[torch.Tensor]] = defaultdict(list)
        self.sizes: dict[str, list[int]] = defaultdict(list)  # images of the batches that lie aside
        self.sums: dict[str, float] = defaultdict(float)
        self.images: dict[str, int] = defaultdict(int)  # of the batches in the sums

    def add(self, terms: dict[str, torch.Tensor], n: int) -> None:
        """Add the terms (scalars per image) of a batch of `n` images."""
        for name, term in terms.items():
            self.aside[name].append(term.detach())
            self.sizes[name].append(n)
            if len(self.sizes[name]) == AT_ONCE:
                self.collect(name)

    def collect(self, name: str) -> None:
        """Move what lies aside of one term into its sum; the device is waited for here."""
        if self.sizes[name]:
            sizes = torch.tensor(self.sizes[name], dtype=torch.float64)
            self.sums[name] += float(torch.stack(self.aside[name]).cpu().double() @ sizes)
            self.images[name] += sum(self.sizes[name])
            self.aside[name].clear()
            self.sizes[name].clear()

    def mean(self, name: str) -> float:
        """Return the mean of one term so far; NaN where it never came."""
        self.collect(name)
        total, images = self.sums[name], self.images[name]
        if self.across:
            total, images = self.across(total, images)
        return total / images if images else float("nan")

    def result(self) -> dict[str, float]:
        """Return the means of all terms."""
        return {name: self.mean(name) for name in list(self.aside)}
