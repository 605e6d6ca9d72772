"""The loss of classifiers."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from course_utils.errors import CourseError
from course_utils.losses.inputs import FINITE, UNIT, check_floats, check_labels, wants


@wants(UNIT)
def classification(model, x: torch.Tensor, y: torch.Tensor, *, shift: int = 0) -> dict:
    """Cross-entropy of a classifier in nats per image, and its accuracy, 0 to 1.

    Args:
        model: model(x) -> logits (B, classes).
        x, y: images (B, C, H, W) and labels (B,).
        shift: in training, move each image by up to this many pixels either way.

    Raises CourseError for labels that are not those of the classes.
    """
    x = shifted(x, shift) if shift and model.training else x
    logits = model(x).float()
    check_labels(y, logits)
    right = (logits.detach().argmax(dim=1) == y).float().mean()
    return {"loss": F.cross_entropy(logits, y), "accuracy": right}


def shifted(x: torch.Tensor, most: int) -> torch.Tensor:
    """Return images x (B, C, H, W), each moved by up to `most` pixels down or up and across.

    What moves in from outside is 0, the background of MNIST. Raises CourseError for other shapes,
    types, and a `most` that is no whole number from 0.
    """
    check_floats(x, "images", FINITE)
    if x.ndim != 4:
        raise CourseError(f"images have shape {tuple(x.shape)}; they must be (B, C, H, W)")
    if type(most) is not int or most < 0:
        raise CourseError(f"most is {most!r}; it must be a whole number, 0 or more")
    b, _, h, w = x.shape
    padded = F.pad(x, (most,) * 4)
    down, across = torch.randint(0, 2 * most + 1, (2, b, 1), device=x.device)
    rows = (down + torch.arange(h, device=x.device))[:, :, None]  # (B, H, 1)
    columns = (across + torch.arange(w, device=x.device))[:, None, :]  # (B, 1, W)
    image = torch.arange(b, device=x.device)[:, None, None]
    return padded.permute(0, 2, 3, 1)[image, rows, columns].permute(0, 3, 1, 2)
