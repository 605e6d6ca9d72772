"""The evidence lower bound, and what it is made of."""

from __future__ import annotations

import math

import torch

from course_utils.errors import CourseError
from course_utils.losses.conditional import told
from course_utils.losses.inputs import FINITE, UNIT, binarised_anew, check_floats, wants
from course_utils.losses.pixels import bernoulli_nll, gaussian_nll, squared_error

LIKELIHOODS = ("bernoulli", "gaussian")
LEAST_LOG_VARIANCE = math.log(1 / 12 / 255**2)  # of rounding to bytes: no pixel is known better


def kl_standard_normal(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """Return KL(N(mu, exp(logvar)) || N(0, 1)) per image in nats, averaged over the batch.

    Args:
        mu, logvar: means and log-variances (B, Z).

    Source: Kingma and Welling 2014, arXiv 1312.6114, appendix B.
    """
    return kl_per_unit(mu, logvar).sum()


def kl_per_unit(mu: torch.Tensor, logvar: torch.Tensor) -> torch.Tensor:
    """Return the share (Z,) of each unit of the code in `kl_standard_normal`, in nats.

    A unit near 0 has collapsed: its posterior is the prior, and the decoder does without it.
    Raises CourseError unless both are (B, Z).
    """
    for name, value in (("mu", mu), ("logvar", logvar)):
        check_floats(value, name, FINITE)
    if mu.ndim != 2 or mu.shape != logvar.shape:
        shapes = f"{tuple(mu.shape)} and {tuple(logvar.shape)}"
        raise CourseError(f"mu and logvar have shapes {shapes}; both must be (B, Z)")
    mu, logvar = mu.float(), logvar.float()
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean(dim=0)


def distortion(model, logits, x, likelihood: str, variance: float | None) -> torch.Tensor:
    """Return -log p(x|z) per image in nats; arguments as in `negative_elbo`.

    Raises CourseError for an unknown likelihood, or a variance that there is not.
    """
    if likelihood not in LIKELIHOODS:
        raise CourseError(f"likelihood {likelihood!r}; choose one of: {', '.join(LIKELIHOODS)}")
    if likelihood == "bernoulli":
        if variance is not None:
            raise CourseError(f"variance={variance!r} has no meaning for the Bernoulli likelihood")
        return bernoulli_nll(logits, x)
    if variance is None:
        log_variance = getattr(model, "log_variance", None)
        if log_variance is None:
            raise CourseError("the model has no variance: learn_variance=True, or give one here")
        # on images that a network knows by heart, blank ones say, the density grows without end
        log_variance = log_variance.clamp(min=LEAST_LOG_VARIANCE)
    elif variance > 0:
        log_variance = math.log(variance)
    else:
        raise CourseError(f"variance is {variance!r}; it must be above 0")
    return gaussian_nll(model.pixels(logits), x, log_variance)


def elbo_terms(nll: torch.Tensor, mu, logvar, recon, x, beta: float = 1.0) -> dict:
    """Return the loss `nll + beta * KL` and its terms, "nll", "kl" and "sse", per image.

    "sse" is the squared error of the images that were decoded from drawn codes; from mean codes
    it is smaller.
    """
    kl = kl_standard_normal(mu, logvar)
    sse = squared_error(recon.detach(), x)
    return {"loss": nll + beta * kl, "nll": nll.detach(), "kl": kl.detach(), "sse": sse}


@wants(UNIT)
def negative_elbo(
    model,
    x: torch.Tensor,
    y: torch.Tensor | None = None,
    *,
    beta: float = 1.0,
    likelihood: str = "bernoulli",
    variance: float | None = None,
    binarise: bool = False,
) -> dict:
    """Negative evidence lower bound of a VAE in nats, from one code per image.

    Args:
        model: model(x) -> logits (B, C, H, W), mu and logvar (B, Z); a conditional one model(x, y),
            whose bound is on log p(x|y).
        x, y: images (B, C, H, W) in [0, 1] and labels (B,).
        beta: weight of the KL term (Higgins et al. 2017, ICLR); the bound has 1.
        likelihood: "bernoulli" or "gaussian".
        variance: of a pixel under "gaussian"; None takes the model's own, which is learned, and
            counts as that of rounding to bytes where it is less.
        binarise: draw the pixels anew as 0 or 1 at each call, with probability x: "dynamic
            binarisation". Without it, "bernoulli" on grey pixels is no likelihood.

    Raises CourseError for an unknown likelihood or variance.
    """
    x = binarised_anew(x) if binarise else x
    logits, mu, logvar = model(x, *told(model, y))
    nll = distortion(model, logits, x, likelihood, variance)
    return elbo_terms(nll, mu, logvar, model.pixels(logits), x, beta)


conditional_negative_elbo = negative_elbo  # its name in chapter 05
