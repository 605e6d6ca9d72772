"""Losses against torch.distributions, closed forms and NumPy: never against themselves."""

import math

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli, Laplace, Normal

from course_utils import losses
from course_utils.models import Autoencoder

ALL = [
    losses.reconstruction,
    losses.reconstruction_pm1,
    losses.cross_entropy_reconstruction,
    losses.sparse_reconstruction,
]


@pytest.fixture
def model():
    """Return an untrained autoencoder with a wide enough code for numbers to differ."""
    torch.manual_seed(0)
    return Autoencoder(widths=(32,), code_dim=8)


@pytest.fixture
def tanh_model():
    """Return an untrained autoencoder whose pixels come from tanh."""
    torch.manual_seed(0)
    return Autoencoder(widths=(32,), code_dim=8, output="tanh")


@pytest.fixture
def x(few):
    """Return 60 images in [0, 1]."""
    return few.x[:60] / 255


def numpy_sse(a, b) -> float:
    """Return the squared error per image, summed over its pixels, in float64."""
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    return float((difference**2).reshape(len(difference), -1).sum(axis=1).mean())


# ---------------------------------------------------------------------------------- squared error


def test_squared_error_by_hand():
    """Two images of two pixels: (0.5^2 + 1^2 + 0 + 0.5^2) / 2."""
    recon = torch.tensor([[0.5, 1.0], [1.0, 0.0]])
    truth = torch.tensor([[0.0, 0.0], [1.0, 0.5]])
    assert losses.squared_error(recon, truth).item() == 0.75


def test_squared_error_is_numpys():
    torch.manual_seed(0)
    recon, truth = torch.rand(2, 7, 3, 5, 4)
    assert losses.squared_error(recon, truth).item() == pytest.approx(numpy_sse(recon, truth))


def test_squared_error_is_a_gaussian_likelihood():
    """With variance 1/2 the negative log-likelihood is the squared error plus a constant."""
    torch.manual_seed(0)
    recon, truth = torch.rand(2, 7, 1, 5, 5)
    nll = -Normal(recon, math.sqrt(0.5)).log_prob(truth).sum() / 7
    constant = 25 * 0.5 * math.log(math.pi)
    assert losses.squared_error(recon, truth).item() == pytest.approx(nll.item() - constant, 1e-5)


def test_reconstruction_is_numpys(model, x):
    terms = losses.reconstruction(model, x, None)
    with torch.no_grad():
        recon = 1 / (1 + np.exp(-model(x)[0].double().numpy()))
    assert terms["loss"].item() == pytest.approx(numpy_sse(recon, x), rel=1e-5)
    assert terms["sse"].item() == terms["loss"].item()


def test_squared_error_on_minus_one_to_one_is_four_times_that_on_zero_to_one(tanh_model, x):
    pm1 = losses.reconstruction_pm1(tanh_model, x, None)
    plain = losses.reconstruction(tanh_model, x, None)
    assert pm1["loss"].item() == pytest.approx(4 * plain["loss"].item(), rel=1e-5)
    assert pm1["sse"].item() == pytest.approx(plain["sse"].item(), rel=1e-5)


def test_minus_one_to_one_is_numpys(tanh_model, x):
    with torch.no_grad():
        recon = np.tanh(tanh_model(x)[0].double().numpy())
    loss = losses.reconstruction_pm1(tanh_model, x, None)["loss"].item()
    assert loss == pytest.approx(numpy_sse(recon, 2 * x.double() - 1), rel=1e-5)


# ---------------------------------------------------------------------------------- cross-entropy


def test_bernoulli_nll_is_that_of_torch_distributions():
    torch.manual_seed(0)
    logits, truth = 3 * torch.randn(9, 1, 6, 6), torch.rand(9, 1, 6, 6).round()
    expected = -Bernoulli(logits=logits).log_prob(truth).sum(dim=(1, 2, 3)).mean()
    assert losses.bernoulli_nll(logits, truth).item() == pytest.approx(expected.item(), rel=1e-5)


def test_bernoulli_nll_of_grey_pixels_by_the_formula():
    torch.manual_seed(0)
    logits, truth = torch.randn(9, 1, 6, 6).double(), torch.rand(9, 1, 6, 6).double()
    p = 1 / (1 + np.exp(-logits.numpy()))
    t = truth.numpy()
    expected = -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum() / 9
    assert losses.bernoulli_nll(logits, truth).item() == pytest.approx(expected, rel=1e-5)


