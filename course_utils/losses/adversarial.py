"""The losses of generative adversarial networks, in nats per image, on logits.

A discriminator D says a logit for each image: large for what it takes for real. Its probability is
sigmoid(logit), and softplus(-logit) = -log sigmoid(logit) is computed without taking the logarithm
of a number that may have been rounded to zero.

Logits are (B,) tensors; real and fake ones need equal lengths in the relativistic losses alone.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def logistic_d(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return -E log D(real) - E log(1 - D(fake)): 2 log 2 for a discriminator that cannot tell.

    Source: Goodfellow et al. 2014, arXiv 1406.2661.
    """
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def saturating_g(fake: torch.Tensor) -> torch.Tensor:
    """Return E log(1 - D(fake)), the generator's side of the game as it was first written.

    Its slope in the logit is -D(fake): nothing to learn from where the discriminator is sure.
    """
    return -F.softplus(fake).mean()


def non_saturating_g(fake: torch.Tensor) -> torch.Tensor:
    """Return -E log D(fake): fakes labelled 1. Its slope in the logit is D(fake) - 1.

    Source: Goodfellow et al. 2014, section 3, arXiv 1406.2661.
    """
    return F.softplus(-fake).mean()


def hinge_d(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return E max(0, 1 - real) + E max(0, 1 + fake): logits beyond 1 earn nothing more.

    Sources: Lim and Ye 2017, arXiv 1705.02894; Miyato et al. 2018, arXiv 1802.05957.
    """
    return F.relu(1 - real).mean() + F.relu(1 + fake).mean()


def hinge_g(fake: torch.Tensor) -> torch.Tensor:
    """Return -E fake, the generator's side of the hinge loss."""
    return -fake.mean()


def relativistic_d(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Return -E log sigmoid(real - fake): each real image is to look more real than its fake.

    Sources: Jolicoeur-Martineau 2018, arXiv 1807.00734; Huang et al. 2025, arXiv 2501.05441.
    """
    return F.softplus(fake - real).mean()


def relativistic_g(fake: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Return -E log sigmoid(fake - real): each fake is to look more real than its real image."""
    return F.softplus(real - fake).mean()


def squared_slope(logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return |d logit / d x|^2, averaged over the images, as a scalar that can be minimised.

    On real images gamma / 2 of it is the penalty R1, on fakes R2: a discriminator that is flat
    around the data lets the generator settle there.
    Source: Mescheder, Geiger and Nowozin 2018, arXiv 1801.04406.

    Args:
        logits: (B,), each computed from its own image alone (no batch norm in between).
        x: images (B, ...) with `requires_grad`.
    """
    (slope,) = torch.autograd.grad(logits.sum(), x, create_graph=True)
    return slope.square().sum() / len(x)
