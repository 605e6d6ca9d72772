"""Labels of generated images, bounds for every label, what rows share."""

import numpy as np
import pytest
import torch
from small_models import SHAPE, small_conditional
from torch.distributions import (
    Bernoulli,
    Independent,
    Normal,
    kl_divergence,
)

from course_utils import metrics
from course_utils.runtime import CourseError


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
    model = small_conditional()
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
    model = small_conditional()
    many = metrics.label_bounds(model, x, n_samples=40)
    generator = torch.Generator().manual_seed(9)
    one_by_one = [metrics.label_bounds(model, x, 1, generator) for _ in range(400)]
    torch.testing.assert_close(many, torch.stack(one_by_one).mean(0), rtol=0, atol=0.1)


def test_label_bounds_leave_the_model_as_it_was(x):
    model = small_conditional().train()
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
    [(torch.zeros(5), "shape"), (torch.zeros(5, 1), "must be"), (torch.ones(5, 3), "varies")],
)
def test_shared_by_rows_refuses(values, why):
    with pytest.raises(CourseError, match=why):
        metrics.shared_by_rows(values)
