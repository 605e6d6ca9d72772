"""The bound with a prior p(z|y) of any kind: against torch.distributions and the closed form."""

import pytest
import torch
from torch.distributions import (
    Bernoulli,
    Categorical,
    Independent,
    MixtureSameFamily,
    Normal,
    kl_divergence,
)

from course_utils import losses
from course_utils.models import ConditionalVAE, MixtureVAE


@pytest.fixture
def xy():
    """Return 12 grey images of 4 x 4 and labels of four classes."""
    x = torch.rand(12, 1, 4, 4, generator=torch.Generator().manual_seed(1))
    return x, torch.arange(12) % 4


def small(n_parts):
    """Return a small model whose prior and networks differ from class to class."""
    torch.manual_seed(0)
    model = MixtureVAE(n_parts, (12,), 3, n_classes=4, image_shape=(1, 4, 4))
    with torch.no_grad():
        for p in model.prior.parameters():
            p.normal_()
    return model


def test_written_out_with_torch_distributions(xy):
    model, (x, y) = small(3), xy
    torch.manual_seed(5)
    terms = losses.prior_negative_elbo(model, x, y)
    torch.manual_seed(5)
    mu, logvar = model.encode(x, y)
    q = Normal(mu, (logvar / 2).exp())
    z = q.mean + q.stddev * torch.randn_like(mu)
    prior = MixtureSameFamily(
        Categorical(logits=model.prior.logits[y]),
        Independent(Normal(model.prior.mean[y], (model.prior.logvar[y] / 2).exp()), 1),
    )
    kl = (q.log_prob(z).sum(1) - prior.log_prob(z)).mean()
    pixels = Bernoulli(logits=model.decode(z, y), validate_args=False)
    nll = -pixels.log_prob(x).sum((1, 2, 3)).mean()
    assert terms["kl"].item() == pytest.approx(kl.item(), rel=1e-5)
    assert terms["nll"].item() == pytest.approx(nll.item(), rel=1e-5)
    assert terms["loss"].item() == pytest.approx((nll + kl).item(), rel=1e-5)
    sse = (pixels.probs - x).square().sum((1, 2, 3)).mean()
    assert terms["sse"].item() == pytest.approx(sse.item(), rel=1e-5)
    assert [k for k, v in terms.items() if v.requires_grad] == ["loss"]


def test_one_normal_for_each_class_has_the_closed_form_for_its_mean(xy):
    model, (x, y) = small(1), xy
    mu, logvar = model.encode(x, y)
    prior = model.prior
    parts = Normal(prior.mean[y, 0], (prior.logvar[y, 0] / 2).exp())
    exact = kl_divergence(Normal(mu, (logvar / 2).exp()), parts).sum(1).mean().item()
    torch.manual_seed(0)
    with torch.no_grad():
        draws = torch.stack([losses.prior_negative_elbo(model, x, y)["kl"] for _ in range(2_000)])
    assert abs(draws.mean().item() - exact) < 4 * draws.std().item() / 2_000**0.5


def test_gradients_for_the_standard_prior_are_those_of_the_formula_in_the_mean(xy):
    """The drawn code replaces a formula: same distortion, and the same mean of the KL's slope."""
    x, y = xy
    ours = small(0)
    theirs = ConditionalVAE((12,), 3, n_classes=4, condition="both", image_shape=(1, 4, 4))
    theirs.load_state_dict(ours.state_dict())
    torch.manual_seed(3)
    one = losses.prior_negative_elbo(ours, x, y)
    torch.manual_seed(3)
    other = losses.conditional_negative_elbo(theirs, x, y)
    assert one["nll"].item() == pytest.approx(other["nll"].item(), rel=1e-6)
    mu, logvar = (t.detach().requires_grad_() for t in ours.encode(x, y))
    exact = torch.autograd.grad(losses.kl_standard_normal(mu, logvar), (mu, logvar))
    torch.manual_seed(0)
    noise = torch.randn(20_000, *mu.shape)
    z = mu + (logvar / 2).exp() * noise
    ratio = Normal(mu, (logvar / 2).exp()).log_prob(z) - Normal(0.0, 1.0).log_prob(z)
    mean = ratio.sum(-1).mean()  # over draws and the batch
    for a, b in zip(torch.autograd.grad(mean, (mu, logvar)), exact, strict=True):
        torch.testing.assert_close(a, b, rtol=0.05, atol=0.01)


def test_it_says_which_pixels_it_wants():
    assert losses.wanted_by(losses.prior_negative_elbo) == "[0, 1]"
