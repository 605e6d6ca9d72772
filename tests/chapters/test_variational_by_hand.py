"""What chapter 04 writes out by hand computes what the package computes."""

import math

import by_hand
import pytest
import torch
from scipy.integrate import quad
from scipy.stats import norm

from course_utils import losses
from course_utils.models import VAE

pytestmark = pytest.mark.notebook
NOTEBOOK = "04_variational_autoencoder"


@pytest.fixture(scope="module")
def written():
    """Return what the chapter writes out, by name."""
    return by_hand.written(
        NOTEBOOK, "Net", "negative_elbo", "train_step", "grid", "step", "PRIOR", "true_posterior",
        "bound_and_gap",
    )  # fmt: skip


@pytest.fixture
def x():
    """Return nine images of noise."""
    return torch.rand(9, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def pair(written):
    """Return the notebook's network and the package's, with the same weights."""
    torch.manual_seed(0)
    ours, theirs = written["Net"](), VAE()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def test_the_network_is_the_packages(pair, x):
    found = []
    for model in pair:
        torch.manual_seed(1)
        found.append(model(x))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
    assert found[0][0].shape == x.shape and found[0][1].shape == (9, 20)


def test_the_loss_and_its_gradients_are_the_packages(written, pair, x):
    ours, theirs = pair
    torch.manual_seed(2)
    nll, kl = written["negative_elbo"](ours, x)
    torch.manual_seed(2)
    terms = losses.negative_elbo(theirs, x)
    torch.testing.assert_close(nll, terms["nll"])
    torch.testing.assert_close(kl, terms["kl"])
    (nll + kl).backward()
    terms["loss"].backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p.grad, q.grad)


@pytest.mark.parametrize("beta", [1.0, 4.0])
def test_a_step_is_a_step_of_the_package(written, pair, x, beta):
    ours, theirs = pair
    torch.manual_seed(3)
    written["train_step"](ours, x, torch.optim.Adam(ours.parameters(), lr=1e-3), beta)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=1e-3)
    torch.manual_seed(3)
    losses.negative_elbo(theirs, x, beta=beta)["loss"].backward()
    optimizer.step()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(p, q)


@pytest.mark.parametrize(("name", "most"), [("Net", 25), ("negative_elbo", 10), ("train_step", 12)])
def test_the_model_and_the_loss_are_as_short_as_they_should_be(name, most):
    assert by_hand.length(by_hand.definitions(NOTEBOOK)[name]) <= most


def test_the_integrals_are_those_of_an_adaptive_rule(written):
    """log p(x), the bound and the divergence of the model with one latent variable, by scipy."""
    x, mean, sd = 1.5, 0.9, 0.3
    p, _ = quad(lambda z: norm.pdf(z) * norm.pdf(x, z * z, 0.3), -8, 8, points=[-1.2, 1.2])
    log_px, _ = written["true_posterior"](x)
    assert float(log_px) == pytest.approx(math.log(p), abs=1e-6)

    def weighed(z):
        return norm.logpdf(z) + norm.logpdf(x, z * z, 0.3) - norm.logpdf(z, mean, sd)

    expected, _ = quad(lambda z: norm.pdf(z, mean, sd) * weighed(z), mean - 8 * sd, mean + 8 * sd)
    found = [torch.tensor([v], dtype=torch.float64) for v in (mean, sd)]
    elbo, gap = written["bound_and_gap"](x, *found)
    assert float(elbo) == pytest.approx(expected, abs=1e-6)
    assert float(gap) == pytest.approx(math.log(p) - expected, abs=1e-6)
