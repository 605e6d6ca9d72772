"""A GAN of points in the plane: two small multilayer perceptrons, and the generator's average."""

from __future__ import annotations

import copy

import torch
from torch import nn


class PointGenerator(nn.Module):
    """Codes z (B, 2) -> points (B, 2)."""

    def __init__(self, hidden_dim: int = 64):
        super().__init__()
        self.code_dim = 2
        self.layers = nn.Sequential(
            nn.Linear(2, hidden_dim), nn.LeakyReLU(0.2),
            nn.Linear(hidden_dim, hidden_dim), nn.LeakyReLU(0.2),
            nn.Linear(hidden_dim, 2),
        )  # fmt: skip

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return self.layers(z)


class PointDiscriminator(nn.Module):
    """Points x (B, 2) -> logits (B,), large for what it takes for real."""

    def __init__(self, hidden_dim: int = 64):
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(2, hidden_dim), nn.LeakyReLU(0.2),
            nn.Linear(hidden_dim, hidden_dim), nn.LeakyReLU(0.2),
            nn.Linear(hidden_dim, 1), nn.Flatten(0),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layers(x)


class Pair(nn.Module):
    """Two networks that play, and the moving average of the first, as one module.

    Args:
        generator, discriminator: functions that build them.
        generator_args, discriminator_args: what they are told.
    """

    def __init__(self, generator, discriminator, generator_args=None, discriminator_args=None):
        super().__init__()
        self.generator = generator(**generator_args or {})
        self.discriminator = discriminator(**discriminator_args or {})
        self.average = copy.deepcopy(self.generator).requires_grad_(False).eval()


class PlaneGAN(Pair):
    """The pair of networks that plays in the plane."""

    def __init__(self, hidden_dim: int = 64):
        width = {"hidden_dim": hidden_dim}
        super().__init__(PointGenerator, PointDiscriminator, width, width)
