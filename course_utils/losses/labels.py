"""Two other losses of classifiers: labels not quite certain, and ten yes-or-no questions."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_utils.errors import CourseError
from course_utils.losses.inputs import UNIT, check_labels, wants


@wants(UNIT)
def smoothed_classification(
    model, x: torch.Tensor, y: torch.Tensor, *, smoothing: float = 0.1
) -> dict:
    """Cross-entropy in nats against softened labels, and the accuracy, 0 to 1.

    In training the target gives `smoothing` of its probability to all K classes alike and the rest
    to the label; in eval mode the loss is the plain cross-entropy, so that values compare.

    Args:
        model: model(x) -> logits (B, K).
        x, y: images (B, C, H, W) and labels (B,).
        smoothing: in [0, 1); 0 is `classification`.

    Source: Szegedy et al. 2016, CVPR. Raises CourseError for a smoothing outside [0, 1).
    """
    if not 0 <= smoothing < 1:
        raise CourseError(f"smoothing is {smoothing}; it lies in [0, 1)")
    logits = model(x).float()
    check_labels(y, logits)
    loss = F.cross_entropy(logits, y, label_smoothing=smoothing if model.training else 0.0)
    return {"loss": loss, "accuracy": share_right(logits, y)}


@wants(UNIT)
def one_against_rest(model, x: torch.Tensor, y: torch.Tensor) -> dict:
    """Sigmoid outputs: K binary cross-entropies per image in nats, summed; and the accuracy.

    Each output answers "is it this class?" by itself; the most certain one is the answer.

    Args:
        model: model(x) -> logits (B, K).
        x, y: images (B, C, H, W) and labels (B,).
    """
    logits = model(x).float()
    check_labels(y, logits)
    targets = torch.zeros_like(logits).scatter(1, y[:, None], 1.0)
    loss = F.binary_cross_entropy_with_logits(logits, targets, reduction="sum") / len(x)
    return {"loss": loss, "accuracy": share_right(logits, y)}


def share_right(logits: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return the share of images whose largest logit is their label's, as a scalar."""
    return (logits.detach().argmax(dim=1) == y).float().mean()
