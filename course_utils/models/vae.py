"""The variational autoencoder: an image becomes a Gaussian over codes, and a code an image."""

from __future__ import annotations

import math

import torch
from torch import nn

from course_utils.models.autoencoder import ACTIVATIONS, mlp
from course_utils.models.shapes import check_codes, check_images

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

    Source: Kingma and Welling 2014, arXiv 1312.6114; the default widths are those of source 004.
    """

    def __init__(
        self,
        widths: tuple[int, ...] = (400,),
        code_dim: int = 20,
        activation: str = "relu",
        image_shape: tuple[int, int, int] = (1, 28, 28),
        learn_variance: bool = False,
    ):
        super().__init__()
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation {activation!r}; choose one of {', '.join(ACTIVATIONS)}")
        n_pixels = math.prod(image_shape)
        down = (n_pixels, *widths, 2 * code_dim)  # mu and logvar side by side
        up = (code_dim, *reversed(widths), n_pixels)
        self.code_dim, self.image_shape = code_dim, image_shape
        self.encoder = nn.Sequential(nn.Flatten(), *mlp(down, activation))
        self.decoder = nn.Sequential(*mlp(up, activation), nn.Unflatten(1, image_shape))
        start = torch.tensor(START_LOG_VARIANCE)
        self.log_variance = nn.Parameter(start) if learn_variance else None

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean mu and log-variance logvar (B, Z) of q(z|x), float32 in every precision."""
        check_images(x, self.image_shape)
        mu, logvar = self.encoder(x).float().chunk(2, dim=1)
        return mu, logvar

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """Return the logits (B, C, H, W) of codes z (B, Z)."""
        check_codes(z, self.code_dim)
        return self.decoder(z)

    def pixels(self, logits: torch.Tensor) -> torch.Tensor:
        """Turn logits into pixels in [0, 1]."""
        return logits.sigmoid()

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Encode, draw a code (in eval mode too: the ELBO is a mean over codes), and decode."""
        mu, logvar = self.encode(x)
        return self.decode(sample_gaussian(mu, logvar)), mu, logvar

    def reconstruct(self, x: torch.Tensor) -> torch.Tensor:
        """Return the images (B, C, H, W) in [0, 1] of the mean codes of x: nothing is drawn."""
        mu, _ = self.encode(x)
        return self.pixels(self.decode(mu))

    @torch.no_grad()
    def sample(self, n: int, generator: torch.Generator | None = None) -> torch.Tensor:
        """Return n new images (n, C, H, W) in [0, 1], decoded from codes of the prior N(0, 1).

        `generator` draws the codes, on its own device; None is torch's global one.
        """
        z = draw_prior(n, self.code_dim, next(self.parameters()).device, generator)
        return self.pixels(self.decode(z))


def sample_gaussian(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """Return a draw from N(mu, exp(logvar)) through which gradients flow to mu and logvar.

    The reparameterisation trick: the noise is drawn first, and moved and stretched afterwards.
    """
    return mu + (logvar / 2).exp() * torch.randn_like(mu)


def draw_prior(n: int, code_dim: int, device, generator=None) -> torch.Tensor:
    """Return n codes (n, Z) from the prior N(0, 1), on `device`."""
    place = device if generator is None else generator.device
    return torch.randn(n, code_dim, generator=generator, device=place).to(device)
