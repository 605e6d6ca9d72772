"""Minibatches that live on the device.

An ordinary DataLoader turns every image into a tensor by itself, each epoch anew. MNIST is 47 MB:
here it moves to the device once, as bytes, and a batch is one indexing operation. `course bench`
measures what that is worth.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import torch

from course_utils.runtime import CourseError


class Loader(Protocol):
    """What the loops of `course_utils.train` need of whatever gives them batches.

    Attributes:
        device: where the batches appear.
        epoch: the pass that the next `for` loop makes; the loops set it, so that a resumed
            training sees what an uninterrupted one would have seen.
    """

    device: torch.device
    epoch: int

    def __len__(self) -> int:
        """Return the number of batches in a pass."""
        ...

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Make one pass: batches (x, y) on the device."""
        ...


class Batches:
    """Batches (x, y) of a split: x (B, C, H, W) float32 in [0, 1], y (B,) int64.

    Each pass draws its order from (seed, epoch) on the CPU, so that the order is the same on every
    device, and a run resumed in epoch 7 sees what an uninterrupted one saw.

    Args:
        x: images (N, C, H, W), uint8.
        y: labels (N,), int64.
        batch_size: images in a batch; the last batch of a pass may be smaller.
        device: where the data rests and the batches appear.
        seed: of the orders; passes differ, and are the same for the same seed.
        shuffle: whether to change the order at all.
        drop_last: leave out the last batch where it is smaller.
    """

    def __init__(self, x, y, batch_size, device="cpu", seed=0, shuffle=False, drop_last=False):
        if not isinstance(batch_size, int) or batch_size < 1:
            raise CourseError(f"batch_size is {batch_size!r}; it must be a whole number, 1 or more")
        if len(x) == 0 or len(x) != len(y):
            raise CourseError(f"{len(x)} images with {len(y)} labels make no batches")
        self.x, self.y = x.to(device), y.to(device)
        self.batch_size, self.seed = batch_size, seed
        self.shuffle, self.drop_last = shuffle, drop_last
        self.device = self.x.device
        self.epoch = 0  # the pass that the next `for` loop makes
        if not len(self):
            raise CourseError(
                f"with drop_last nothing is left: {len(x)} images are no batch of {batch_size}"
            )

    def __len__(self) -> int:
        whole, rest = divmod(len(self.x), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def order(self, epoch: int) -> torch.Tensor | None:
        """Return the order (N,) of the images in pass `epoch`; None means as they lie."""
        if not self.shuffle:
            return None
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(len(self.x), generator=generator).to(self.x.device)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = self.order(self.epoch)
        self.epoch += 1
        for i in range(len(self)):
            part = slice(i * self.batch_size, (i + 1) * self.batch_size)
            if order is None:
                yield as_float(self.x[part]), self.y[part]
            else:  # index_select copies whole images: over ten times faster than x[order[part]]
                chosen = order[part]
                yield as_float(self.x.index_select(0, chosen)), self.y.index_select(0, chosen)


def batches(split, batch_size, device="cpu", seed=0, shuffle=False, drop_last=False) -> Batches:
    """Return the `Batches` of a split (anything with images `x` and labels `y`)."""
    return Batches(split.x, split.y, batch_size, device, seed, shuffle, drop_last)


def as_float(x: torch.Tensor) -> torch.Tensor:
    """Turn uint8 pixels into float32 in [0, 1]; leave floats as they are."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x
