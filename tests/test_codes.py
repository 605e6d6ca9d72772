"""Codes: decoded, walked between, laid out, and imitated by a normal distribution."""

import numpy as np
import pytest
import scipy.stats
import torch
from small_models import SHAPE, small_conditional, small_vae
from torch.distributions import MultivariateNormal, kl_divergence

from course_utils import codes
from course_utils.models import Autoencoder, ConditionalAutoencoder, ConditionalVAE
from course_utils.runtime import CourseError


@pytest.fixture
def x():
    return torch.rand(5, *SHAPE, generator=torch.Generator().manual_seed(1))


def test_decoded_is_the_sigmoid_of_the_logits():
    model, z = small_vae(), torch.randn(4, 3)
    images = codes.decoded(model, z)
    np.testing.assert_allclose(
        images.numpy(), 1 / (1 + np.exp(-model.decode(z).detach().numpy())), rtol=1e-5
    )
    assert not images.requires_grad


def test_mean_code_draws_nothing(x):
    model = small_vae()
    assert torch.equal(codes.mean_code(model, x), model.encode(x)[0])
    plain = Autoencoder(widths=(8,), code_dim=3, image_shape=SHAPE)
    assert torch.equal(codes.mean_code(plain, x), plain.encode(x))


def test_between_ends_at_the_reconstructions_and_bisects_the_codes(x):
    model = small_vae()
    way = codes.between(model, x[0], x[1], 5)
    torch.testing.assert_close(way[[0, -1]], model.reconstruct(x[:2]).detach())
    middle = codes.mean_code(model, x[:2]).mean(0, keepdim=True)
    torch.testing.assert_close(way[2:3], codes.decoded(model, middle))
    with pytest.raises(CourseError, match="2 or more"):
        codes.between(model, x[0], x[1], 1)


def test_plane_lies_like_a_map_in_equal_steps_of_probability():
    z = codes.plane(4, share=0.9).view(4, 4, 2)
    assert (z[:, 1:, 0] > z[:, :-1, 0]).all() and (z[:-1, :, 1] > z[1:, :, 1]).all()
    probability = scipy.stats.norm.cdf(z[0, :, 0].numpy())
    np.testing.assert_allclose(probability, np.linspace(0.05, 0.95, 4), atol=1e-6)
    assert torch.equal(z[:, 0, 0], z[0, 0, 0].expand(4))  # a column has one first number
    for wrong in ((0, 0.9), (3, 1.0), (3, 0.0)):
        with pytest.raises(CourseError, match="must be"):
            codes.plane(*wrong)


def test_normal_like_has_numpys_moments():
    rows = torch.randn(200, 3, dtype=torch.float64) @ torch.tensor(
        [[1.0, 0.5, 0.0], [0.0, 2.0, 0.0], [0.3, 0.0, 0.1]], dtype=torch.float64
    )
    found = codes.normal_like(rows)
    np.testing.assert_allclose(found.mean.numpy(), rows.numpy().mean(0))
    np.testing.assert_allclose(
        found.covariance_matrix.numpy(), np.cov(rows.numpy().T) + 1e-4 * np.eye(3)
    )
    assert codes.normal_like(torch.zeros(10, 2)).sample((3,)).shape == (3, 2)  # constant rows
    with pytest.raises(CourseError, match="more than 2 rows"):
        codes.normal_like(torch.zeros(2, 2))


def test_a_mixture_finds_the_parts_that_rows_were_drawn_from():
    torch.manual_seed(0)
    middles = torch.tensor([[-4.0, 0.0], [3.0, 2.0], [0.0, -5.0]])
    part = torch.multinomial(torch.tensor([0.5, 0.3, 0.2]), 6000, replacement=True)
    rows = middles[part] + torch.randn(6000, 2) * torch.tensor([1.0, 0.5])
    found = codes.mixture_like(rows, 3)
    order = found.component_distribution.mean[:, 0].argsort()
    torch.testing.assert_close(
        found.component_distribution.mean[order], middles[[0, 2, 1]], atol=0.1, rtol=0
    )
    torch.testing.assert_close(
        found.mixture_distribution.probs[order], torch.tensor([0.5, 0.2, 0.3]), atol=0.03, rtol=0
    )
    torch.testing.assert_close(
        found.component_distribution.covariance_matrix,
        torch.diag(torch.tensor([1.0, 0.25])).expand(3, 2, 2), atol=0.1, rtol=0
    )  # fmt: skip
    drawn = found.sample((20_000,))
    torch.testing.assert_close(drawn.mean(0), rows.mean(0), atol=0.15, rtol=0)
    torch.testing.assert_close(drawn.T.cov(), rows.T.cov(), atol=0.6, rtol=0)


def test_a_mixture_of_one_is_the_normal_distribution():
    torch.manual_seed(0)
    rows = torch.randn(500, 3) @ torch.randn(3, 3)
    one, normal = codes.mixture_like(rows, 1), codes.normal_like(rows)
    torch.testing.assert_close(one.log_prob(rows), normal.log_prob(rows), atol=0.02, rtol=0)
    assert one.log_prob(rows).dtype == torch.float32


@pytest.mark.parametrize(
    ("n", "k", "says"),
    [(20, 0, "a whole number, 1 or more"), (20, 2.0, "a whole number"), (8, 3, "need at least 9")],
)
def test_a_mixture_refuses_too_many_parts(n, k, says):
    with pytest.raises(CourseError, match=says):
        codes.mixture_like(torch.randn(n, 2), k)


