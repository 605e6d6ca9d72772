"""Losses of autoencoders: what comes out compared with what went in.

Conditional models are told the labels y (B,) of a batch; the rest are not.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_utils.losses.conditional import told
from course_utils.losses.inputs import AS_THE_MODEL, UNIT, wants
from course_utils.losses.pixels import bernoulli_nll, squared_error


@wants(AS_THE_MODEL)
def reconstruction(model, x: torch.Tensor, y: torch.Tensor | None = None) -> dict:
    """Squared error of an autoencoder on pixels in [0, 1]."""
    logits, _ = model(x, *told(model, y))
    loss = squared_error(model.pixels(logits), x)
    return {"loss": loss, "sse": loss.detach()}


@wants(AS_THE_MODEL)
def masked_reconstruction(
    model, x: torch.Tensor, y: torch.Tensor | None = None, *, masked: float = 0.2
) -> dict:
    """Squared error against the whole image, of an autoencoder that sees it with gaps.

    In training a share `masked` of the pixels is hidden from the encoder, other ones each time
    (dropout of the input), so that it cannot lean on single pixels; in eval mode none is.
    """
    seen = F.dropout(x, masked, training=model.training)
    loss = squared_error(model.reconstruct(seen, *told(model, y)), x)
    return {"loss": loss, "sse": loss.detach()}


@wants(UNIT)
def reconstruction_pm1(model, x: torch.Tensor, y: torch.Tensor | None = None) -> dict:
    """Squared error on pixels in [-1, 1], as source 000 trains: four times that on [0, 1]."""
    logits, _ = model(x, *told(model, y))
    loss = squared_error(logits.tanh(), 2 * x - 1)
    return {"loss": loss, "sse": loss.detach() / 4}


@wants(UNIT)
def cross_entropy_reconstruction(model, x: torch.Tensor, y: torch.Tensor | None = None) -> dict:
    """Binary cross-entropy of an autoencoder's pixels, in nats, with the squared error beside."""
    logits, _ = model(x, *told(model, y))
    loss = bernoulli_nll(logits, x)
    return {"loss": loss, "sse": squared_error(logits.detach().sigmoid(), x)}


@wants(AS_THE_MODEL)
def sparse_reconstruction(
    model, x: torch.Tensor, y: torch.Tensor | None = None, *, weight: float = 1.0
) -> dict:
    """Squared error plus `weight` times the L1 norm of the code, per image."""
    logits, z = model(x, *told(model, y))
    sse = squared_error(model.pixels(logits), x)
    l1 = z.float().abs().sum() / len(x)
    return {"loss": sse + weight * l1, "sse": sse.detach(), "l1": l1.detach()}


conditional_reconstruction = cross_entropy_reconstruction  # its name in chapter 05
