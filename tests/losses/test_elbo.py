"""The evidence lower bound: against torch.distributions, closed forms and Monte Carlo."""

import math

import numpy as np
import pytest
import torch
from small_models import SHAPE, lively
from torch.distributions import Bernoulli, Normal, kl_divergence

from course_utils import losses, train
from course_utils.data.loader import Batches
from course_utils.models import VAE, ConditionalAutoencoder, ConditionalVAE
from course_utils.runtime import CourseError


@pytest.fixture
def gaussians():
    """Return means and log-variances (7, 5) of every size."""
    torch.manual_seed(2)
    return 2 * torch.randn(7, 5), 2 * torch.randn(7, 5)


def drawn(model, x, seed):
    """Return mu, logvar and the codes that `model(x)` draws after `manual_seed(seed)`."""
    with torch.no_grad():
        mu, logvar = model.encode(x)
    torch.manual_seed(seed)
    return mu, logvar, mu + torch.exp(logvar / 2) * torch.randn(mu.shape)


def seeded(loss, model, x, seed=5, y=None, **options):
    """Return the loss terms with the random numbers that follow `manual_seed(seed)`."""
    torch.manual_seed(seed)
    return loss(model, x, y, **options)


# ------------------------------------------------------------------------------------- divergence


def test_kl_is_that_of_torch_distributions(gaussians):
    mu, logvar = gaussians
    expected = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum(1).mean()
    assert losses.kl_standard_normal(mu, logvar).item() == pytest.approx(expected.item(), rel=1e-5)


def test_kl_is_the_mean_log_ratio_of_draws():
    """Monte Carlo: the mean over z ~ q of log q(z) - log p(z), summed over the code."""
    mu, logvar = torch.tensor([[0.5, -1.0, 0.0]]), torch.tensor([[-1.0, 0.5, 0.0]])
    q = Normal(mu, (logvar / 2).exp())
    torch.manual_seed(0)
    z = q.sample((200_000,))
    ratios = (q.log_prob(z) - Normal(0.0, 1.0).log_prob(z)).sum(dim=(1, 2))
    error = ratios.std().item() / math.sqrt(len(ratios))
    value = losses.kl_standard_normal(mu, logvar).item()
    assert abs(value - ratios.mean().item()) < 4 * error < 0.02


def test_kl_by_hand():
    """One image, two units: (1 + 1 - 1 - 0)/2 for mu = 1, and (4 - 1 - log 4)/2 for sigma = 2."""
    mu, logvar = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, math.log(4)]])
    expected = [0.5, (3 - math.log(4)) / 2]
    torch.testing.assert_close(losses.kl_per_unit(mu, logvar), torch.tensor(expected))
    assert losses.kl_standard_normal(mu, logvar).item() == pytest.approx(sum(expected))


def test_a_collapsed_unit_costs_nothing_and_is_seen(gaussians):
    mu, logvar = (t.clone() for t in gaussians)
    mu[:, 2], logvar[:, 2] = 0, 0
    units = losses.kl_per_unit(mu, logvar)
    assert units.shape == (5,) and units[2] == 0 and (units > 0).sum() == 4


def test_kl_in_bf16_is_computed_in_float32(gaussians):
    mu, logvar = (t.bfloat16() for t in gaussians)
    expected = losses.kl_standard_normal(mu.float(), logvar.float())
    assert losses.kl_standard_normal(mu, logvar).equal(expected)


# ------------------------------------------------------------------------------------- likelihood


def test_gaussian_nll_is_that_of_torch_distributions():
    torch.manual_seed(0)
    recon, truth = torch.rand(2, 6, 1, 5, 5)
    for variance in (0.02, 1.0, 3.0):
        expected = -Normal(recon, math.sqrt(variance)).log_prob(truth).sum() / 6
        value = losses.gaussian_nll(recon, truth, math.log(variance)).item()
        assert value == pytest.approx(expected.item(), rel=1e-4)


def test_the_best_variance_is_the_mean_squared_error():
    """There the learned variance has no gradient: it is the maximum-likelihood estimate."""
    torch.manual_seed(0)
    recon, truth = torch.rand(2, 6, 1, 5, 5)
    best = (recon - truth).square().mean().log().requires_grad_()
    losses.gaussian_nll(recon, truth, best).backward()
    assert best.grad.item() == pytest.approx(0, abs=1e-4)


# ------------------------------------------------------------------------------------------- ELBO


def test_negative_elbo_written_out(model, binary):
    mu, logvar, z = drawn(model, binary, seed=5)
    terms = seeded(losses.negative_elbo, model, binary)
    with torch.no_grad():
        logits = model.decode(z)
    nll = -Bernoulli(logits=logits).log_prob(binary).sum() / 12
    kl = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum() / 12
    sse = ((1 / (1 + np.exp(-logits.numpy())) - binary.numpy()) ** 2).sum() / 12
    assert terms["nll"].item() == pytest.approx(nll.item(), rel=1e-5)
    assert terms["kl"].item() == pytest.approx(kl.item(), rel=1e-5)
    assert terms["loss"].item() == pytest.approx((nll + kl).item(), rel=1e-5)
    assert terms["sse"].item() == pytest.approx(float(sse), rel=1e-5)
    assert set(terms) == {"loss", "nll", "kl", "sse"}


