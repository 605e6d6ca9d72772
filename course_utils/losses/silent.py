"""The bound of a conditional VAE, and a price on codes that give the label away."""

from __future__ import annotations

import torch

from course_utils.errors import CourseError
from course_utils.gaussian import sample_gaussian
from course_utils.losses.elbo import distortion, elbo_terms
from course_utils.losses.inputs import FINITE, UNIT, check_floats, check_labels, wants


def label_discrepancy(z: torch.Tensor, y: torch.Tensor, n_classes: int) -> torch.Tensor:
    """Return how far apart the codes of different labels lie: a mean over pairs of labels.

    Of two labels it is the squared maximum mean discrepancy, estimated without bias: around 0
    where both have the same distribution of codes, so a value may be negative. The kernel is
    exp(-|a - b|^2 / 2Z), whose width suits codes near N(0, 1). Labels with fewer than two codes
    are left out; where fewer than two labels remain, it is 0.

    Args:
        z: codes (B, Z).
        y: labels (B,), from 0 to n_classes - 1.
        n_classes: labels that there are (A).

    Raises CourseError for codes and labels that do not fit.
    Sources: Gretton et al. 2012 (JMLR 13); Louizos et al. 2016, arXiv 1511.00830.
    """
    check_floats(z, "codes", FINITE)
    if z.ndim != 2:
        raise CourseError(f"codes have shape {tuple(z.shape)}; they must be (B, Z)")
    check_labels(y, z.new_empty(len(z), n_classes))
    with torch.autocast(z.device.type, enabled=False):  # sums of small differences
        z = z.float()
        kernel = (-torch.cdist(z, z).square() / (2 * z.shape[1])).exp()
        kernel = kernel - kernel.diagonal().diag()  # no code meets itself
        of = (y[:, None] == torch.arange(n_classes, device=y.device)).float()  # (B, A)
        n = of.sum(0)
        sums = of.T @ kernel @ of  # (A, A), over pairs of codes
    within = sums.diagonal() / (n * (n - 1)).clamp_min(1)
    between = sums / (n[:, None] * n).clamp_min(1)
    apart = within[:, None] + within - 2 * between
    known = (n >= 2).float()
    pairs = (known[:, None] * known).triu(1)
    return (apart * pairs).sum() / pairs.sum().clamp_min(1)


@wants(UNIT)
def silent_negative_elbo(
    model,
    x: torch.Tensor,
    y: torch.Tensor,
    *,
    weight: float,
    likelihood: str = "gaussian",
    variance: float | None = None,
) -> dict:
    """Negative lower bound on log p(x|y) in nats, plus `weight` times `label_discrepancy`.

    The code may say what it likes, as long as its distribution is the same for all labels: then it
    says nothing about the label, and who decodes it has to listen to the label. The discrepancy is
    one of a batch, not of its images: where several processes train, each takes that of its share.

    Args:
        model: a conditional one: model(x, y) -> logits (B, C, H, W), mu and logvar (B, Z).
        x, y: images (B, C, H, W) in [0, 1] and labels (B,).
        weight: of the discrepancy of drawn codes; 0 gives `negative_elbo`.
        likelihood, variance: as in `negative_elbo`.

    Source: Louizos et al. 2016, arXiv 1511.00830, the variational fair autoencoder.
    """
    logits, mu, logvar = model(x, y)
    nll = distortion(model, logits, x, likelihood, variance)
    terms = elbo_terms(nll, mu, logvar, model.pixels(logits), x)
    discrepancy = label_discrepancy(sample_gaussian(mu, logvar), y, model.n_classes)
    return terms | {"loss": terms["loss"] + weight * discrepancy, "mmd": discrepancy.detach()}
