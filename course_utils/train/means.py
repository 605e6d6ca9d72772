"""Means of loss terms over an epoch, without waiting for the device at each step."""

from __future__ import annotations

from collections import defaultdict

import torch

AT_ONCE = 100  # batches whose terms wait on the device before they are fetched together


class RunningMeans:
    """Means of loss terms over images. Adding a batch only puts its terms aside.

    After every `AT_ONCE` batches, and when a mean is asked for, what lies aside is fetched in one
    go and summed in double precision; so memory and the cost of a look do not grow with the epoch.
    """

    def __init__(self) -> None:
        self.aside: dict[str, list[torch.Tensor]] = defaultdict(list)
        self.sizes: list[int] = []  # images of the batches that lie aside
        self.sums: dict[str, float] = defaultdict(float)
        self.images = 0  # of the batches in the sums

    def add(self, terms: dict[str, torch.Tensor], n: int) -> None:
        """Add the terms (scalars per image) of a batch of `n` images."""
        for name, term in terms.items():
            self.aside[name].append(term.detach())
        self.sizes.append(n)
        if len(self.sizes) == AT_ONCE:
            self.collect()

    def collect(self) -> None:
        """Move what lies aside into the sums; the device is waited for here."""
        sizes = torch.tensor(self.sizes, dtype=torch.float64)
        for name, terms in self.aside.items():
            self.sums[name] += float(torch.stack(terms).cpu().double() @ sizes)
        self.images += sum(self.sizes)
        self.aside.clear()
        self.sizes.clear()

    def mean(self, name: str) -> float:
        """Return the mean of one term so far."""
        if self.sizes:
            self.collect()
        return self.sums[name] / self.images

    def result(self) -> dict[str, float]:
        """Return the means of all terms."""
        if self.sizes:
            self.collect()
        return {name: self.mean(name) for name in self.sums}
