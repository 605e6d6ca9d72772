"""The importance-weighted bound against models whose likelihood is known."""

import math

import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, MultivariateNormal, Normal

from course_utils import metrics
from course_utils.metrics import likelihood
from course_utils.runtime import CourseError

NOISE = 0.5  # standard deviation of a pixel around its mean, in the linear-Gaussian model


def gaussian_log_likelihood(mean, x):
    return Normal(mean, NOISE).log_prob(x).flatten(1).sum(1)


class LinearGaussian(nn.Module):
    """z ~ N(0, I), x ~ N(W z + b, NOISE^2 I): log p(x) and p(z|x) are Gaussians in closed form.

    Its encoder is a little wrong on purpose, so that the bound is not tight at once.
    """

    def __init__(self, spread=1.3, shift=0.2):
        super().__init__()
        g = torch.Generator().manual_seed(0)
        self.weight = nn.Parameter(torch.randn(6, 2, generator=g) / 2)
        self.bias = nn.Parameter(torch.rand(6, generator=g))
        self.spread, self.shift = spread, shift
        self.drop = nn.Dropout(0.5)

    def encode(self, x):
        assert not torch.is_grad_enabled()
        precision = torch.eye(2) + self.weight.T @ self.weight / NOISE**2
        covariance = torch.linalg.inv(precision)
        mu = (x.flatten(1) - self.bias) @ self.weight @ covariance / NOISE**2
        logvar = (covariance.diagonal() * self.spread**2).log().expand_as(mu)
        return mu + self.shift, logvar

    def decode(self, z):
        assert not self.drop.training
        return (z @ self.weight.T + self.bias).view(-1, 1, 2, 3)

    def true_log_likelihood(self, x):
        covariance = self.weight @ self.weight.T + NOISE**2 * torch.eye(6)
        return MultivariateNormal(self.bias, covariance).log_prob(x.flatten(1)).detach()


def images(n=20, seed=0):
    return torch.rand(n, 1, 2, 3, generator=torch.Generator().manual_seed(seed))


def weights(model, x, k, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return metrics.log_weights(model, x, k, generator, gaussian_log_likelihood)


def test_bound_rises_with_k_towards_the_true_likelihood():
    model, x = LinearGaussian(), images()
    w = weights(model, x, 5000)
    truth = float(model.true_log_likelihood(x).mean())
    bounds = [metrics.iwae_bound(w.view(-1, k)) for k in (1, 10, 100, 5000)]
    assert bounds == sorted(bounds)
    assert bounds[0] < truth - 0.1
    assert bounds[-1] == pytest.approx(truth, abs=0.01)


def test_mean_of_single_weights_is_the_elbo():
    model, x = LinearGaussian(), images()
    with torch.no_grad():
        mu, logvar = model.encode(x)
        residual = x.flatten(1) - mu @ model.weight.T - model.bias
        spread = ((model.weight**2) @ logvar.exp().T).sum(0)
        log_px = -0.5 * (residual.square().sum(1) + spread) / NOISE**2
        log_px = log_px - 3 * math.log(2 * math.pi * NOISE**2)
        kl = torch.distributions.kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0))
        elbo = float((log_px - kl.sum(1)).mean())
    assert float(weights(model, x, 4000).mean()) == pytest.approx(elbo, abs=0.01)


def test_exact_posterior_makes_every_weight_the_likelihood():
    """Posterior of one code: Gaussian and diagonal, so log w = log p(x) for any z."""
    model = LinearGaussian(spread=1.0, shift=0.0)
    with torch.no_grad():
        model.weight[:, 1] = 0
    x = images()
    w = weights(model, x, 7).float()
    assert torch.allclose(w, model.true_log_likelihood(x)[:, None].expand(-1, 7), atol=1e-4)


def test_streaming_agrees_with_the_stored_weights(monkeypatch):
    monkeypatch.setattr(likelihood, "ROWS", 60)  # 20 images: 3 samples at a time
    model, x = LinearGaussian(), images()
    w = weights(model, x, 50)
    generator = torch.Generator().manual_seed(0)
    streamed = metrics.log_likelihood(model, x, 50, generator, gaussian_log_likelihood)
    assert w.shape == (20, 50)
    assert torch.allclose(streamed, w.logsumexp(1) - math.log(50), atol=1e-10)
    assert float(streamed.mean()) == pytest.approx(metrics.iwae_bound(w))
    assert not torch.equal(w[:, :3], w[:, 3:6])  # chunks draw new noise


