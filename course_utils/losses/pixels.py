"""What a reconstruction costs: squared error, and likelihoods in nats."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

from course_utils.losses.inputs import FINITE, UNIT, check_target


def squared_error(recon: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the squared error per image, averaged over the batch, as a scalar.

    Args:
        recon, x: images (B, ...), of the same shape and range.

    Raises CourseError for bytes, other shapes (torch would stretch one to the other), and empty
    batches.
    """
    check_target(recon, x, FINITE)
    return F.mse_loss(recon.float(), x, reduction="sum") / len(x)  # one pass there, one back


def bernoulli_nll(logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the binary cross-entropy per image in nats, averaged over the batch.

    Args:
        logits: (B, ...), before the sigmoid: log and sigmoid together are exact where a
            probability rounds to 0 or 1.
        x: targets in [0, 1], of the same shape. It is a likelihood only where x is 0 or 1.

    Raises CourseError for targets outside [0, 1], bytes, other shapes and empty batches.
    """
    check_target(logits, x, UNIT, "logits")
    return F.binary_cross_entropy_with_logits(logits.float(), x, reduction="sum") / len(x)


def nll_of_each(logits: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Return the binary cross-entropy (B,) of each image in nats; see `bernoulli_nll`."""
    check_target(logits, x, UNIT, "logits")
    each = F.binary_cross_entropy_with_logits(logits.float(), x, reduction="none")
    return each.flatten(1).sum(dim=1)


def gaussian_nll(recon: torch.Tensor, x: torch.Tensor, log_variance) -> torch.Tensor:
    """Return -log N(x; recon, variance) per image in nats, averaged over the batch.

    Args:
        recon, x: images (B, ...), of the same shape and range.
        log_variance: of every pixel, a number or a scalar tensor.

    A density on pixels may exceed 1: this may be negative, and compares with itself only.
    """
    sse = squared_error(recon, x)
    log_variance = torch.as_tensor(log_variance, dtype=torch.float32, device=x.device)
    constant = x[0].numel() * (log_variance + math.log(2 * math.pi))
    return 0.5 * (sse / log_variance.exp() + constant)
