"""Every loss of the course.

A loss is called as `loss(model, x, y)` and returns a dict of scalars: "loss", which is minimised,
and the terms worth watching. All are sums over an image averaged over the batch, so that numbers
do not change with the batch size: squared error on [0, 1] ("sse"), or nats.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from course_utils.runtime import CourseError


def squared_error(recon: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the squared error per image, averaged over the batch, as a scalar.

    Args:
        recon, x: images (B, ...), of the same shape and range.

    Raises CourseError for other shapes: torch would stretch one to the other.
    """
    if recon.shape != x.shape:
        raise CourseError(f"shapes {tuple(recon.shape)} and {tuple(x.shape)}; they must be equal")
    return F.mse_loss(recon.float(), x, reduction="sum") / len(x)  # one pass there, one back


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


def masked_reconstruction(
    model, x: torch.Tensor, y: torch.Tensor | None = None, *, masked: float = 0.2
) -> dict:
    """Squared error against the whole image, of an autoencoder that sees it with gaps.

    In training a share `masked` of the pixels is hidden from the encoder, other ones each time
    (dropout of the input), so that it cannot lean on single pixels; in eval mode none is.
    """
    seen = F.dropout(x, masked, training=model.training)
    loss = squared_error(model.reconstruct(seen), x)
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


# --------------------------------------------------------------------- the evidence lower bound

LIKELIHOODS = ("bernoulli", "gaussian")


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
    if mu.ndim != 2 or mu.shape != logvar.shape:
        shapes = f"{tuple(mu.shape)} and {tuple(logvar.shape)}"
        raise CourseError(f"mu and logvar have shapes {shapes}; both must be (B, Z)")
    mu, logvar = mu.float(), logvar.float()
    return 0.5 * (mu.square() + logvar.exp() - 1 - logvar).mean(dim=0)


def gaussian_nll(recon: torch.Tensor, x: torch.Tensor, log_variance) -> torch.Tensor:
    """Return -log N(x; recon, variance) per image in nats, averaged over the batch.

    Args:
        recon, x: images (B, ...), of the same shape and range.
        log_variance: of every pixel, a number or a scalar tensor.

    A density on pixels may exceed 1: this may be negative, and compares with itself only.
    """
    log_variance = torch.as_tensor(log_variance, dtype=torch.float32, device=x.device)
    constant = x[0].numel() * (log_variance + math.log(2 * math.pi))
    return 0.5 * (squared_error(recon, x) / log_variance.exp() + constant)


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
    """Negative evidence lower bound of a VAE in nats, from one code per image; labels unused.

    Args:
        model: model(x) -> logits (B, C, H, W), mu and logvar (B, Z).
        x: images (B, C, H, W) in [0, 1].
        beta: weight of the KL term (Higgins et al. 2017, ICLR); the bound has 1.
        likelihood: "bernoulli" or "gaussian".
        variance: of a pixel under "gaussian"; None takes the model's own, which is learned.
        binarise: draw the pixels anew as 0 or 1 at each call, with probability x: "dynamic
            binarisation". Without it, "bernoulli" on grey pixels is no likelihood.

    Raises CourseError for an unknown likelihood or variance.
    """
    x = torch.bernoulli(x) if binarise else x
    logits, mu, logvar = model(x)
    nll = distortion(model, logits, x, likelihood, variance)
    return elbo_terms(nll, mu, logvar, model.pixels(logits), x, beta)


def conditional_negative_elbo(
    model, x: torch.Tensor, y: torch.Tensor, *, beta: float = 1.0
) -> dict:
    """Negative evidence lower bound on log p(x|y) in nats, with the Bernoulli likelihood.

    Args:
        model: model(x, y) -> logits (B, C, H, W), mu and logvar (B, Z).
        x, y: images (B, C, H, W) in [0, 1] and labels (B,).
        beta: weight of the KL term.
    """
    logits, mu, logvar = model(x, y)
    nll = bernoulli_nll(logits, x)
    return elbo_terms(nll, mu, logvar, model.pixels(logits), x, beta)