def test_bernoulli_nll_stays_exact_where_probabilities_round():
    """A pixel missed with logit 200 costs 200 nats; with probabilities it would cost infinity."""
    logits = torch.tensor([[200.0, -200.0]])
    assert losses.bernoulli_nll(logits, torch.tensor([[0.0, 0.0]])).item() == pytest.approx(200)
    assert losses.bernoulli_nll(logits, torch.tensor([[1.0, 0.0]])).item() == pytest.approx(0)


def test_an_undecided_model_costs_log_two_per_pixel():
    nll = losses.bernoulli_nll(torch.zeros(5, 1, 28, 28), torch.rand(5, 1, 28, 28))
    assert nll.item() == pytest.approx(784 * math.log(2), rel=1e-6)


def test_cross_entropy_reconstruction(model, x):
    terms = losses.cross_entropy_reconstruction(model, x, None)
    with torch.no_grad():
        p = 1 / (1 + np.exp(-model(x)[0].double().numpy()))
    t = x.double().numpy()
    nll = -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum() / len(t)
    assert terms["loss"].item() == pytest.approx(nll, rel=1e-5)
    assert terms["sse"].item() == pytest.approx(numpy_sse(p, t), rel=1e-5)


# ------------------------------------------------------------------------------------ sparse codes


@pytest.mark.parametrize("weight", [0.0, 0.5, 3.0])
def test_sparse_reconstruction(model, x, weight):
    """The L1 term is the sum over a code, i.e. a Laplace likelihood less its constant."""
    terms = losses.sparse_reconstruction(model, x, None, weight=weight)
    z = model.encode(x)
    prior = -Laplace(torch.zeros_like(z), 1.0).log_prob(z).sum(dim=1).mean() - 8 * math.log(2)
    assert terms["l1"].item() == pytest.approx(prior.item(), rel=1e-4)
    plain = losses.reconstruction(model, x, None)["sse"].item()
    assert terms["sse"].item() == pytest.approx(plain, rel=1e-6)
    assert terms["loss"].item() == pytest.approx(plain + weight * prior.item(), rel=1e-4)


def test_the_penalty_reaches_the_encoder(model, x):
    """Minimising the penalty alone shrinks the code."""
    terms = losses.sparse_reconstruction(model, x, None, weight=1e6)
    terms["loss"].backward()
    with torch.no_grad():
        for p in model.parameters():
            p.sub_(1e-10 * p.grad)
    assert losses.sparse_reconstruction(model, x, None)["l1"] < terms["l1"]


# ------------------------------------------------------------------------------- all of them alike


@pytest.mark.parametrize("loss", ALL)
def test_losses_are_per_image_whatever_the_batch_size(loss, model, x):
    """The mean of the losses of single images is the loss of the batch, for every term."""
    whole = loss(model, x, None)
    one_by_one = [loss(model, image[None], None) for image in x]
    for name, value in whole.items():
        mean = np.mean([terms[name].item() for terms in one_by_one])
        assert value.item() == pytest.approx(mean, rel=1e-5), name


@pytest.mark.parametrize("loss", ALL)
def test_losses_return_scalars_and_only_the_loss_has_a_gradient(loss, model, x):
    terms = loss(model, x, torch.zeros(len(x), dtype=torch.int64))
    assert all(term.shape == () for term in terms.values())
    assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]
    terms["loss"].backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize("loss", ALL)
def test_the_gradient_is_that_of_the_numbers(loss, model, x):
    """Central differences along the gradient itself, where the slope is its length."""
    loss(model, x, None)["loss"].backward()
    gradients = [p.grad for p in model.parameters()]
    length = torch.cat([g.flatten() for g in gradients]).norm().item()

    @torch.no_grad()
    def after(step):
        for p, g in zip(model.parameters(), gradients, strict=True):
            p.add_(g, alpha=step / length)
        return loss(model, x, None)["loss"].item()

    h = 1e-2
    ahead, behind = after(h), after(-2 * h)
    assert (ahead - behind) / (2 * h) == pytest.approx(length, rel=0.01)


@pytest.mark.parametrize("loss", ALL)
def test_the_sum_over_pixels_is_taken_in_float32_under_bf16(loss, model, x):
    """bfloat16 has 8 bits: a sum of 784 pixels in it would be off by percents."""
    exact = loss(model, x, None)["loss"].item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = loss(model, x, None)
    assert all(term.dtype == torch.float32 for term in terms.values())
    assert terms["loss"].item() == pytest.approx(exact, rel=0.01)
