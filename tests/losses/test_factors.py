"""The loss that reads factors: squared error and cross-entropy, by hand."""

import torch
import torch.nn.functional as F

from course_utils import losses
from course_utils.losses import factors


class Says(torch.nn.Module):
    """Says the same whatever it is shown, and keeps what it was shown."""

    def __init__(self, said):
        super().__init__()
        self.said = said

    def forward(self, x):
        self.shown = x
        return self.said


def test_amounts_are_squared_and_kinds_are_classified():
    torch.manual_seed(0)
    said = torch.randn(6, 2 + 3 + 4)
    y = torch.cat([torch.rand(6, 2), torch.randint(0, 3, (6, 2)).float()], 1)
    terms = losses.factor_reading(Says(said), torch.rand(6, 3, 8, 8), y, kinds=(3, 4))
    amounts = 3 * ((said[:, :2] - y[:, :2]) ** 2).mean(0)
    kinds = [F.nll_loss(F.log_softmax(said[:, a:b], 1), y[:, c].long())
             for a, b, c in ((2, 5, 2), (5, 9, 3))]  # fmt: skip
    assert torch.isclose(terms["loss"], amounts.sum() + sum(kinds))
    assert torch.isclose(terms["amounts"], amounts.mean())
    right = [
        (said[:, a:b].argmax(1) == y[:, c]).float().mean() for a, b, c in ((2, 5, 2), (5, 9, 3))
    ]
    assert torch.isclose(terms["kinds_right"], sum(right) / 2)


def test_a_window_is_enlarged_in_training_alone():
    x, y = torch.rand(2, 3, 16, 16), torch.zeros(2, 1)
    model = Says(torch.zeros(2, 2))
    losses.factor_reading(model.eval(), x, y, kinds=(2,), smallest=8)
    assert model.shown is x
    losses.factor_reading(model.train(), x, y, kinds=(2,), smallest=8)
    assert model.shown.shape == x.shape and not model.shown.equal(x)


def test_the_whole_image_is_the_largest_window():
    x = torch.rand(1, 1, 8, 8)
    assert torch.allclose(factors.zoomed(x, 8), x)
