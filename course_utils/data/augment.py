"""Changes of images through which gradients pass, for a discriminator that has few images.

Shown to the discriminator alone, on real and on generated images alike and in both steps: then it
cannot learn the few real images by heart, and the generator does not learn the changes.
Source: Zhao et al. 2020, "Differentiable Augmentation", arXiv 2006.10738.

Images are (B, C, H, W) in [-1, 1], and may leave that range; random numbers are drawn on their
device, from `generator` where one is given.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F

SHIFT = 1 / 8  # of the side, at most
HOLE = 1 / 2  # of the side


def diff_augment(names=("flip", "colour", "shift", "cutout"), generator=None) -> Callable:
    """Return the function that applies the changes of these names, one after the other."""
    changes = [CHANGES[name] for name in names]

    def augment(x: torch.Tensor) -> torch.Tensor:
        for change in changes:
            x = change(x, generator)
        return x

    return augment


def uniform(x: torch.Tensor, low: float, high: float, generator) -> torch.Tensor:
    """Return one random number per image, (B, 1, 1, 1)."""
    drawn = torch.rand(len(x), 1, 1, 1, device=x.device, generator=generator)
    return low + (high - low) * drawn


def flip(x: torch.Tensor, generator=None) -> torch.Tensor:
    """Mirror each image with a chance of one half."""
    return torch.where(uniform(x, 0, 1, generator) < 0.5, x, x.flip(3))


def colour(x: torch.Tensor, generator=None) -> torch.Tensor:
    """Change brightness by up to 0.5, saturation by up to 2 times, contrast by 0.5 to 1.5 times."""
    x = x + uniform(x, -0.5, 0.5, generator)
    grey = x.mean(1, keepdim=True)
    x = grey + uniform(x, 0, 2, generator) * (x - grey)
    mean = x.mean((1, 2, 3), keepdim=True)
    return mean + uniform(x, 0.5, 1.5, generator) * (x - mean)


def shift(x: torch.Tensor, generator=None) -> torch.Tensor:
    """Move each image by up to an eighth of its side, across and down; what is bared is grey."""
    return moved(x, round(SHIFT * x.shape[2]), generator)


def moved(x: torch.Tensor, most: int, generator) -> torch.Tensor:
    """Move each image by up to `most` pixels, across and down; what is bared is grey."""
    n, channels, height, width = x.shape
    x = F.pad(x, (most,) * 4)
    down = start(x, most, generator) + torch.arange(height, device=x.device)
    across = start(x, most, generator) + torch.arange(width, device=x.device)
    x = x.gather(2, down[:, None, :, None].expand(n, channels, height, x.shape[3]))
    return x.gather(3, across[:, None, None, :].expand(n, channels, height, width))


def start(x: torch.Tensor, most: int, generator) -> torch.Tensor:
    """Return where each image's window begins in its padded self, (B, 1)."""
    return torch.randint(0, 2 * most + 1, (len(x), 1), device=x.device, generator=generator)


def cutout(x: torch.Tensor, generator=None) -> torch.Tensor:
    """Grey out a square of half the side, its middle anywhere in the image."""
    side = x.shape[2]
    near = []
    for size in x.shape[2:]:
        middle = torch.randint(0, size, (len(x), 1), device=x.device, generator=generator)
        place = torch.arange(size, device=x.device)
        near.append((place - middle).abs() * 2 <= HOLE * side)  # (B, size)
    hole = near[0][:, None, :, None] & near[1][:, None, None, :]
    return x.masked_fill(hole, 0)


def nudged(most: int) -> Callable:
    """Return the function that mirrors half of the images and moves each by `most` pixels at most.

    What is bared is grey. It is `flip` and `shift` for those to whom an eighth of the side is too
    much: a discriminator that ends in a layer with a weight per place.
    """

    def augment(x: torch.Tensor, generator=None) -> torch.Tensor:
        return moved(flip(x, generator), most, generator)

    return augment


CHANGES = {"flip": flip, "colour": colour, "shift": shift, "cutout": cutout}