def test_streaming_holds_few_codes_at_once():
    model, shown = LinearGaussian(), []
    plain = model.decode
    model.decode = lambda z: (shown.append(len(z)), plain(z))[1]
    metrics.log_likelihood(model, images(250), 300, likelihood=gaussian_log_likelihood)
    assert max(shown) <= likelihood.ROWS
    assert sum(shown) == 250 * 300


def test_model_is_in_eval_mode_and_gets_its_mode_back():
    model = LinearGaussian().train()
    weights(model, images(), 3)
    assert model.training and model.drop.training


def test_same_generator_same_weights_and_the_global_one_is_untouched():
    model = LinearGaussian()
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    first, second, other = (weights(model, images(), 4, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.rand(2), expected)
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


class TinyBernoulli(nn.Module):
    """One code, four black-or-white pixels: log p(x) by numerical integration."""

    def __init__(self):
        super().__init__()
        self.slope = nn.Parameter(torch.tensor([2.0, -1.0, 0.5, 3.0]))

    def encode(self, x):
        mu = (x.flatten(1) - 0.5) @ self.slope[:, None] / 4
        return mu, torch.full_like(mu, math.log(0.8))

    def decode(self, z):
        return (z * self.slope + 0.3).view(-1, 1, 2, 2)

    def true_log_likelihood(self, x):
        z = torch.linspace(-9, 9, 4001, dtype=torch.float64)
        logits = z[:, None] * self.slope.detach().double() + 0.3
        log_px = (
            Bernoulli(logits=logits).log_prob(x.flatten(1).double()[:, None]).sum(2)
        )  # (B, 4001)
        joint = log_px + Normal(0.0, 1.0).log_prob(z)
        return joint.logsumexp(1) + math.log(float(z[1] - z[0]))


def all_binary_images():
    bits = torch.tensor([[i >> j & 1 for j in range(4)] for i in range(16)])
    return bits.float().view(16, 1, 2, 2)


def test_bernoulli_likelihood_matches_numerical_integration():
    model, x = TinyBernoulli(), all_binary_images()
    truth = model.true_log_likelihood(x)
    assert float(truth.exp().sum()) == pytest.approx(1, abs=1e-6)
    found = metrics.log_likelihood(model, x, 5000)
    assert torch.allclose(found, truth, atol=0.05)
    assert float(found.exp().sum()) == pytest.approx(1, abs=0.01)


def test_bernoulli_log_likelihood_matches_torch_distributions():
    logits = 5 * torch.randn(7, 1, 2, 2, generator=torch.Generator().manual_seed(0))
    x = all_binary_images()[:7]
    expected = Bernoulli(logits=logits).log_prob(x).sum((1, 2, 3))
    assert torch.allclose(metrics.bernoulli_log_likelihood(logits, x), expected, atol=1e-5)


def test_iwae_bound_of_known_weights():
    """log of the mean weight: (1 + 3) / 2 and (2 + 2) / 2, both log 2."""
    w = torch.tensor([[1.0, 3.0], [2.0, 2.0]]).log()
    assert metrics.iwae_bound(w) == pytest.approx(math.log(2))
    assert metrics.iwae_bound(w - 1000) == pytest.approx(math.log(2) - 1000)  # no underflow
    assert metrics.iwae_bound(torch.full((3, 1), -90.0)) == -90


def test_bad_input():
    model = TinyBernoulli()
    with pytest.raises(CourseError, match=r"4 grey pixels of 4; .* binarise x first"):
        metrics.log_weights(model, torch.full((1, 1, 2, 2), 0.5), 3)
    with pytest.raises(CourseError, match="n_samples is 0"):
        metrics.log_likelihood(model, all_binary_images(), 0)
    with pytest.raises(CourseError, match=r"images are \(N, C, H, W\)"):
        metrics.log_weights(model, torch.ones(3, 4), 3)
    with pytest.raises(CourseError, match="log_weights is empty"):
        metrics.iwae_bound(torch.empty(3, 0))
    with pytest.raises(CourseError, match="NaN"):
        metrics.iwae_bound(torch.tensor([[float("nan")]]))
    with pytest.raises(CourseError, match=r"must be \(B, K\)"):
        metrics.iwae_bound(torch.zeros(5))
