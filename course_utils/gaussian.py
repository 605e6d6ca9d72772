"""Normal distributions with a mean and a log-variance for each number: q(z|x), and the prior."""

from __future__ import annotations

import math

import torch


def sample_gaussian(mu: torch.Tensor, logvar: torch.Tensor, noise=None) -> torch.Tensor:
    """Return a draw from N(mu, exp(logvar)) through which gradients flow to mu and logvar.

    The reparameterisation trick: the noise is drawn first, and moved and stretched afterwards.
    `noise` is given where it is needed again, or where there are several draws from each normal.
    """
    noise = torch.randn_like(mu) if noise is None else noise
    return mu + (logvar / 2).exp() * noise


def draw_prior(n: int, code_dim: int, device, generator=None) -> torch.Tensor:
    """Return n codes (n, Z) from the prior N(0, 1), on `device`."""
    place = device if generator is None else generator.device
    return torch.randn(n, code_dim, generator=generator, device=place).to(device)


def log_density(z: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """Return log N(z; mu, exp(logvar)) in nats, summed over the last dimension."""
    squares = (z - mu).square() / logvar.exp()
    return -0.5 * (squares + logvar + math.log(2 * math.pi)).sum(-1)
