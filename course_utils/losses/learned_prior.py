"""The bound of a conditional VAE whose prior p(z|y) is learned with it."""

from __future__ import annotations

import torch

from course_utils.gaussian import log_density, sample_gaussian
from course_utils.losses.inputs import UNIT, wants
from course_utils.losses.pixels import bernoulli_nll, squared_error


@wants(UNIT)
def prior_negative_elbo(model, x: torch.Tensor, y: torch.Tensor) -> dict:
    """Negative lower bound on log p(x|y) in nats, from one code per image, for any prior p(z|y).

    The KL divergence from a mixture has no formula. log q(z|x, y) - log p(z|y) of the drawn code
    has it for a mean, and its gradients have theirs.

    Args:
        model: a `PriorVAE`: encode(x, y), decode(z, y), log_prior(z, y).
        x, y: images (B, C, H, W) in [0, 1] and labels (B,).
    """
    mu, logvar = model.encode(x, y)
    z = sample_gaussian(mu, logvar)
    logits = model.decode(z, y)
    nll = bernoulli_nll(logits, x)
    kl = (log_density(z, mu, logvar) - model.log_prior(z, y)).mean()
    sse = squared_error(model.pixels(logits).detach(), x)
    return {"loss": nll + kl, "nll": nll.detach(), "kl": kl.detach(), "sse": sse}
