"""The loss of classifiers, against NumPy; and images that are moved a little in training."""

import numpy as np
import pytest
import torch

from course_utils import losses
from course_utils.models import Classifier


def test_classification_is_cross_entropy_and_accuracy(few):
    torch.manual_seed(0)
    model, x, y = Classifier().eval(), few.x[:50] / 255, few.y[:50]
    terms = losses.classification(model, x, y)
    with torch.no_grad():
        logits = model(x).double().numpy()
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert terms["loss"].item() == pytest.approx(-np.log(p[range(50), y]).mean(), rel=1e-5)
    assert terms["accuracy"].item() == pytest.approx((logits.argmax(1) == y.numpy()).mean())
    assert terms["loss"].requires_grad and not terms["accuracy"].requires_grad


def test_images_are_moved_in_training_only(few):
    torch.manual_seed(0)
    model, x, y = Classifier(dropout=0.0), few.x[:50] / 255, few.y[:50]
    assert (
        losses.classification(model, x, y, shift=2)["loss"]
        != (losses.classification(model, x, y, shift=2)["loss"])
    )
    model.eval()
    moved, still = (losses.classification(model, x, y, shift=s)["loss"] for s in (2, 0))
    assert moved == still


def test_shifted_moves_each_image_by_itself_and_not_too_far():
    x = torch.zeros(500, 2, 9, 7)
    x[:, 0, 4, 3], x[:, 1, 4, 3] = 1, 2  # both channels move together
    torch.manual_seed(0)
    moved = losses.shifted(x, 2)
    assert moved.shape == x.shape
    at = moved[:, 0].nonzero()
    assert at[:, 0].tolist() == list(range(500)) and torch.equal(at, moved[:, 1].nonzero())
    offsets = {(int(r) - 4, int(c) - 3) for _, r, c in at}
    assert offsets == {(r, c) for r in range(-2, 3) for c in range(-2, 3)}


def test_shifted_fills_with_background():
    torch.manual_seed(0)
    moved = losses.shifted(torch.ones(200, 1, 5, 5), 1)
    assert set(moved.sum(dim=(1, 2, 3)).tolist()) == {25, 20, 16}
