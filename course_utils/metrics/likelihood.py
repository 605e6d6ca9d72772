"""The likelihood of a variational autoencoder, from below: importance-weighted bounds."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch

from course_utils.errors import CourseError
from course_utils.gaussian import log_density, sample_gaussian
from course_utils.losses.pixels import nll_of_each
from course_utils.metrics.features import device_of, evaluating
from course_utils.metrics.inputs import as_images, as_labels, as_tensor, check_whole

ROWS = 2_000  # codes decoded at once: 6 MB of logits fit in a cache; 10,000 took 1.3 times as long


def iwae_bound(log_weights) -> float:
    """Return the importance-weighted bound on log p(x), in nats per image, averaged over images.

    log (1/K sum_k w_k), with log w = log p(x|z) + log p(z) - log q(z|x). K = 1 gives the ELBO; the
    bound rises with K towards log p(x). The figure quoted in papers is its negative.
    Source: Burda et al. 2016, arXiv 1509.00519.

    Args:
        log_weights: (B, K), in nats; `w[:, :50]` of the same weights gives the bound for K = 50.

    Raises CourseError for weights that are empty, not finite, or not (B, K).
    """
    w = as_tensor(log_weights, "log_weights").double()
    if w.ndim != 2:
        raise CourseError(f"log_weights has shape {tuple(w.shape)}; it must be (B, K)")
    return float((w.logsumexp(1) - math.log(w.shape[1])).mean())


def log_weights(
    model, x, n_samples: int, generator: torch.Generator | None = None, likelihood=None, y=None
) -> torch.Tensor:
    """Return log p(x|z) + log p(z) - log q(z|x), (B, K) in nats, for K codes drawn from q(z|x).

    All weights are kept: 8 bytes each, 40 MB for 1,000 images and K = 5,000. `log_likelihood` keeps
    none.

    Args:
        model: nn.Module with encode(x) -> (mu, logvar), (B, Z) each, and decode(z) -> logits
            (B, C, H, W); it runs in eval mode and gets its modes back.
        x: binarised images (B, C, H, W), 0 or 1.
        n_samples: codes drawn per image (K).
        generator: of the draws, on the model's device; None is a fresh one with seed 0.
        likelihood: (logits (n, ...), x (n, ...)) -> log p(x|z) (n,); None is Bernoulli.
        y: labels (B,) that a conditional model is told; the bound is then on log p(x|y).

    Raises CourseError for bad images, grey ones under the Bernoulli likelihood, and labels that the
    model cannot use or lacks.
    """
    parts = weights_of_batches(model, x, n_samples, generator, likelihood, y)
    return torch.cat([torch.cat(list(chunks), 1) for chunks in parts])


def log_likelihood(
    model, x, n_samples: int, generator: torch.Generator | None = None, likelihood=None, y=None
) -> torch.Tensor:
    """Return the importance-weighted bound on log p(x) of each image, (B,) in nats.

    Arguments and errors as in `log_weights`, of which it is the `iwae_bound` image by image; the
    weights are summed as they come, so K = 5,000 on the whole test set fits in memory.
    """
    parts = weights_of_batches(model, x, n_samples, generator, likelihood, y)
    totals = [streaming_logsumexp(chunks) for chunks in parts]
    return torch.cat(totals) - math.log(n_samples)


def streaming_logsumexp(chunks: Iterator[torch.Tensor]) -> torch.Tensor:
    """Return the logsumexp (B,) over all columns of chunks (B, k), one chunk at a time."""
    total = None
    for chunk in chunks:
        new = chunk.logsumexp(1)
        total = new if total is None else torch.logaddexp(total, new)
    return total


def weights_of_batches(
    model, x, n_samples: int, generator: torch.Generator | None, likelihood: Callable | None, y
) -> Iterator[Iterator[torch.Tensor]]:
    """Yield for each batch of images an iterator over its log weights (b, k)."""
    check_whole(n_samples, "n_samples")
    x = as_images(x, "x")
    if likelihood is None:
        check_binary(x)
        likelihood = bernoulli_log_likelihood
    device = device_of(model, x.device)
    generator = generator or torch.Generator(device).manual_seed(0)
    labels = [None] * len(x) if y is None else as_labels(y, len(x), "y").to(device).split(100)
    for batch, told in zip(x.split(100), labels, strict=False):
        yield weights_of_batch(model, batch.to(device), told, n_samples, generator, likelihood)


def weights_of_batch(model, x, y, n_samples, generator, likelihood) -> Iterator[torch.Tensor]:
    """Yield the log weights (b, k) of images x (b, C, H, W), float64 on the CPU, chunk by chunk."""
    at_once = max(1, ROWS // len(x))
    for start in range(0, n_samples, at_once):
        k = min(at_once, n_samples - start)
        yield draw_weights(model, x, y, k, generator, likelihood).cpu().double()


def draw_weights(model, x, y, k: int, generator, likelihood) -> torch.Tensor:
    """Draw k codes per image from q(z|x) and return their log weights (b, k)."""
    told, each = ((), ()) if y is None else ((y,), (y.repeat_interleave(k),))
    with evaluating(model):
        mu, logvar = (t.float()[:, None] for t in model.encode(x, *told))  # (b, 1, Z)
        noise = torch.randn(len(x), k, mu.shape[2], generator=generator, device=mu.device)
        z = sample_gaussian(mu, logvar, noise)  # (b, k, Z)
        logits = model.decode(z.flatten(0, 1), *each)  # (b * k, C, H, W)
        log_px = likelihood(logits, x.repeat_interleave(k, 0)).view(len(x), k)
        log_prior = log_density(z, torch.zeros_like(mu), torch.zeros_like(mu))
        return log_px + log_prior - log_density(z, mu, logvar)


def bernoulli_log_likelihood(logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return log p(x | logits) in nats, (B,), of pixels x (B, ...) that are 0 or 1."""
    return -nll_of_each(logits, x)


def check_binary(x: torch.Tensor) -> None:
    """Raise CourseError unless every pixel is 0 or 1."""
    grey = int(((x != 0) & (x != 1)).sum())
    if grey:
        raise CourseError(
            f"x has {grey} grey pixels of {x.numel()}; a Bernoulli likelihood is a likelihood on "
            "binarised images only: binarise x first"
        )
