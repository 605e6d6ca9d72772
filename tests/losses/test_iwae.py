"""Importance-weighted bounds: against quadrature and Monte Carlo."""

import math

import pytest
import torch
from small_models import SHAPE, lively, small_conditional
from torch.distributions import Normal

from course_utils import losses, metrics
from course_utils.models import VAE

# ------------------------------------------------------------------------------------------- IWAE


def exact_log_likelihood(model, x) -> torch.Tensor:
    """Return log p(x) (B,) of a model with one number as code, by the trapezium rule, in nats."""
    z = torch.linspace(-9, 9, 4001)[:, None]
    with torch.no_grad():
        logits = model.decode(z).flatten(1).double()
    flat = x.flatten(1).double()
    log_px = flat @ logits.T - torch.nn.functional.softplus(logits).sum(1)  # (B, 4001)
    log_joint = log_px + Normal(0.0, 1.0).log_prob(z.flatten().double())
    return torch.logsumexp(log_joint, dim=1) + math.log(18 / 4000)


@pytest.fixture
def line():
    """Return a VAE whose code is one number, with a posterior that is off but not far off."""
    model = lively(VAE(widths=(8,), code_dim=1, image_shape=SHAPE))
    with torch.no_grad():
        model.encoder[-1].weight.mul_(0.3)
    return model


def test_the_bound_rises_with_k_towards_the_exact_likelihood(line, binary):
    exact = -exact_log_likelihood(line, binary).mean().item()
    many = binary.repeat(400, 1, 1, 1)
    with torch.no_grad():
        values = [losses.iwae_loss(line, many, k=k)["loss"].item() for k in (1, 4, 32, 512)]
    assert values[0] > values[1] + 0.1 > values[2] + 0.1 > exact
    assert values[2] > values[3] > exact - 0.01
    assert values[3] == pytest.approx(exact, abs=0.02)


def test_with_one_code_it_is_the_elbo_in_expectation(model, binary):
    """The log ratio of a drawn code estimates the KL term; `negative_elbo` has it exactly."""
    many = binary.repeat(4000, 1, 1, 1)
    with torch.no_grad():
        bound = losses.iwae_loss(model, many, k=1)
        elbo = losses.negative_elbo(model, many)
    assert bound["loss"].item() == pytest.approx(elbo["loss"].item(), rel=0.005)
    assert bound["loss"].item() == pytest.approx(bound["nelbo"].item(), rel=1e-6)


def test_iwae_is_the_bound_of_the_metrics(model, binary):
    """A second implementation, in metrics, on the same random numbers."""
    weights = metrics.log_weights(model, binary, 7, torch.Generator().manual_seed(5))
    torch.manual_seed(5)
    terms = losses.iwae_loss(model, binary, k=7)
    assert terms["loss"].item() == pytest.approx(-metrics.iwae_bound(weights), rel=1e-5)
    assert terms["nelbo"].item() == pytest.approx(-weights.mean().item(), rel=1e-5)
    assert terms["loss"] < terms["nelbo"]


def test_pixels_are_binarised_anew_where_it_is_asked_for(model, binary):
    grey = 0.3 + 0.4 * binary
    torch.manual_seed(5)
    drawn = torch.bernoulli(grey)
    expected = losses.iwae_loss(model, drawn, k=4)["loss"]
    torch.manual_seed(5)
    assert losses.iwae_loss(model, grey, k=4, binarise=True)["loss"] == expected


def test_iwae_neither_overflows_nor_underflows(model, binary):
    """Weights of e^-10000 are zero as floats; their logarithms are not."""
    with torch.no_grad():
        model.decoder[-2].weight.mul_(1e3)
    terms = losses.iwae_loss(model, binary, k=3)
    terms["loss"].backward()
    assert terms["loss"] > 1000
    assert all(p.grad.isfinite().all() for p in model.parameters())


def test_a_conditional_bound_is_that_of_the_metrics(binary):
    """Each code of an image is decoded with the label of that image."""
    model, y = lively(small_conditional()), torch.arange(12) % 4
    weights = metrics.log_weights(model, binary, 7, torch.Generator().manual_seed(5), y=y)
    torch.manual_seed(5)
    terms = losses.iwae_loss(model, binary, y, k=7)
    assert terms["loss"].item() == pytest.approx(-metrics.iwae_bound(weights), rel=1e-5)
