"""Losses of denoising autoencoders: what goes in is spoilt, what should come out is not."""

from __future__ import annotations

import torch
from torch import nn

from course_utils.errors import CourseError
from course_utils.losses.inputs import AS_THE_MODEL, FINITE, UNIT, check_floats, wants
from course_utils.losses.pixels import squared_error


def corrupted(
    x: torch.Tensor, sigma: float = 0.0, masked: float = 0.0, shared: bool = False
) -> torch.Tensor:
    """Return images x (B, ...) with noise: first Gaussian, then some pixels set to 0.

    Args:
        x: floats; they are not clipped after the noise.
        sigma: standard deviation of the noise added to every pixel.
        masked: share of the pixels that are set to 0 (masking noise), others in every image.
        shared: add the same noise to all images of the batch, as source 004 does.

    Raises CourseError for a negative sigma and a share outside [0, 1]. Source: Vincent et al. 2010,
    JMLR 11.
    """
    check_floats(x, "images", FINITE)
    if not sigma >= 0:
        raise CourseError(f"sigma is {sigma}; a standard deviation is 0 or more")
    if not 0 <= masked <= 1:
        raise CourseError(f"masked is {masked}; a share lies in [0, 1]")
    if sigma:
        x = x + sigma * torch.randn_like(x[:1] if shared else x)
    return x * (torch.rand_like(x) >= masked) if masked else x


@wants(AS_THE_MODEL)
def denoising(
    model,
    x: torch.Tensor,
    y: torch.Tensor | None = None,
    *,
    sigma: float = 0.0,
    masked: float = 0.0,
    shared: bool = False,
) -> dict:
    """Squared error against the clean images of what a model makes of spoilt ones.

    In eval mode too: `train.evaluate` draws the same noise at every call. sigma, masked and shared
    are those of `corrupted`; the model has `reconstruct(x)`.
    """
    loss = squared_error(model.reconstruct(corrupted(x, sigma, masked, shared)), x)
    return {"loss": loss, "sse": loss.detach()}


@wants(AS_THE_MODEL)
def sparse_denoising(
    model,
    x: torch.Tensor,
    y: torch.Tensor | None = None,
    *,
    sigma: float = 0.0,
    masked: float = 0.0,
    activations: float = 0.0,
    weights: float = 0.0,
) -> dict:
    """`denoising` with L1 penalties, in squared error per image.

    Args:
        model: with encode(x) -> (B, Z) and decode(z).
        x, y: images (B, ...); labels are not looked at.
        sigma, masked: as in `corrupted`.
        activations: weight of the sum of |z| over an image's hidden units.
        weights: weight of the sum of |w| over the weights of the encoder's linear layers.

    Raises CourseError for a negative weight.
    """
    if min(activations, weights) < 0:
        raise CourseError(f"activations {activations}, weights {weights}; both are 0 or more")
    z = model.encode(corrupted(x, sigma, masked))
    sse = squared_error(model.pixels(model.decode(z)), x)
    l1 = z.abs().sum() / len(x)
    linear = [m for m in model.encoder.modules() if isinstance(m, nn.Linear)]
    size = sum(layer.weight.abs().sum() for layer in linear)
    return {
        "loss": sse + activations * l1 + weights * size,
        "sse": sse.detach(),
        "l1": l1.detach(),
        "l1_weights": size.detach(),
    }


@wants(UNIT)
def contrastive_divergence(
    model, x: torch.Tensor, y: torch.Tensor | None = None, *, steps: int = 1
) -> dict:
    """The loss whose gradient is that of contrastive divergence, in nats, for an `RBM`.

    The free energy of the images less that of what the machine dreams after `steps` rounds of
    Gibbs sampling that start at the images. "sse" is the squared error of one round trip, which is
    watched, not minimised. Source: Hinton 2002, Neural Computation 14.
    """
    with torch.no_grad():
        dreamt = x
        for _ in range(steps):
            dreamt = model.sample_visible(model.sample_hidden(dreamt))
    loss = model.free_energy(x).mean() - model.free_energy(dreamt).mean()
    with torch.no_grad():
        sse = squared_error(model.reconstruct(x), x)
    return {"loss": loss, "sse": sse}
