"""Normal distributions of codes: against torch.distributions and the moments of draws."""

import pytest
import torch
from torch.distributions import Normal

from course_utils import gaussian
from course_utils.gaussian import sample_gaussian


def test_draws_have_the_mean_and_variance_asked_for():
    mu, logvar = torch.tensor([0.0, -2.0, 3.0]), torch.tensor([0.0, 2.0, -3.0])
    torch.manual_seed(0)
    z = sample_gaussian(mu.expand(200_000, 3), logvar.expand(200_000, 3))
    torch.testing.assert_close(z.mean(0), mu, atol=0.03, rtol=0)
    torch.testing.assert_close(z.var(0), logvar.exp(), rtol=0.02, atol=0)
    assert torch.corrcoef(z.T).fill_diagonal_(0).abs().max() < 0.01


def test_gradients_flow_through_the_draw():
    """dz/dmu = 1 and dz/dlogvar = (z - mu) / 2."""
    mu, logvar = torch.randn(2, 4, 3).double().requires_grad_().unbind(0)
    z = sample_gaussian(mu, logvar)
    to_mu, to_logvar = torch.autograd.grad(z.sum(), (mu, logvar))
    torch.testing.assert_close(to_mu, torch.ones_like(mu))
    torch.testing.assert_close(to_logvar, (z - mu) / 2)


def test_noise_that_is_given_is_used():
    mu, logvar, noise = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0))
    expected = mu + logvar.exp().sqrt() * noise
    torch.testing.assert_close(sample_gaussian(mu, logvar, noise), expected)
    torch.manual_seed(1)
    drawn = sample_gaussian(mu, logvar)
    torch.manual_seed(1)
    assert torch.equal(drawn, sample_gaussian(mu, logvar, torch.randn(5, 2)))


def test_the_density_is_that_of_torch_distributions():
    z, mu, logvar = torch.randn(3, 5, 2, generator=torch.Generator().manual_seed(0))
    q = Normal(mu, logvar.exp().sqrt())
    assert torch.allclose(gaussian.log_density(z, mu, logvar), q.log_prob(z).sum(1), atol=1e-5)


@pytest.mark.parametrize("own_generator", [True, False])
def test_codes_of_the_prior_are_standard_normal(own_generator):
    torch.manual_seed(0)
    generator = torch.Generator().manual_seed(3) if own_generator else None
    z = gaussian.draw_prior(20_000, 3, "cpu", generator)
    torch.testing.assert_close(z.mean(0), torch.zeros(3), atol=0.03, rtol=0)
    torch.testing.assert_close(z.std(0), torch.ones(3), atol=0.03, rtol=0)
