"""The loss of a network that answers yes or no: does somebody smile, does somebody wear glasses?"""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_utils.losses.classifying import shifted
from course_utils.losses.inputs import UNIT, check_labels, wants


@wants(UNIT)
def yes_or_no(
    model, x: torch.Tensor, y: torch.Tensor, *, shift: int = 0, weights: tuple[float, ...] = (1, 1)
) -> dict:
    """Binary cross-entropies of Q questions in nats per image, summed, and how many are right.

    A label holds all answers: the last digit of its binary number is the first one. In training a
    half of the batches is mirrored.

    Args:
        model: model(x) -> logits (B, Q), above 0 for yes.
        x, y: images (B, C, H, W) in [0, 1] and labels (B,), from 0 to 2^Q - 1.
        shift: in training, move each image by up to this many pixels either way.
        weights: (Q,), how much more an image counts whose answer is yes. With the ratio of noes to
            yeses the network answers as if both were equally frequent.

    Raises CourseError for labels that are not those of the questions.
    """
    if model.training:
        x = shifted(x, shift) if shift else x
        x = x.flip(3) if torch.rand(()) < 0.5 else x
    logits = model(x).float()
    answers = answers_of(y, logits)
    weights = torch.tensor(weights, dtype=torch.float32, device=logits.device)
    loss = F.binary_cross_entropy_with_logits(
        logits, answers, pos_weight=weights, reduction="sum"
    ) / len(x)  # fmt: skip
    right = ((logits.detach() > 0) == (answers > 0)).float().mean()
    return {"loss": loss, "right": right}


def answers_of(y: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
    """Return the answers (B, Q), 0 or 1, that labels y (B,) hold, for logits (B, Q)."""
    n_questions = logits.shape[1]
    check_labels(y, logits.new_empty(len(logits), 2**n_questions))
    return torch.stack([y >> i & 1 for i in range(n_questions)], dim=1).float()
