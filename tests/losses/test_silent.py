"""A price on codes that give the label away: against the discrepancy by hand, and by pairs."""

import itertools

import pytest
import torch

from course_utils import losses
from course_utils.errors import CourseError
from course_utils.models.face_cvae import ConditionalFaceVAE

Y = torch.tensor([0, 1, 2, 0, 1, 0, 2, 1, 1, 3])  # one code of label 3: left out


def by_pairs(z, y):
    """Return the mean over pairs of labels of the unbiased squared MMD, code by code."""

    def mean(a, b):
        kernels = [torch.exp(-(p - q).square().sum() / 2 / z.shape[1]) for p in a for q in b
                   if p is not q]  # fmt: skip
        return sum(kernels) / len(kernels)

    groups = [list(z[y == k].unbind()) for k in y.unique()]
    groups = [group for group in groups if len(group) > 1]
    values = [mean(a, a) + mean(b, b) - 2 * mean(a, b)
              for a, b in itertools.combinations(groups, 2)]  # fmt: skip
    return sum(values) / len(values)


def test_it_is_the_mean_over_pairs_of_labels():
    torch.manual_seed(0)
    z = torch.randn(len(Y), 3)
    torch.testing.assert_close(losses.label_discrepancy(z, Y, 5), by_pairs(z, Y))


def test_without_bias_it_is_around_zero_where_labels_say_nothing():
    torch.manual_seed(0)
    y = torch.arange(4).repeat(8)
    alike = torch.stack([losses.label_discrepancy(torch.randn(32, 6), y, 4) for _ in range(500)])
    assert alike.mean().abs() < 4 * alike.std() / 500**0.5 < 0.01
    z = torch.randn(32, 6)
    z[:, 0] += y
    assert losses.label_discrepancy(z, y, 4) > 0.02


def test_it_sees_spreads_and_not_means_alone():
    torch.manual_seed(0)
    y = torch.arange(2).repeat(500)
    z = torch.randn(1000, 4)
    assert losses.label_discrepancy(z, y, 2).abs() < 0.005
    assert losses.label_discrepancy(z * (1 + y[:, None]), y, 2) > 0.02


def test_too_few_codes_to_compare_are_no_discrepancy_and_have_gradients():
    z = torch.randn(4, 3, requires_grad=True)
    for y in (torch.zeros(4, dtype=torch.int64), torch.arange(4)):
        value = losses.label_discrepancy(z, y, 4)
        assert value == 0
        assert torch.autograd.grad(value, z)[0].eq(0).all()


def test_wrong_codes_and_labels_are_refused():
    with pytest.raises(CourseError, match="codes have shape"):
        losses.label_discrepancy(torch.randn(10), Y, 4)
    with pytest.raises(CourseError, match="labels run from 0 to 3; this model knows 0 to 2"):
        losses.label_discrepancy(torch.randn(10, 2), Y, 3)
    with pytest.raises(CourseError, match=r"labels are torch\.int64"):
        losses.label_discrepancy(torch.randn(9, 2), Y, 4)


@pytest.fixture
def batch():
    """Return a narrow network, faces and labels."""
    torch.manual_seed(0)
    return ConditionalFaceVAE(code_dim=5, width=4), torch.rand(8, 3, 64, 64), torch.arange(8) % 4


def loss_of(batch, loss, **options):
    """Return the terms of a loss with the same noise in each call."""
    torch.manual_seed(1)
    return loss(*batch, likelihood="gaussian", variance=0.03, **options)


def test_without_weight_it_is_the_bound(batch):
    terms = loss_of(batch, losses.silent_negative_elbo, weight=0.0)
    bound = loss_of(batch, losses.negative_elbo)
    assert all(terms[name].equal(bound[name]) for name in bound)


def test_the_weight_counts_the_discrepancy(batch):
    bound, silent = (loss_of(batch, losses.silent_negative_elbo, weight=w) for w in (0.0, 1000.0))
    torch.testing.assert_close(silent["loss"], bound["loss"] + 1000 * silent["mmd"])
    assert not silent["mmd"].requires_grad


def test_the_price_is_felt_by_the_encoder(batch):
    grads = []
    for weight in (0.0, 1000.0):
        loss = loss_of(batch, losses.silent_negative_elbo, weight=weight)["loss"]
        grads.append(torch.autograd.grad(loss, batch[0].encoder.last.weight)[0])
    assert not torch.allclose(*grads)


class Spreading:
    """Stands for a model whose codes have the mean 0, and a spread that tells the label."""

    n_classes = 2
    pixels = staticmethod(torch.sigmoid)

    def __call__(self, x, y):
        return torch.zeros_like(x), torch.zeros(len(x), 4), (2.0 * y[:, None]).expand(-1, 4)


def test_drawn_codes_are_compared_and_not_their_means():
    torch.manual_seed(0)
    x, y = torch.rand(400, 1, 2, 2), torch.arange(400) % 2
    terms = losses.silent_negative_elbo(Spreading(), x, y, weight=1.0, variance=0.1)
    assert terms["mmd"] > 0.02


def test_the_same_in_bf16():
    torch.manual_seed(0)
    z = torch.randn(len(Y), 3)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        cast = losses.label_discrepancy(z, Y, 4)
    assert cast.equal(losses.label_discrepancy(z, Y, 4))
