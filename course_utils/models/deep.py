"""The deep autoencoder of 2006: sigmoid units, and the machine that gives its code weights."""

from __future__ import annotations

import itertools
import math

import torch
import torch.nn.functional as F
from torch import nn

from course_utils.errors import CourseError
from course_utils.models.autoencoder import Autoencoder
from course_utils.models.inputs import check_images
from course_utils.models.rbm import RBM


class DeepAutoencoder(Autoencoder):
    """Images x (B, C, H, W) in [0, 1] -> logits (B, C, H, W) and codes z (B, Z); sigmoid units.

    The code is linear: any number may stand in it.

    Args:
        widths: units of the encoder's hidden layers, from the image inwards; the decoder mirrors
            them.
        code_dim: numbers in a code (Z).
        deviation: standard deviation of normal weights, with biases of 0; None for torch's own.
        image_shape: (C, H, W) of one image.

    Source: Hinton and Salakhutdinov, Science 313 (2006).
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (1000, 500, 250),
        code_dim: int = 30,
        deviation: float | None = None,
        image_shape: tuple[int, int, int] = (1, 28, 28),
    ):
        if deviation is not None and not 0 < deviation < math.inf:
            raise CourseError(f"deviation is {deviation!r}; it must be a number above 0, or None")
        sizes = (math.prod(image_shape), *widths, code_dim)
        super().__init__(
            code_dim=code_dim,
            image_shape=image_shape,
            encoder=nn.Sequential(nn.Flatten(), *sigmoid_layers(sizes)),
            decoder=nn.Sequential(*sigmoid_layers(sizes[::-1]), nn.Unflatten(1, image_shape)),
        )
        if deviation is not None:
            for layer in (*linear_layers(self.encoder), *linear_layers(self.decoder)):
                nn.init.normal_(layer.weight, std=deviation)
                nn.init.zeros_(layer.bias)

    def pairs(self) -> list[tuple[nn.Linear, nn.Linear]]:
        """Return each layer of the encoder with the one of the decoder that leads back.

        From the image inwards: this is how a stack of RBMs is unfolded.
        """
        up, down = linear_layers(self.encoder), linear_layers(self.decoder)
        return list(zip(up, reversed(down), strict=True))


def sigmoid_layers(sizes: tuple[int, ...]) -> list[nn.Module]:
    """Return linear layers from sizes[0] to sizes[-1] with sigmoids between them."""
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), nn.Sigmoid()]
    return layers[:-1]  # nothing after the last: a code, or logits


def linear_layers(module: nn.Module) -> list[nn.Linear]:
    """Return the linear layers of a module, in the order of computation."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Linear)]


class CodeRBM(RBM):
    """An RBM whose hidden units are any numbers: energy |h - c|²/2 - v'Wh - b'v.

    Given v (B, *image_shape) in [0, 1], a hidden unit is normal around c + Wv with variance 1. In
    a stack it is the topmost: a code of numbers says more than one of units that are on or off.

    Arguments as those of `RBM`.

    Source: Hinton and Salakhutdinov, Science 313 (2006), supporting text.
    """

    def encode(self, x: torch.Tensor) -> torch.Tensor:
        """Return the means (B, n_hidden) of the hidden units, given x (B, *image_shape)."""
        check_images(self, x)
        return F.linear(x.flatten(1), self.weight, self.hidden_bias)

    def sample_hidden(self, x: torch.Tensor) -> torch.Tensor:
        """Draw hidden units (B, n_hidden) given x."""
        mean = self.encode(x)
        return mean + torch.randn_like(mean)

    def free_energy(self, x: torch.Tensor) -> torch.Tensor:
        """Return -log of the unnormalised probability of x, in nats, but for a constant: (B,)."""
        hidden = self.encode(x).square().sum(1) - self.hidden_bias.square().sum()
        return -hidden / 2 - x.flatten(1) @ self.visible_bias
