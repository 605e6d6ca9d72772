"""One layer of a stack at a time: a small machine that learns from the one below, unlabelled."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import nn

from course_utils import data, train
from course_utils.recipes.recipe import Settings, make_optimizer


def train_machine(
    build: Callable[[], nn.Module],
    loss: Callable,
    h: torch.Tensor,
    settings: Settings,
    seed: int,
    epochs: int,
) -> nn.Module:
    """Return the machine that `build` makes, trained on h; the world's random numbers stay.

    Args:
        build: makes it, with random weights.
        loss: `loss(machine, x, y)` -> dict with "loss", as of the course; y is not to be looked at.
        h: what the layers below make of the images, (N, D).
        settings: batch size, optimizer and rate.
        seed: of everything random.
        epochs: passes over h.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        machine = build().to(h.device)
        y = torch.zeros(len(h), dtype=torch.int64, device=h.device)
        batches = data.Batches(h, y, settings.batch_size, h.device, seed, shuffle=True)
        optimizer = make_optimizer(machine, settings)
        train.fit(machine, loss, batches, epochs=epochs, optimizer=optimizer, progress=False)
    return machine