@pytest.mark.parametrize("beta", [0.0, 0.3, 4.0])
def test_beta_weighs_the_divergence_alone(model, x, beta):
    plain = seeded(losses.negative_elbo, model, x)
    terms = seeded(losses.negative_elbo, model, x, beta=beta)
    assert all(terms[name] == plain[name] for name in ("nll", "kl", "sse"))
    expected = plain["nll"] + beta * plain["kl"]
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-6)


def test_variance_one_half_is_squared_error_plus_divergence(model, x):
    terms = seeded(losses.negative_elbo, model, x, likelihood="gaussian", variance=0.5)
    expected = terms["sse"] + terms["kl"] + 16 * 0.5 * math.log(math.pi)
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_learned_variance_is_used_and_learned(x):
    model = lively(VAE(widths=(8,), code_dim=3, image_shape=SHAPE, learn_variance=True))
    with torch.no_grad():
        model.log_variance.fill_(math.log(0.04))
    terms = seeded(losses.negative_elbo, model, x, likelihood="gaussian")
    fixed = seeded(losses.negative_elbo, model, x, likelihood="gaussian", variance=0.04)
    assert terms["loss"].item() == pytest.approx(fixed["loss"].item(), rel=1e-5)
    terms["loss"].backward()
    slope = 0.5 * (16 - terms["sse"].item() / 0.04)  # of the closed form, by hand
    assert model.log_variance.grad.item() == pytest.approx(slope, rel=1e-4)


def test_training_draws_a_new_code_at_each_call(model, x):
    model.train()
    values = {losses.negative_elbo(model, x)["nll"].item() for _ in range(5)}
    assert len(values) == 5


def test_evaluation_draws_codes_too_and_the_same_at_each_call(model, x):
    """An ELBO at mean codes would be too good; one that changes could not be compared."""
    batches = Batches((x * 255).byte(), torch.zeros(12, dtype=torch.int64), 5)
    first, second = (train.evaluate(model, losses.negative_elbo, batches) for _ in range(2))
    assert first == second
    images = (x * 255).byte() / 255
    with torch.no_grad():
        at_mean = losses.bernoulli_nll(model.decode(model.encode(images)[0]), images).item()
    assert first["nll"] > at_mean * 1.01


# ------------------------------------------------------------------------------- binarised pixels


class Seen(VAE):
    """A VAE that remembers the images it was given."""

    def encode(self, x, y=None):
        self.seen = x
        return super().encode(x, y)


@pytest.mark.parametrize("loss", [losses.negative_elbo, losses.iwae_loss])
def test_dynamic_binarisation(loss, x):
    """Encoder and likelihood see the same black and white pixels, new at each call."""
    model, many = lively(Seen(widths=(8,), code_dim=3, image_shape=SHAPE)), x.repeat(500, 1, 1, 1)
    loss(model, many, binarise=True)
    first = model.seen
    assert set(first.unique().tolist()) == {0, 1}
    means = first.view(500, 12, *SHAPE).mean(0)
    assert (means - x).abs().max() < 0.1  # five standard errors
    terms = seeded(loss, model, many, binarise=True)
    assert not torch.equal(model.seen, first)
    torch.manual_seed(5)
    assert torch.equal(model.seen, torch.bernoulli(many))
    again = loss(model, model.seen)  # the generator goes on from there
    assert terms["loss"].item() == pytest.approx(again["loss"].item(), rel=1e-6)


@pytest.mark.parametrize("loss", [losses.negative_elbo, losses.iwae_loss])
def test_grey_pixels_stay_grey_unless_asked(loss, x):
    model = lively(Seen(widths=(8,), code_dim=3, image_shape=SHAPE))
    loss(model, x)
    assert torch.equal(model.seen, x)


# -------------------------------------------------------------------------------- all of them alike

CASES = [
    (losses.negative_elbo, {}),
    (losses.negative_elbo, {"beta": 4.0, "likelihood": "gaussian", "variance": 0.1}),
    (losses.iwae_loss, {"k": 3}),
]


@pytest.mark.parametrize(("loss", "options"), CASES)
def test_the_gradient_is_that_of_the_numbers(loss, options, model, x):
    """Central differences along a random direction, with the noise held fixed."""
    torch.manual_seed(1)
    directions = [torch.randn_like(p) for p in model.parameters()]
    seeded(loss, model, x, **options)["loss"].backward()
    pairs = list(zip(model.parameters(), directions, strict=True))
    slope = sum((p.grad * d).sum().item() for p, d in pairs)
    values = []
    with torch.no_grad():
        for step in (1e-3, -2e-3):
            for p, d in pairs:
                p.add_(d, alpha=step)
            values.append(seeded(loss, model, x, **options)["loss"].item())
    assert (values[0] - values[1]) / 2e-3 == pytest.approx(slope, rel=0.02)


