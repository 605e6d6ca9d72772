"""The vanilla autoencoder: fully connected layers down to a code, and up again."""

from __future__ import annotations

import itertools
import math

import torch
from torch import nn

from course_utils.models.inputs import check_codes, check_images, one_of

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "gelu": nn.GELU, "none": nn.Identity}
OUTPUTS = ("sigmoid", "tanh", "linear")


class Autoencoder(nn.Module):
    """Images x (B, C, H, W) in [0, 1] -> logits (B, C, H, W) and codes z (B, Z).

    Args:
        widths: units of the encoder's hidden layers, from the image inwards; the decoder mirrors
            them.
        code_dim: numbers in a code (Z).
        activation: between layers: "relu", "tanh", "gelu", or "none" for a linear network.
        output: what turns logits into pixels: "sigmoid", "tanh" moved from [-1, 1] to [0, 1],
            or "linear" for pixels as they come, which may leave [0, 1].
        image_shape: (C, H, W) of one image.
        encoder, decoder: your own layers instead, images -> (B, Z) and codes -> (B, C, H, W);
            widths and activation then say nothing.

    Source: Hinton and Salakhutdinov, Science 313 (2006), without the layer-wise pretraining.
    """

    conditional = False  # not told what an image shows

    def __init__(
        self,
        widths: tuple[int, ...] = (128, 64, 12),
        code_dim: int = 3,
        activation: str = "relu",
        output: str = "sigmoid",
        image_shape: tuple[int, int, int] = (1, 28, 28),
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
    ):
        super().__init__()
        one_of("output", output, OUTPUTS)
        sizes = (math.prod(image_shape), *widths, code_dim)
        self.code_dim, self.output, self.image_shape = code_dim, output, image_shape
        self.reaches = "any finite number" if output == "linear" else "[0, 1]"
        if encoder is None:
            encoder = nn.Sequential(nn.Flatten(), *mlp(sizes, activation))
        if decoder is None:
            up = mlp(sizes[::-1], activation)
            decoder = nn.Sequential(*up, nn.Unflatten(1, image_shape))
        self.encoder, self.decoder = encoder, decoder

    def encode(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """Return the codes z (B, Z) of images x (B, C, H, W)."""
        check_images(self, x, y)
        return self.encoder(x) if y is None else self.encoder(x, y)

    def decode(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits (B, C, H, W) of codes z (B, Z)."""
        check_codes(self, z, y)
        return self.decoder(z) if y is None else self.decoder(z, y)

    def pixels(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn logits into pixels in [0, 1]."""
        if self.output == "tanh":
            return (logits.tanh() + 1) / 2
        return logits if self.output == "linear" else logits.sigmoid()

    def forward(
        self, x: torch.Tensor, y: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        z = self.encode(x, y)
        return self.decode(z, y), z

    def reconstruct(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """Return what is left of images x (B, C, H, W) after the code, in [0, 1]."""
        return self.pixels(self.decode(self.encode(x, y), y))


def mlp(sizes: tuple[int, ...], activation: str) -> list[nn.Module]:
    """Return linear layers from sizes[0] to sizes[-1] with the activation between them."""
    one_of("activation", activation, ACTIVATIONS)
    layers: list[nn.Module] = []
    for n_in, n_out in itertools.pairwise(sizes):
        layers += [nn.Linear(n_in, n_out), ACTIVATIONS[activation]()]
    return layers[:-1]  # nothing after the last: a code, or logits
