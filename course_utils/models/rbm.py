"""The restricted Boltzmann machine: two layers of units that are on or off."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.errors import CourseError
from course_utils.models.inputs import check_codes, check_images


class RBM(nn.Module):
    """A distribution over binary images v and hidden units h with energy -v'Wh - b'v - c'h.

    Grey pixels in [0, 1] are taken as probabilities of being on.

    Args:
        n_hidden: hidden units.
        image_shape: (C, H, W) of one image.

    Source: Smolensky 1986; trained by Hinton 2002, Neural Computation 14; started as Hinton's
    practical guide (2012) has it: small normal weights, no biases.
    """

    def __init__(self, n_hidden: int = 200, image_shape: tuple[int, int, int] = (1, 28, 28)):
        super().__init__()
        if not isinstance(n_hidden, int) or n_hidden < 1:
            raise CourseError(f"n_hidden is {n_hidden!r}; it must be a whole number, 1 or more")
        self.image_shape, self.code_dim = tuple(image_shape), n_hidden
        n = math.prod(image_shape)
        self.weight = nn.Parameter(0.01 * torch.randn(n_hidden, n))  # as in nn.Linear
        self.hidden_bias = nn.Parameter(torch.zeros(n_hidden))
        self.visible_bias = nn.Parameter(torch.zeros(n))

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the probabilities (B, n_hidden) that hidden units are on, given x (B, C, H, W)."""
        check_images(self, x)
        return F.linear(x.flatten(1), self.weight, self.hidden_bias).sigmoid()

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, C, H, W) of pixels, given hidden units z (B, n_hidden)."""
        check_codes(self, z)
        logits = F.linear(z, self.weight.T, self.visible_bias)
        return logits.view(len(z), *self.image_shape)

    def pixels(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn logits into probabilities."""
        return logits.sigmoid()

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        """Return the pixels (B, C, H, W) that the hidden units' probabilities lead back to."""
        return self.pixels(self.decode(self.encode(x)))

    def sample_hidden(self, x: torch.Tensor) -> torch.Tensor:
        """Draw hidden units (B, n_hidden), 0 or 1, given x."""
        return torch.bernoulli(self.encode(x))

    def sample_visible(self, z: torch.Tensor) -> torch.Tensor:
        """Draw images (B, C, H, W) of 0 and 1, given hidden units z."""
        return torch.bernoulli(self.pixels(self.decode(z)))

    def free_energy(self, x: torch.Tensor) -> torch.Tensor:
        """Return -log of the unnormalised probability of images x (B, C, H, W), in nats: (B,)."""
        check_images(self, x)
        flat = x.flatten(1)
        hidden = F.softplus(F.linear(flat, self.weight, self.hidden_bias)).sum(1)
        return -hidden - flat @ self.visible_bias
