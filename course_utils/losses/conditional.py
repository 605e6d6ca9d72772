"""Which models a loss tells the labels that every batch carries."""

from __future__ import annotations

import torch


def told(model, y: torch.Tensor | None) -> tuple[torch.Tensor | None, ...]:
    """Return what follows x or z in a call of the model: (y,) where it is told labels, else ().

    A model that is says so by `conditional = True`; the rest, also one written in a notebook with
    `encode(x)` alone, never sees a label.
    """
    return (y,) if getattr(model, "conditional", False) else ()
