"""Every loss of the course.

A loss is called as `loss(model, x, y)` and returns a dict of scalars: "loss", which is minimised,
and the terms worth watching. All are sums over an image averaged over the batch, so that numbers
do not change with the batch size: squared error on [0, 1] ("sse"), or nats.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F


def squared_error(recon: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the squared error per image, averaged over the batch, as a scalar.

    Args:
        recon, x: images (B, ...), of the same shape and range.
    """
    return (recon.float() - x).square().sum() / len(x)


def bernoulli_nll(logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the binary cross-entropy per image in nats, averaged over the batch.

    Args:
        logits: (B, ...), before the sigmoid: log and sigmoid together are exact where a
            probability rounds to 0 or 1.
        x: targets in [0, 1], of the same shape. It is a likelihood only where x is 0 or 1.
    """
    return F.binary_cross_entropy_with_logits(logits.float(), x, reduction="sum") / len(x)


# --------------------------------------------------------------- what `fit` minimises, by chapter


def reconstruction(model, x: torch.Tensor, y: torch.Tensor | None = None) -> dict:
    """Squared error of an autoencoder on pixels in [0, 1]; labels are not looked at."""
    logits, _ = model(x)
    loss = squared_error(model.pixels(logits), x)
    return {"loss": loss, "sse": loss.detach()}


def reconstruction_pm1(model, x: torch.Tensor, y: torch.Tensor | None = None) -> dict:
    """Squared error on pixels in [-1, 1], as source 000 trains: four times that on [0, 1]."""
    logits, _ = model(x)
    loss = squared_error(logits.tanh(), 2 * x - 1)
    return {"loss": loss, "sse": loss.detach() / 4}


def cross_entropy_reconstruction(model, x: torch.Tensor, y: torch.Tensor | None = None) -> dict:
    """Binary cross-entropy of an autoencoder's pixels, in nats, with the squared error beside."""
    logits, _ = model(x)
    loss = bernoulli_nll(logits, x)
    return {"loss": loss, "sse": squared_error(logits.detach().sigmoid(), x)}


def sparse_reconstruction(
    model, x: torch.Tensor, y: torch.Tensor | None = None, *, weight: float = 1.0
) -> dict:
    """Squared error plus `weight` times the L1 norm of the code, per image."""
    logits, z = model(x)
    sse = squared_error(model.pixels(logits), x)
    l1 = z.float().abs().sum() / len(x)
    return {"loss": sse + weight * l1, "sse": sse.detach(), "l1": l1.detach()}
