"""Labels and styles: is an image what was asked for, and what do images of one code share?"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch.distributions import Normal, kl_divergence

from course_utils.errors import CourseError
from course_utils.gaussian import sample_gaussian
from course_utils.metrics.features import evaluating, to_bytes
from course_utils.metrics.inputs import as_features, as_images, as_labels, check_whole
from course_utils.metrics.likelihood import bernoulli_log_likelihood
from course_utils.metrics.probes import predict


def read(classifier: Callable, images) -> torch.Tensor:
    """Return the labels (N,) that a classifier reads on images, on the CPU.

    Images are rounded to the 256 levels of a byte first, like everything that is scored.

    Args:
        classifier: images (B, C, H, W) -> scores (B, classes): a referee. An nn.Module runs in eval
            mode.
        images: (N, C, H, W), uint8 or float in [0, 1].

    Raises CourseError for bad input.
    """
    return predict(classifier, to_bytes(as_images(images, "images")))


def label_accuracy(classifier: Callable, images, y) -> float:
    """Return the share, 0 to 1, of images that a classifier reads as the labels asked for.

    Args:
        classifier, images: as in `read`.
        y: the labels (N,) that were asked for.

    Raises CourseError for bad input.
    """
    seen = read(classifier, images)
    return float((seen == as_labels(y, len(seen), "y")).double().mean())


def label_bounds(
    model, x, n_samples: int = 1, generator: torch.Generator | None = None
) -> torch.Tensor:
    """Return the lower bound of a conditional VAE on log p(x|y) for every label y, (N, A) in nats.

    The label with the highest bound is the model's reading of the image. logsumexp over the labels,
    less log A, bounds log p(x) when all labels are equally likely (Kingma et al. 2014, NeurIPS 27,
    classify so). Bernoulli likelihood; on grey pixels x the bounds are averages over images that
    are binarised with the probabilities x, for an encoder that has seen the greys.

    Args:
        model: `ConditionalVAE` with A classes; it runs in eval mode and gets its modes back.
        x: images (N, C, H, W), uint8 or float in [0, 1], on the model's device.
        n_samples: codes drawn per image and label, over which the bound is averaged.
        generator: of the draws, on the model's device; None is a fresh one with seed 0.

    Raises CourseError for bad images or n_samples, and for a model that is told no labels.
    """
    if not getattr(model, "conditional", False):
        raise CourseError(f"a {type(model).__name__} is told no labels; take a conditional model")
    x = as_images(x, "x")
    check_whole(n_samples, "n_samples")
    generator = generator or torch.Generator(x.device).manual_seed(0)
    with evaluating(model):
        columns = [
            torch.cat([bounds_of(model, b, label, n_samples, generator) for b in x.split(1000)])
            for label in range(model.n_classes)
        ]
    return torch.stack(columns, dim=1)


def bounds_of(model, x: torch.Tensor, label: int, n_samples: int, generator) -> torch.Tensor:
    """Return the bounds (B,) of images x (B, C, H, W) that are all said to be of class `label`."""
    y = torch.full((len(x),), label, device=x.device)
    mu, logvar = model.encode(x, y)
    kl = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(dim=1)
    log_px = torch.zeros_like(kl)
    for _ in range(n_samples):
        noise = torch.randn(mu.shape, generator=generator, device=mu.device)
        logits = model.decode(sample_gaussian(mu, logvar, noise), y)
        log_px += bernoulli_log_likelihood(logits, x)
    return log_px / n_samples - kl


def shared_by_rows(values) -> float:
    """Return the share, 0 to 1, of the variance within columns that the rows explain.

    The rows are codes, the columns classes, the value a measure of the image that the code gives as
    that class. Each column's mean is taken off; what is left is split into the variance of the row
    means and the rest. Values that have nothing to do with their row give 1 / K, one measure that
    the row alone decides gives 1.

    Args:
        values: (N, K), N and K at least 2.

    Raises CourseError for other shapes, or values that do not vary within any column.
    """
    values = as_features(values, "values")
    if min(values.shape) < 2:
        shape = tuple(values.shape)
        raise CourseError(f"values has shape {shape}; it must be (N, K), both 2 or more")
    v = values - values.mean(0)
    total = v.square().mean()
    if total <= 1e-20 * values.square().mean():  # all that is left is rounding
        raise CourseError("no column of values varies, so there is no variance to explain")
    return float(v.mean(1).square().mean() / total)
