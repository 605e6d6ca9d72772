"""Three estimators of one gradient, to compare how much they vary."""

from __future__ import annotations

import torch

from course_utils.errors import CourseError
from course_utils.gaussian import sample_gaussian
from course_utils.losses.pixels import nll_of_each

ESTIMATORS = ("reparameterised", "score", "score_with_baseline")


def gradients_of_mu(model, x: torch.Tensor, n: int, estimator: str) -> torch.Tensor:
    """Return n estimates of the gradient of E_q[-log p(x|z)] with respect to mu, (n, B, Z).

    All three estimators are unbiased; they differ in variance, which is why a VAE is trained
    with the first.

    Args:
        model: with encode(x) -> mu and logvar (B, Z), decode(z) -> logits (B, C, H, W).
        x: images (B, C, H, W) in [0, 1].
        n: codes drawn per image, each of which gives an estimate.
        estimator: "reparameterised" differentiates the decoder at z = mu + sigma * noise; "score"
            only evaluates it, times d log q(z|x) / d mu (REINFORCE); "score_with_baseline"
            subtracts from each value the mean of the other n - 1 first, so n must be 2 or more.

    Raises CourseError for an unknown estimator, or too small an n.
    """
    if estimator not in ESTIMATORS:
        raise CourseError(f"estimator {estimator!r}; choose one of: {', '.join(ESTIMATORS)}")
    least = 2 if estimator == "score_with_baseline" else 1
    if type(n) is not int or n < least:
        raise CourseError(f"n is {n!r}; {estimator!r} needs at least {least}, a whole number")
    with torch.no_grad():
        mu, logvar = model.encode(x)
        noise = torch.randn(n, *mu.shape, device=mu.device)
        z = sample_gaussian(mu, logvar, noise)  # (n, B, Z)
    with torch.enable_grad():
        z.requires_grad_()
        images = x.expand(n, *x.shape).flatten(0, 1)
        nll = nll_of_each(model.decode(z.flatten(0, 1)), images).view(n, len(x))
        if estimator == "reparameterised":
            return torch.autograd.grad(nll.sum(), z)[0]  # dz/dmu = 1
    nll = nll.detach()
    if estimator == "score_with_baseline":
        nll = (nll - nll.mean(dim=0)) * n / (n - 1)
    return nll[..., None] * noise / (logvar / 2).exp()