# --------------------------------------------------------------------------- a prior of each class


def two_classes(n=3000):
    """Return codes (2 n, 2) and classes: one class has two clouds, the other a slanting one."""
    torch.manual_seed(0)
    first = torch.randn(n, 2) * 0.5 + torch.tensor([[-3.0, 0.0], [3.0, 0.0]])[torch.arange(n) % 2]
    second = torch.randn(n, 2) @ torch.tensor([[1.0, 0.9], [0.0, 0.3]]) + 5
    mixed = torch.randperm(2 * n)
    return torch.cat([first, second])[mixed], (torch.arange(2 * n) >= n).long()[mixed]


def test_density_of_a_fitted_prior_is_that_of_scikit_learn():
    from sklearn.mixture import GaussianMixture

    z, y = two_classes()
    found = codes.FittedPrior(z, y, 2).log_prob(z, y)
    for c in (0, 1):
        rows = z[y == c].double().numpy()
        theirs = GaussianMixture(2, reg_covar=1e-4, random_state=0).fit(rows).score_samples(rows)
        torch.testing.assert_close(found[y == c].double(), torch.as_tensor(theirs),
                                   atol=1e-3, rtol=1e-4)  # fmt: skip


def test_samples_of_a_fitted_prior_have_the_moments_of_their_class():
    z, y = two_classes()
    prior = codes.FittedPrior(z, y, 2)
    torch.manual_seed(1)
    asked = torch.tensor([1, 0]).repeat(20_000)
    drawn = prior.sample(asked)
    for c in (0, 1):
        ours, given = drawn[asked == c], z[y == c]
        torch.testing.assert_close(ours.mean(0), given.mean(0), atol=0.15, rtol=0)
        torch.testing.assert_close(ours.T.cov(), given.T.cov(), atol=0.3, rtol=0.05)
    middle = (drawn[asked == 0][:, 0].abs() < 1.5).double().mean()
    assert middle < 0.01  # two clouds, and nothing between them


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (torch.zeros(40), "whole numbers"),
        (torch.zeros(39).long(), r"classes are torch.int64 \(39,\)"),
        ([0] * 40, "classes are list"),
        (torch.arange(40) % 2 - 1, "run from -1 to 0"),
        (torch.arange(40) % 2 * 2, "run from 0 to 2; there are codes of 2"),
    ],
)
def test_a_fitted_prior_refuses_what_are_no_classes(y, says):
    with pytest.raises(CourseError, match=says):
        codes.FittedPrior(torch.randn(40, 2), y, 1)


def test_a_fitted_prior_knows_its_classes_only():
    prior = codes.FittedPrior(torch.randn(40, 2), torch.arange(40) % 2, 1)
    with pytest.raises(CourseError, match="run from 0 to 2"):
        prior.sample(torch.tensor([0, 2]))
    with pytest.raises(CourseError, match="run from 2 to 2"):
        prior.log_prob(torch.zeros(1, 2), torch.tensor([2]))
    with pytest.raises(CourseError, match="whole numbers"):
        prior.sample(torch.tensor([]).long())


def test_labels_that_do_not_fit_the_model_are_refused(x):
    conditional = ConditionalVAE(code_dim=3, image_shape=SHAPE)
    z, y = torch.zeros(2, 3), torch.tensor([0, 1])
    with pytest.raises(CourseError, match="ConditionalVAE has to be told labels: give y"):
        codes.decoded(conditional, z)
    with pytest.raises(CourseError, match="ConditionalVAE has to be told labels"):
        codes.mean_code(conditional, x[:2])
    with pytest.raises(CourseError, match="a VAE cannot be told labels: leave y out"):
        codes.decoded(small_vae(), z, y)
    with pytest.raises(CourseError, match="a VAE has no classes"):
        codes.as_every_class(small_vae(), z)
    assert codes.decoded(conditional, z, y).shape == (2, *SHAPE)


# ------------------------------------------------------------------------------- conditional codes


@pytest.mark.parametrize("kind", [ConditionalAutoencoder, ConditionalVAE])
def test_codes_of_a_conditional_model(kind):
    x = torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(1))
    model, y = small_conditional(kind), torch.tensor([0, 1, 2, 3, 0, 1])
    z = codes.mean_code(model, x, y)
    assert z.shape == (6, 3) and not z.requires_grad
    torch.testing.assert_close(codes.decoded(model, z, y), model.reconstruct(x, y).detach())


def test_as_every_class_is_decoded_one_by_one():
    model, z = small_conditional(), torch.randn(3, 3)
    images = codes.as_every_class(model, z)
    assert images.shape == (3, 4, *SHAPE)
    for i in range(3):
        for label in range(4):
            alone = codes.decoded(model, z[i : i + 1], torch.tensor([label]))
            torch.testing.assert_close(images[i, label], alone[0])


def test_nats_from_prior_is_torchs_divergence():
    z = torch.randn(500, 3, generator=torch.Generator().manual_seed(0)).double() * 0.7 + 0.4
    fitted = MultivariateNormal(z.mean(0), z.T.cov())
    prior = MultivariateNormal(torch.zeros(3).double(), torch.eye(3).double())
    assert codes.nats_from_prior(z) == pytest.approx(kl_divergence(fitted, prior).item())


def test_nats_from_prior_wants_enough_codes():
    with pytest.raises(CourseError, match="3 codes of 3 numbers"):
        codes.nats_from_prior(torch.randn(3, 3))
