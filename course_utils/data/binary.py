"""Binarised images, on which a Bernoulli likelihood is a likelihood."""

from __future__ import annotations

import torch

from course_utils.data import Split, as_float


def binarised(split: Split, seed: int = 0) -> Split:
    """Return the split with each pixel drawn once, white with the probability of its grey.

    The draw depends on nothing but `seed`, so every model is scored on the same images, and the
    first n images are the same for every n. Source: Salakhutdinov and Murray 2008 (ICML).

    Args:
        split: images x (N, C, H, W), uint8, and labels.
        seed: of the draw.

    Returns a Split whose x is uint8 and holds 0 and 255 only.
    """
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(split.x.shape, generator=generator)
    white = noise < as_float(split.x.cpu())
    return Split((white * 255).to(torch.uint8), split.y.cpu())
