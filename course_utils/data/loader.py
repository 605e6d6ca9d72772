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
        x: images (N, C, H, W), uint8, or float32 in any range; or points (N, D), float32.
        y: labels (N,), int64, or float32 targets (N, ...).
        batch_size: images in a batch; the last batch of a pass may be smaller.
        device: where the data rests and the batches appear.
        seed: of the orders; passes differ, and are the same for the same seed.
        shuffle: whether to change the order at all.
        drop_last: leave out the last batch where it is smaller.
        rank, world: of several processes that train together, which one this is, from 0, and how
            many there are. Each gets its own equal part of every batch, in order.

    Raises CourseError for anything else, in one sentence that says how to mend it.
    """

    def __init__(
        self, x, y, batch_size, device="cpu", seed=0, shuffle=False, drop_last=False, rank=0,
        world=1,
    ):  # fmt: skip
        if not isinstance(batch_size, int) or isinstance(batch_size, bool) or batch_size < 1:
            raise CourseError(f"batch_size is {batch_size!r}; it must be a whole number, 1 or more")
        check_x(x)
        check_y(y)
        if len(x) == 0 or len(x) != len(y):
            raise CourseError(f"{len(x)} images with {len(y)} labels make no batches")
        self.x, self.y = x.to(device), y.to(device)
        self.device = self.x.device
        self.batch_size, self.seed = batch_size, seed
        self.shuffle, self.drop_last = shuffle, drop_last
        self.rank, self.world = rank, world
        self.epoch = 0  # the pass that the next `for` loop makes
        if not len(self):
            raise CourseError(
                f"with drop_last nothing is left: {len(x)} images are no batch of {batch_size}"
            )
        self.check_shares()

    def check_shares(self) -> None:
        """Raise CourseError unless every batch can be shared equally by all processes."""
        if not 0 <= self.rank < self.world:
            raise CourseError(f"rank {self.rank} of {self.world} processes; it runs from 0")
        sizes = {self.batch_size} | ({len(self.x) % self.batch_size} if not self.drop_last else {0})
        uneven = [size for size in sizes if size % self.world]
        if uneven:
            raise CourseError(
                f"a batch of {max(uneven)} cannot be shared equally by {self.world} processes; "
                "choose a batch_size that they divide, with drop_last=True"
            )

    def __len__(self) -> int:
        whole, rest = divmod(len(self.x), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def order(self, epoch: int) -> torch.Tensor | None:
        """Return the order (N,) of the images in pass `epoch`; None means as they lie."""
        if not self.shuffle:
            return None
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(len(self.x), generator=generator).to(self.device)

    def part(self, i: int) -> slice:
        """Return where in the order the images of batch `i` stand, for this process."""
        first, last = i * self.batch_size, min((i + 1) * self.batch_size, len(self.x))
        own = (last - first) // self.world
        return slice(first + self.rank * own, first + (self.rank + 1) * own)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        order = self.order(self.epoch)
        self.epoch += 1
        for i in range(len(self)):
            part = self.part(i)
            if order is None:
                yield as_float(self.x[part]), self.y[part]
            else:  # index_select copies whole images: over ten times faster than x[order[part]]
                chosen = order[part]
                yield as_float(self.x.index_select(0, chosen)), self.y.index_select(0, chosen)


def batches(
    split, batch_size, device="cpu", seed=0, shuffle=False, drop_last=False, rank=0, world=1
) -> Batches:
    """Return the `Batches` of a split (anything with images `x` and labels `y`)."""
    return Batches(split.x, split.y, batch_size, device, seed, shuffle, drop_last, rank, world)


def as_float(x: torch.Tensor) -> torch.Tensor:
    """Turn uint8 pixels into float32 in [0, 1]; leave floats as they are."""
    return x.float().div_(255) if x.dtype == torch.uint8 else x


# ------------------------------------------------------------------------- what comes as data


def check_x(x) -> None:
    """Raise CourseError unless x is images (N, C, H, W) or points (N, D) of a type to train on."""
    check_tensor(x, "x")
    shape = tuple(x.shape)
    if x.ndim == 3:
        raise CourseError(f"images x have shape {shape}; they need a channel: x = x[:, None]")
    if x.ndim not in (2, 4):
        raise CourseError(
            f"x has shape {shape}; wanted are images (N, C, H, W) or points (N, D): "
            "x = x.reshape(N, C, H, W)"
        )
    if x.dtype not in (torch.uint8, torch.float32):
        raise CourseError(
            f"x is {x.dtype}; wanted is uint8 from 0 to 255, x = x.to(torch.uint8), or float32, "
            "x = x.float()"
        )
    if x.is_floating_point() and not x.isfinite().all():
        raise CourseError(
            f"x has NaN or infinite values in {int((~x.isfinite()).flatten(1).any(1).sum())} of "
            f"{len(x)} images; leave those out: x = x[x.flatten(1).isfinite().all(1)]"
        )


def check_y(y) -> None:
    """Raise CourseError unless y is labels (N,) or targets (N, ...) of a type to train on."""
    check_tensor(y, "y")
    if y.ndim == 0:
        raise CourseError("y is a single number; wanted are labels (N,): y = y.expand(N)")
    if y.dtype not in (torch.int64, torch.float32):
        raise CourseError(
            f"y is {y.dtype}; wanted are labels in int64, y = y.long(), or targets in float32, "
            "y = y.float()"
        )
    if y.is_floating_point() and not y.isfinite().all():
        raise CourseError("y has NaN or infinite values; leave those out: keep = y.isfinite()")


def check_tensor(value, name: str) -> None:
    """Raise CourseError unless the value is a tensor; NumPy's arrays are no tensors yet."""
    if isinstance(value, torch.Tensor):
        return
    kind = type(value)
    if kind.__module__ == "numpy":
        raise CourseError(
            f"{name} is a NumPy array; wanted is a tensor: {name} = torch.from_numpy({name})"
        )
    raise CourseError(
        f"{name} is a {kind.__name__}; wanted is a tensor: {name} = torch.as_tensor({name})"
    )


def check_loader(loader, name: str) -> None:
    """Raise CourseError unless the loops can train on `loader`: see `Loader`."""
    if not hasattr(loader, "device") or not hasattr(loader, "epoch"):
        raise CourseError(
            f"{name} is a {type(loader).__name__}, which lacks what a Loader has, `device` and "
            f"`epoch`; make batches of the images instead: data.batches(split, batch_size=128)"
        )
    if not len(loader):
        raise CourseError(f"{name} has no batches; there is nothing to compute a mean of")
