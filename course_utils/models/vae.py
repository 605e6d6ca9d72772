"""The variational autoencoder: an image becomes a Gaussian over codes, and a code an image."""

from __future__ import annotations

import math

import torch
from torch import nn

from course_utils.gaussian import draw_prior, sample_gaussian
from course_utils.models.autoencoder import mlp
from course_utils.models.inputs import check_codes, check_images

START_LOG_VARIANCE = -2.7  # of MNIST's pixels around the mean image: 52.7 per image of 784


class VAE(nn.Module):
    """Images x (B, C, H, W) in [0, 1] -> logits (B, C, H, W), mu (B, Z), logvar (B, Z).

    Args:
        widths: units of the encoder's hidden layers, from the image inwards; the decoder mirrors
            them.
        code_dim: numbers in a code (Z).
        activation: between layers: "relu", "tanh", "gelu" or "none".
        image_shape: (C, H, W) of one image.
        learn_variance: keep one variance of all pixels as a parameter, `log_variance`, for the
            Gaussian likelihood (Rybkin et al. 2021, arXiv 2006.13202).
        encoder, decoder: your own layers instead, images -> (B, 2 Z), which is mu and logvar side
            by side, and codes -> (B, C, H, W); widths and activation then say nothing.

    Source: Kingma and Welling 2014, arXiv 1312.6114; the default widths are those of source 004.
    """

    conditional = False  # not told what an image shows

    def __init__(
        self,
        widths: tuple[int, ...] = (400,),
        code_dim: int = 20,
        activation: str = "relu",
        image_shape: tuple[int, int, int] = (1, 28, 28),
        learn_variance: bool = False,
        encoder: nn.Module | None = None,
        decoder: nn.Module | None = None,
    ):
        super().__init__()
        n_pixels = math.prod(image_shape)
        down = (n_pixels, *widths, 2 * code_dim)  # mu and logvar side by side
        up = (code_dim, *reversed(widths), n_pixels)
        self.code_dim, self.image_shape = code_dim, image_shape
        if encoder is None:
            encoder = nn.Sequential(nn.Flatten(), *mlp(down, activation))
        if decoder is None:
            decoder = nn.Sequential(*mlp(up, activation), nn.Unflatten(1, image_shape))
        self.encoder, self.decoder = encoder, decoder
        start = torch.tensor(START_LOG_VARIANCE)
        self.log_variance = nn.Parameter(start) if learn_variance else None

    def encode(
        self, x: torch.Tensor, y: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean mu and log-variance logvar (B, Z) of q(z|x), float32 in every precision."""
        check_images(self, x, y)
        h = self.encoder(x) if y is None else self.encoder(x, y)
        mu, logvar = h.float().chunk(2, dim=1)
        return mu, logvar

    def decode(self, z: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """Return the logits (B, C, H, W) of codes z (B, Z)."""
        check_codes(self, z, y)
        return self.decoder(z) if y is None else self.decoder(z, y)

    def pixels(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn logits into pixels in [0, 1]."""
        return logits.sigmoid()

    def forward(
        self, x: torch.Tensor, y: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Encode, draw a code (in eval mode too: the ELBO is a mean over codes), and decode."""
        mu, logvar = self.encode(x, y)
        return self.decode(sample_gaussian(mu, logvar), y), mu, logvar

    def reconstruct(self, x: torch.Tensor, y: torch.Tensor | None = None) -> torch.Tensor:
        """Return the images (B, C, H, W) in [0, 1] of the mean codes of x: nothing is drawn."""
        mu, _ = self.encode(x, y)
        return self.pixels(self.decode(mu, y))

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return n new images (n, C, H, W) in [0, 1], decoded from codes of the prior N(0, 1).

        `generator` draws the codes, on its own device; None is torch's global one.
        """
        z = draw_prior(n, self.code_dim, next(self.parameters()).device, generator)
        return self.pixels(self.decode(z))