@pytest.mark.parametrize(("loss", "options"), CASES)
def test_terms_are_scalars_and_only_the_loss_has_a_gradient(loss, options, model, x):
    terms = loss(model, x, torch.zeros(12, dtype=torch.int64), **options)
    assert all(term.shape == () for term in terms.values())
    assert [name for name, term in terms.items() if term.requires_grad] == ["loss"]
    terms["loss"].backward()
    assert all(p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(("loss", "options"), CASES)
def test_sums_are_taken_in_float32_under_bf16(loss, options, model, x):
    exact = seeded(loss, model, x, **options)["loss"].item()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        terms = seeded(loss, model, x, **options)
    assert all(term.dtype == torch.float32 for term in terms.values())
    assert terms["loss"].item() == pytest.approx(exact, rel=0.02)


@pytest.mark.parametrize(("loss", "options"), CASES)
def test_losses_are_means_over_the_batch(loss, options, model, x):
    """Twice the images, the same loss, up to the noise."""
    with torch.no_grad():
        small = loss(model, x.repeat(1000, 1, 1, 1), **options)["loss"].item()
        large = loss(model, x.repeat(2000, 1, 1, 1), **options)["loss"].item()
    assert small == pytest.approx(large, rel=0.01)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"likelihood": "poisson"}, "poisson.*choose one of: bernoulli, gaussian"),
        ({"likelihood": "gaussian"}, "no variance: learn_variance=True"),
        ({"likelihood": "gaussian", "variance": -1.0}, "-1.0; it must be above 0"),
        ({"likelihood": "gaussian", "variance": 0}, "must be above 0"),
        ({"variance": 0.5}, "no meaning for the Bernoulli"),
    ],
)
def test_bad_arguments_are_refused(options, message, model, x):
    with pytest.raises(CourseError, match=message):
        losses.negative_elbo(model, x, **options)


@pytest.mark.parametrize("k", [0, -1, 2.0])
def test_a_bad_k_is_refused(k, model, x):
    with pytest.raises(CourseError, match=r"k is .* whole number"):
        losses.iwae_loss(model, x, k=k)


# ------------------------------------------------------------------------------------- conditional


def test_conditional_negative_elbo_written_out(binary):
    model = lively(ConditionalVAE((8,), 3, n_classes=4, image_shape=SHAPE))
    y = torch.arange(12) % 4
    with torch.no_grad():
        mu, logvar = model.encode(binary, y)
    torch.manual_seed(5)
    z = mu + torch.exp(logvar / 2) * torch.randn(12, 3)
    nll = -Bernoulli(logits=model.decode(z, y)).log_prob(binary).sum() / 12
    kl = kl_divergence(Normal(mu, (logvar / 2).exp()), Normal(0.0, 1.0)).sum() / 12
    terms = seeded(losses.conditional_negative_elbo, model, binary, y=y, beta=2.5)
    assert terms["loss"].item() == pytest.approx((nll + 2.5 * kl).item(), rel=1e-5)
    assert terms["nll"].item() == pytest.approx(nll.item(), rel=1e-5)
    other = seeded(losses.conditional_negative_elbo, model, binary, y=(y + 1) % 4)
    assert other["nll"] != terms["nll"]


def test_conditional_reconstruction_written_out(x):
    model = lively(ConditionalAutoencoder((8,), 3, n_classes=4, image_shape=SHAPE))
    y = torch.arange(12) % 4
    terms = losses.conditional_reconstruction(model, x, y)
    with torch.no_grad():
        p = 1 / (1 + np.exp(-model(x, y)[0].double().numpy()))
    t = x.double().numpy()
    nll = -(t * np.log(p) + (1 - t) * np.log(1 - p)).sum() / 12
    assert terms["loss"].item() == pytest.approx(nll, rel=1e-5)
    assert terms["sse"].item() == pytest.approx(((p - t) ** 2).sum() / 12, rel=1e-5)
    assert not torch.equal(
        losses.conditional_reconstruction(model, x, 3 - y)["loss"], terms["loss"]
    )


def test_shapes_that_torch_would_stretch_are_refused():
    with pytest.raises(CourseError, match=r"\(4, 3\) and \(3,\); both must be"):
        losses.kl_standard_normal(torch.zeros(4, 3), torch.zeros(3))
    with pytest.raises(CourseError, match=r"\(4, 3\) and \(4, 1\); they must be equal"):
        losses.squared_error(torch.zeros(4, 3), torch.zeros(4, 1))
