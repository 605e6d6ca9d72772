"""Labels asked for and drawn, bounds for every label, what one code shares in all classes."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from small_models import SHAPE
from torch.distributions import (
    Bernoulli,
    Independent,
    MultivariateNormal,
    Normal,
    kl_divergence,
)

from course_utils import codes, data, metrics, plotting
from course_utils.data import derived
from course_utils.data.derived import by_slant
from course_utils.models import ConditionalAutoencoder, ConditionalVAE
from course_utils.runtime import CourseError


def small(kind=ConditionalVAE, condition="both"):
    """Return a conditional model for images of SHAPE with four classes."""
    torch.manual_seed(0)
    return kind((12,), 3, n_classes=4, condition=condition, image_shape=SHAPE).eval()


@pytest.fixture
def x():
    return torch.rand(6, *SHAPE, generator=torch.Generator().manual_seed(1))


# -------------------------------------------------------------------------------- label accuracy


def brightest(x):
    """Read an image as the number of its brightest pixel in the first row."""
    return x[:, 0, 0]


def test_label_accuracy_by_hand():
    x = torch.zeros(4, 1, 2, 3)
    x[range(4), 0, 0, [0, 1, 2, 2]] = 1
    assert metrics.read(brightest, x).tolist() == [0, 1, 2, 2]
    assert metrics.label_accuracy(brightest, x, torch.tensor([0, 1, 2, 0])) == 0.75


def test_label_accuracy_sees_bytes():
    x = torch.zeros(1, 1, 1, 2)
    x[0, 0, 0, 1] = 0.0015  # less than half a grey level
    assert metrics.label_accuracy(brightest, x, torch.tensor([0])) == 1


def test_label_accuracy_refuses_other_labels():
    with pytest.raises(CourseError, match=r"3 rows need labels \(3,\)"):
        metrics.label_accuracy(brightest, torch.zeros(3, 1, 2, 2), torch.tensor([0, 1]))


# ---------------------------------------------------------------------------------- label bounds


def test_label_bounds_are_those_of_torch_distributions(x):
    model = small()
    bounds = metrics.label_bounds(model, x)
    generator = torch.Generator().manual_seed(0)
    for label in range(4):
        y = torch.full((6,), label)
        with torch.no_grad():
            mu, logvar = model.encode(x, y)
            noise = torch.randn(mu.shape, generator=generator)
            logits = model.decode(mu + (logvar / 2).exp() * noise, y)
        log_px = Independent(Bernoulli(logits=logits, validate_args=False), 3).log_prob(x)
        q = Normal(mu, (logvar / 2).exp())
        expected = log_px - kl_divergence(q, Normal(0.0, 1.0)).sum(1)
        torch.testing.assert_close(bounds[:, label], expected, rtol=1e-5, atol=1e-4)


def test_label_bounds_average_over_codes(x):
    model = small()
    many = metrics.label_bounds(model, x, n_samples=40)
    generator = torch.Generator().manual_seed(9)
    one_by_one = [metrics.label_bounds(model, x, 1, generator) for _ in range(400)]
    torch.testing.assert_close(many, torch.stack(one_by_one).mean(0), rtol=0, atol=0.1)


def test_label_bounds_leave_the_model_as_it_was(x):
    model = small().train()
    bounds = metrics.label_bounds(model, x)
    assert model.training and bounds.shape == (6, 4) and not bounds.requires_grad


# --------------------------------------------------------------------------------- shared by rows


def test_shared_by_rows_is_the_r_squared_of_a_regression_on_rows():
    from sklearn.linear_model import LinearRegression

    values = np.random.default_rng(0).normal(size=(7, 4)) + np.arange(7)[:, None] * [1, 1, 0.5, 2]
    centred = (values - values.mean(0)).ravel()
    which = np.repeat(np.eye(7), 4, axis=0)
    fitted = LinearRegression().fit(which, centred).score(which, centred)
    assert metrics.shared_by_rows(values) == pytest.approx(fitted, rel=1e-9)


def test_shared_by_rows_at_its_ends():
    rows = torch.randn(5000, 1, generator=torch.Generator().manual_seed(0))
    assert metrics.shared_by_rows(rows + torch.arange(8.0)) == pytest.approx(1, abs=1e-6)
    alone = torch.randn(5000, 8, generator=torch.Generator().manual_seed(1))
    assert metrics.shared_by_rows(alone) == pytest.approx(1 / 8, abs=0.01)


@pytest.mark.parametrize(
    ("values", "why"),
    [(torch.zeros(5), "must be"), (torch.zeros(5, 1), "must be"), (torch.ones(5, 3), "varies")],
)
def test_shared_by_rows_refuses(values, why):
    with pytest.raises(CourseError, match=why):
        metrics.shared_by_rows(values)


# ------------------------------------------------------------------------------- conditional codes


@pytest.mark.parametrize("kind", [ConditionalAutoencoder, ConditionalVAE])
def test_codes_of_a_conditional_model(kind, x):
    model, y = small(kind), torch.tensor([0, 1, 2, 3, 0, 1])
    z = codes.mean_code(model, x, y)
    assert z.shape == (6, 3) and not z.requires_grad
    torch.testing.assert_close(codes.decoded(model, z, y), model.reconstruct(x, y).detach())


def test_as_every_class_is_decoded_one_by_one():
    model, z = small(), torch.randn(3, 3)
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


# ---------------------------------------------------------------------------------- data, pictures


def test_quick_runs_see_few_images_labelled_by_slant():
    short = derived.few(400, by_slant)(profile="quick")
    whole = by_slant(profile="quick")
    assert len(short.train) == 400 and torch.equal(short.train.y, whole.train.y[:400])
    assert short.sha256 != derived.few(400)(profile="quick").sha256
    assert len(data.mnist(profile="quick").classes) == 10 and len(short.classes) == 4


def test_rows_name_their_columns():
    ax = plotting.rows({"a": torch.rand(3, 1, 28, 28)}, n=3, columns="xyz")
    assert [t.get_text() for t in ax.get_xticklabels()] == ["x", "y", "z"]
    assert ax.get_xticks().tolist() == [14, 44, 74]
    plt.close("all")
