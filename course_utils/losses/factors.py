"""The loss of a network that reads factors: some are amounts, some are kinds."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_utils.losses.inputs import UNIT, wants


@wants(UNIT)
def factor_reading(
    model, x: torch.Tensor, y: torch.Tensor, *, kinds: tuple, smallest: int | None = None
) -> dict:
    """Squared error of the amounts, cross-entropy of the kinds, and how many kinds are right.

    Amounts are compared in units of their standard deviation where they are drawn evenly from an
    interval of the length 1 or 2; guessing their mean costs about 1 each.

    Args:
        model: model(x) -> (B, A + sum of kinds), the amounts first.
        x, y: images (B, C, H, W) and factors (B, A + number of kinds), the amounts first; (B,) for
            a single one.
        kinds: how many kinds each of the last factors knows.
        smallest: in training, enlarge a random window of at least so many pixels a side to the
            whole: a referee must not depend on how near the faces are.
    """
    x = zoomed(x, smallest) if smallest and model.training else x
    y = y[:, None] if y.ndim == 1 else y
    said = model(x).float()
    n = y.shape[1] - len(kinds)
    amounts = (said[:, :n] - y[:, :n]).square().mean(0) * 3  # the variance on [-1, 1] is 1/3
    loss, right, start = amounts.sum(), [], n
    for column, size in enumerate(kinds, n):
        logits, kind = said[:, start : start + size], y[:, column].long()
        loss = loss + F.cross_entropy(logits, kind)
        right.append((logits.detach().argmax(1) == kind).float().mean())
        start += size
    return {
        "loss": loss,
        "amounts": amounts.mean().detach(),
        "kinds_right": sum(right) / len(right),
    }


def zoomed(x: torch.Tensor, smallest: int) -> torch.Tensor:
    """Return a window of the images, the same for all of them, enlarged to their size."""
    side = int(torch.randint(smallest, x.shape[2] + 1, ()))
    top, left = (int(torch.randint(0, n - side + 1, ())) for n in x.shape[2:])
    window = x[:, :, top : top + side, left : left + side]
    size = tuple(x.shape[2:])
    return F.interpolate(window, size, mode="bilinear", align_corners=False)
