"""Adversarial losses against cross-entropies, closed forms and gradients by hand."""

import math

import pytest
import torch
from torch.distributions import Bernoulli

from course_utils.losses import adversarial as game

REAL, FAKE = torch.tensor([-3.0, 0.5, 2.0, 7.0]), torch.tensor([-6.0, -0.2, 1.5, 3.0])


def log_prob(logits: torch.Tensor, label: float) -> torch.Tensor:
    """Return the mean log-probability of a label, by torch.distributions."""
    return Bernoulli(logits=logits.double()).log_prob(torch.tensor(label).double()).mean()


def test_the_logistic_losses_are_those_of_a_coin():
    expected = -log_prob(REAL, 1) - log_prob(FAKE, 0)
    assert torch.isclose(game.logistic_d(REAL, FAKE).double(), expected)
    assert torch.isclose(game.saturating_g(FAKE).double(), log_prob(FAKE, 0))
    assert torch.isclose(game.non_saturating_g(FAKE).double(), -log_prob(FAKE, 1))


def test_a_discriminator_that_cannot_tell_pays_two_log_two():
    nothing = torch.zeros(5)
    assert float(game.logistic_d(nothing, nothing)) == pytest.approx(2 * math.log(2))
    assert float(game.relativistic_d(nothing, nothing)) == pytest.approx(math.log(2))


@pytest.mark.parametrize(
    ("loss", "slope"),
    [
        (game.saturating_g, lambda d: -d),
        (game.non_saturating_g, lambda d: d - 1),
        (game.hinge_g, lambda d: -torch.ones_like(d)),
    ],
)
def test_slopes_in_the_logit_are_as_written(loss, slope):
    fake = FAKE.clone().requires_grad_()
    loss(fake).backward()
    assert torch.allclose(fake.grad * len(fake), slope(FAKE.sigmoid()), atol=1e-6)


def test_where_the_discriminator_is_sure_only_one_loss_teaches():
    sure = torch.tensor([-20.0], requires_grad=True)
    (saturating,) = torch.autograd.grad(game.saturating_g(sure), sure)
    (other,) = torch.autograd.grad(game.non_saturating_g(sure), sure)
    assert abs(float(saturating)) < 1e-8 and abs(float(other) + 1) < 1e-6


def test_the_hinge_stops_at_one():
    assert float(game.hinge_d(torch.tensor([1.0, 5.0]), torch.tensor([-1.0, -9.0]))) == 0
    assert float(game.hinge_d(torch.tensor([0.0, 3.0]), torch.tensor([-2.0, 1.0]))) == 1.5


def test_the_relativistic_losses_are_a_coin_on_differences():
    assert torch.isclose(game.relativistic_d(REAL, FAKE).double(), -log_prob(REAL - FAKE, 1))
    assert torch.isclose(game.relativistic_g(FAKE, REAL).double(), -log_prob(FAKE - REAL, 1))
    shift = 3.7  # only differences count
    assert torch.isclose(
        game.relativistic_d(REAL + shift, FAKE + shift), game.relativistic_d(REAL, FAKE)
    )


def test_nothing_overflows():
    far = torch.tensor([-200.0, 200.0])
    for loss in (game.logistic_d, game.relativistic_d, game.hinge_d):
        assert loss(far, far.flip(0)).isfinite()


def test_the_slope_of_a_quadratic_is_known():
    """D(x) = x A x / 2 + b x has the slope A x + b (A symmetric), and so its square's gradient."""
    torch.manual_seed(0)
    a = torch.randn(4, 4, dtype=torch.float64)
    a, b = (a + a.T).requires_grad_(), torch.randn(4, dtype=torch.float64)
    x = torch.randn(7, 4, dtype=torch.float64, requires_grad=True)
    logits = (x @ a * x).sum(1) / 2 + x @ b
    penalty = game.squared_slope(logits, x)
    slope = x.detach() @ a.detach() + b
    assert torch.isclose(penalty, slope.square().sum(1).mean())
    (found,) = torch.autograd.grad(penalty, a)
    by_hand = 2 * x.detach().T @ slope / len(x)
    assert torch.allclose(found + found.T, by_hand + by_hand.T)


def test_the_slope_of_a_network_is_that_of_finite_differences():
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Linear(3, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1)
    ).double()
    x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
    penalty = game.squared_slope(net(x).flatten(), x)
    step = 1e-6 * torch.eye(3, dtype=torch.float64)
    with torch.no_grad():
        slopes = torch.stack([(net(x + e) - net(x - e)).flatten() / 2e-6 for e in step], 1)
    assert torch.isclose(penalty, slopes.square().sum(1).mean(), rtol=1e-6)