def conditional_reconstruction(model, x: torch.Tensor, y: torch.Tensor) -> dict:
    """Binary cross-entropy of an autoencoder that is told the labels y (B,), in nats."""
    logits, _ = model(x, y)
    loss = bernoulli_nll(logits, x)
    return {"loss": loss, "sse": squared_error(model.pixels(logits.detach()), x)}


def iwae_loss(
    model, x: torch.Tensor, y: torch.Tensor | None = None, *, k: int = 5, binarise: bool = False
) -> dict:
    """Negative importance-weighted bound of a VAE in nats, from k codes per image.

    -log (1/k sum_i w_i) with log w = log p(x|z) + log p(z) - log q(z|x); k = 1 is the ELBO with
    its KL term estimated from the drawn code. "nelbo" is the mean of -log w over the same codes.
    Source: Burda, Grosse and Salakhutdinov 2016, arXiv 1509.00519.

    Args:
        model: with encode(x) -> mu and logvar (B, Z), decode(z) -> logits (B, C, H, W).
        x: images (B, C, H, W) in [0, 1]; labels are not looked at.
        k: codes per image.
        binarise: as in `negative_elbo`.

    Raises CourseError when k is no whole number from 1.
    """
    if not isinstance(k, int) or k < 1:
        raise CourseError(f"k is {k!r}; it must be a whole number, 1 or more")
    x = torch.bernoulli(x) if binarise else x
    mu, logvar = (t.unsqueeze(1) for t in model.encode(x))  # (B, 1, Z)
    noise = torch.randn(len(x), k, mu.shape[2], device=mu.device)
    z = mu + (logvar / 2).exp() * noise  # (B, k, Z)
    logits = model.decode(z.flatten(0, 1)).unflatten(0, (len(x), k))
    log_px = -nll_of_each(logits.flatten(0, 1), x.repeat_interleave(k, 0)).view(len(x), k)
    log_ratio = 0.5 * (noise.square() + logvar - z.square()).sum(dim=2)  # log p(z) - log q(z|x)
    log_w = log_px + log_ratio
    loss = (math.log(k) - log_w.logsumexp(dim=1)).mean()
    return {"loss": loss, "nelbo": -log_w.detach().mean()}


def nll_of_each(logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the binary cross-entropy (B,) of each image in nats; see `bernoulli_nll`."""
    each = F.binary_cross_entropy_with_logits(logits.float(), x, reduction="none")
    return each.flatten(1).sum(dim=1)


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
    if n < least:
        raise CourseError(f"n is {n}; {estimator!r} needs at least {least}")
    with torch.no_grad():
        mu, logvar = model.encode(x)
        noise = torch.randn(n, *mu.shape, device=mu.device)
        z = mu + (logvar / 2).exp() * noise  # (n, B, Z)
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


# ----------------------------------------------------------------------------------- the referee


def classification(model, x: torch.Tensor, y: torch.Tensor, *, shift: int = 0) -> dict:
    """Cross-entropy of a classifier in nats per image, and its accuracy, 0 to 1.

    Args:
        model: model(x) -> logits (B, classes).
        x, y: images (B, C, H, W) and labels (B,).
        shift: in training, move each image by up to this many pixels either way.
    """
    x = shifted(x, shift) if shift and model.training else x
    logits = model(x).float()
    right = (logits.detach().argmax(dim=1) == y).float().mean()
    return {"loss": F.cross_entropy(logits, y), "accuracy": right}


def shifted(x: torch.Tensor, most: int) -> torch.Tensor:
    """Return images x (B, C, H, W), each moved by up to `most` pixels down or up and across.

    What moves in from outside is 0, the background of MNIST.
    """
    b, _, h, w = x.shape
    padded = F.pad(x, (most,) * 4)
    down, across = torch.randint(0, 2 * most + 1, (2, b, 1), device=x.device)
    rows = (down + torch.arange(h, device=x.device))[:, :, None]  # (B, H, 1)
    columns = (across + torch.arange(w, device=x.device))[:, None, :]  # (B, 1, W)
    image = torch.arange(b, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows, columns].permute(0, 3, 1, 2)
