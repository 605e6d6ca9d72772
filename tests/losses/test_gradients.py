"""Estimators of gradients: against quadrature."""

import math

import pytest
import torch
from small_models import SHAPE, lively
from torch.distributions import Normal

from course_utils import losses
from course_utils.models import VAE
from course_utils.runtime import CourseError


@pytest.fixture
def line():
    """Return a VAE whose code is one number, with a posterior that is off but not far off."""
    model = lively(VAE(widths=(8,), code_dim=1, image_shape=SHAPE))
    with torch.no_grad():
        model.encoder[-1].weight.mul_(0.3)
    return model


def exact_gradient_of_mu(model, x) -> torch.Tensor:
    """Return d/dmu of E_q[-log p(x|z)] (B, 1), by quadrature, for a code of one number."""
    with torch.no_grad():
        mu, logvar = model.encode(x)
        noise = torch.linspace(-8, 8, 2001)
        weight = Normal(0.0, 1.0).log_prob(noise).exp() * (16 / 2000)

    def cost(mu):
        z = mu + (logvar / 2).exp() * noise  # (B, 2001)
        logits = model.decode(z.reshape(-1, 1)).view(len(x), 2001, -1)
        nll = torch.nn.functional.softplus(logits).sum(2) - torch.einsum(
            "bnp,bp->bn", logits, x.flatten(1)
        )
        return (nll * weight).sum(1)

    h = 1e-2
    with torch.no_grad():
        return (cost(mu + h) - cost(mu - h))[:, None] / (2 * h)


@pytest.mark.parametrize("estimator", losses.ESTIMATORS)
def test_the_estimators_have_no_bias(estimator, line, binary):
    exact = exact_gradient_of_mu(line, binary)
    torch.manual_seed(0)
    estimates = losses.gradients_of_mu(line, binary, 8000, estimator)
    assert estimates.shape == (8000, 12, 1)
    error = estimates.std(0) / math.sqrt(8000)
    assert ((estimates.mean(0) - exact).abs() < 4.5 * error + 1e-3).all()


def test_a_baseline_of_few_codes_has_no_bias(line, binary):
    """A value is no part of its own baseline: with two codes that would halve the gradient."""
    exact = exact_gradient_of_mu(line, binary)
    torch.manual_seed(0)
    many = binary.repeat(4000, 1, 1, 1)
    pairs = losses.gradients_of_mu(line, many, 2, "score_with_baseline")
    estimates = pairs.mean(0).view(4000, 12, 1)
    error = estimates.std(0) / math.sqrt(4000)
    assert ((estimates.mean(0) - exact).abs() < 4.5 * error + 1e-3).all()
    assert (exact.abs() > 20 * error).any()  # so half of it would be seen


def test_the_score_function_has_the_larger_variance(model, binary):
    """By far without a baseline, and still with one."""
    torch.manual_seed(0)
    reparameterised, score, baseline = (
        losses.gradients_of_mu(model, binary, 4000, name).var(0).mean().item()
        for name in ("reparameterised", "score", "score_with_baseline")
    )
    assert score > 2 * baseline > 2 * reparameterised


def test_estimators_leave_no_gradients_behind(model, binary):
    with torch.no_grad():
        estimates = losses.gradients_of_mu(model, binary, 3, "reparameterised")
    assert not estimates.requires_grad and all(p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    ("estimator", "n"), [("magic", 5), ("score_with_baseline", 1), ("score", 0)]
)
def test_bad_estimators_are_refused(estimator, n, model, binary):
    with pytest.raises(CourseError, match=r"choose one of|needs at least"):
        losses.gradients_of_mu(model, binary, n, estimator)
