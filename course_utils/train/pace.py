"""Notice an epoch that takes many times what its steps need: the machine is busy with other work.

Two threads of a small model wait for each other at every operation; beside another busy program
one of them is often not running, and an epoch of 0.2 s takes up to a hundred times as long. One
thread then costs no more than its share.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import torch

from course_utils.data.loader import Loader
from course_utils.train.watch import CHECK_EVERY

MANY = 4  # times the fastest step
WORTH_SAYING = 2.0  # seconds lost in an epoch


class Pace:
    """A loader that times the steps made with its batches; in all else it is the loader given.

    On a CPU each step is timed. Elsewhere a step returns before it is done, so the time is taken
    where the loop waits for the device anyway, every `CHECK_EVERY` steps.
    """

    def __init__(self, loader: Loader):
        self.loader, self.device = loader, loader.device
        self.every = 1 if self.device.type == "cpu" else CHECK_EVERY
        self.said = False
        self.restart()

    def restart(self) -> None:
        """Forget the times of the last epoch."""
        self.seconds, self.images, self.fastest = 0.0, 0, float("inf")  # fastest: per image

    @property
    def epoch(self) -> int:
        return self.loader.epoch

    @epoch.setter
    def epoch(self, epoch: int) -> None:
        self.loader.epoch = epoch

    def __len__(self) -> int:
        return len(self.loader)

    def __iter__(self) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        self.restart()
        began, images = time.perf_counter(), 0
        for step, (x, y) in enumerate(self.loader):
            yield x, y
            images += len(x)
            if step % self.every == self.every - 1:
                now = time.perf_counter()
                self.add(now - began, images)
                began, images = now, 0

    def add(self, seconds: float, images: int) -> None:
        """Note how long some steps took."""
        self.seconds += seconds
        self.images += images
        self.fastest = min(self.fastest, seconds / images)

    def hint(self) -> str | None:
        """Return what to do about the epoch just made, once in a training; mostly None."""
        needed = self.fastest * self.images if self.images else 0.0
        lost = self.seconds - needed
        if self.said or lost < WORTH_SAYING or self.seconds < MANY * needed:
            return None
        self.said = True
        times = f"this epoch took {self.seconds:.0f} s, at its fastest step {needed:.1f} s"
        if self.device.type == "cpu" and torch.get_num_threads() > 1:
            return (
                f"{times}: the machine is busy. One thread is faster then: "
                "COURSE_THREADS=1, or --threads 1"
            )
        return f"{times}: the machine is busy; close other programs, or let it take its time"
