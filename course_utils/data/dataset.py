"""What a data set is: three splits of images and labels, and where they come from."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch


@dataclass(frozen=True)
class Split:
    """Images x (N, C, H, W) uint8 and labels y (N,) int64."""

    x: torch.Tensor
    y: torch.Tensor

    def __len__(self) -> int:
        return len(self.x)

    def head(self, n: int) -> Split:
        """Return the first `n` images and labels."""
        return Split(self.x[:n], self.y[:n])


@dataclass(frozen=True)
class Dataset:
    """Three splits, and where they come from.

    Attributes:
        name: of the collection, as claims name it ("mnist", "fashion-mnist", ...), or what is
            drawn in its place ("drawn digits", "drawn garments", ...).
        source: "real" or "drawn".
        sha256: of what the images were made from, and of the sizes of the splits.
        train, val, test: choices are made on `val`; `test` is scored once.
        classes: the names behind the labels.
    """

    name: str
    source: str
    sha256: str
    train: Split
    val: Split
    test: Split
    classes: tuple[str, ...]

    def derived(self, says: str, change: Callable[[Split], Split]) -> Dataset:
        """Return the same data set with `change` made to each split.

        Args:
            says: names the change and all that it depends on, in the new sha256.
            change: takes a split and returns another; all splits are changed alike.
        """
        return replace(
            self,
            sha256=hashlib.sha256(f"{self.sha256} {says}".encode()).hexdigest(),
            train=change(self.train),
            val=change(self.val),
            test=change(self.test),
        )

    def __str__(self) -> str:
        sizes = ", ".join(f"{len(getattr(self, s)):,} {s}" for s in ("train", "val", "test"))
        return f"{self.name} ({sizes})"
