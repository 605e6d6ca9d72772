"""The importance-weighted bound."""

from __future__ import annotations

import math

import torch

from course_utils.errors import CourseError
from course_utils.gaussian import sample_gaussian
from course_utils.losses.conditional import told
from course_utils.losses.inputs import UNIT, binarised_anew, wants
from course_utils.losses.pixels import nll_of_each


@wants(UNIT)
def iwae_loss(
    model, x: torch.Tensor, y: torch.Tensor | None = None, *, k: int = 5, binarise: bool = False
) -> dict:
    """Negative importance-weighted bound of a VAE in nats, from k codes per image.

    -log (1/k sum_i w_i) with log w = log p(x|z) + log p(z) - log q(z|x); k = 1 is the ELBO with
    its KL term estimated from the drawn code. "nelbo" is the mean of -log w over the same codes.
    Source: Burda, Grosse and Salakhutdinov 2016, arXiv 1509.00519.

    Args:
        model: with encode(x) -> mu and logvar (B, Z), decode(z) -> logits (B, C, H, W); a
            conditional one encode(x, y) and decode(z, y).
        x, y: images (B, C, H, W) in [0, 1] and labels (B,).
        k: codes per image.
        binarise: as in `negative_elbo`.

    Raises CourseError when k is no whole number from 1.
    """
    if type(k) is not int or k < 1:
        raise CourseError(f"k is {k!r}; it must be a whole number, 1 or more")
    x = binarised_anew(x) if binarise else x
    mu, logvar = (t.unsqueeze(1) for t in model.encode(x, *told(model, y)))  # (B, 1, Z)
    noise = torch.randn(len(x), k, mu.shape[2], device=mu.device)
    z = sample_gaussian(mu, logvar, noise)  # (B, k, Z)
    each = told(model, None if y is None else y.repeat_interleave(k))
    logits = model.decode(z.flatten(0, 1), *each).unflatten(0, (len(x), k))
    log_px = -nll_of_each(logits.flatten(0, 1), x.repeat_interleave(k, 0)).view(len(x), k)
    log_ratio = 0.5 * (noise.square() + logvar - z.square()).sum(dim=2)  # log p(z) - log q(z|x)
    log_w = log_px + log_ratio
    loss = (math.log(k) - log_w.logsumexp(dim=1)).mean()
    return {"loss": loss, "nelbo": -log_w.detach().mean()}
