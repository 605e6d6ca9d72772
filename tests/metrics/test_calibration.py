"""Calibration against scikit-learn and torchmetrics, and by cases that can be counted by hand."""

import math

import pytest
import torch
from sklearn.calibration import calibration_curve
from torch import nn

from course_utils import metrics
from course_utils.models import MLP
from course_utils.runtime import CourseError


@pytest.fixture
def guesses():
    """Return probabilities (2000, 5) and labels that they fit badly."""
    torch.manual_seed(0)
    return (2 * torch.randn(2000, 5)).softmax(1), torch.randint(0, 5, (2000,))


def test_reliability_is_scikit_learns_calibration_curve(guesses):
    """A question with two answers, was the chosen label right; its probability: the confidence."""
    p, y = guesses
    ours = metrics.reliability(p, y, bins=10)
    confidence, chosen = p.double().max(1)
    share, mean = calibration_curve((chosen == y).int(), confidence, n_bins=10)
    assert torch.allclose(ours.accuracy, torch.tensor(share))
    assert torch.allclose(ours.confidence, torch.tensor(mean))
    assert ours.count.sum() == 2000 and ours.count.min() > 0


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_the_error_is_that_of_torchmetrics(bins, guesses):
    oracle = pytest.importorskip("torchmetrics.functional.classification")
    p, y = guesses
    theirs = oracle.multiclass_calibration_error(p, y, num_classes=5, n_bins=bins, norm="l1")
    assert metrics.expected_calibration_error(p, y, bins) == pytest.approx(theirs.item(), abs=1e-5)


def test_by_hand():
    """Ten images with 0.8 of which eight are right, and ten certain ones of which five are."""
    p = torch.tensor([[0.8, 0.2]] * 10 + [[1.0, 0.0]] * 10)
    y = torch.tensor([0] * 8 + [1] * 2 + [0] * 5 + [1] * 5)
    assert metrics.expected_calibration_error(p, y) == pytest.approx(0.25)
    assert metrics.expected_calibration_error(p[:10], y[:10]) == pytest.approx(0, abs=1e-6)
    found = metrics.reliability(p, y)
    assert found.count.tolist() == [10, 10] and found.accuracy.tolist() == [0.8, 0.5]


def test_a_probability_on_an_edge_belongs_to_the_bin_below():
    p = torch.tensor([[0.75, 0.25], [0.7, 0.3], [0.76, 0.24]], dtype=torch.float64)
    found = metrics.reliability(p, torch.zeros(3, dtype=torch.long), bins=4)
    assert found.count.tolist() == [2, 1]  # (0.5, 0.75], (0.75, 1]
    certain = metrics.reliability([[1.0, 0.0]], [0], bins=4)
    assert certain.count.tolist() == [1] and certain.accuracy.tolist() == [1.0]


def test_likelihood_is_torchs_cross_entropy():
    torch.manual_seed(0)
    logits, y = torch.randn(50, 7), torch.randint(0, 7, (50,))
    expected = nn.functional.cross_entropy(logits, y).item()
    found = metrics.negative_log_likelihood(logits.softmax(1), y)
    assert found == pytest.approx(expected, rel=1e-5)
    certain = torch.tensor([[1.0, 0.0]])
    assert metrics.negative_log_likelihood(certain, torch.tensor([1])) == math.inf


class Dropped(nn.Module):
    """Logits that are the image itself, dropped with probability one half."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm1d(2)
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        self.norm(x)
        return self.dropout(x)


def test_monte_carlo_probabilities_approach_the_mean_over_all_masks():
    """Two logits, four equally likely masks: the mean of four softmaxes, in closed form."""
    model, x = Dropped().eval(), torch.tensor([[1.0, -0.5]])
    masks = torch.tensor([[0.0, 0.0], [0.0, 2.0], [2.0, 0.0], [2.0, 2.0]])
    expected = (masks * x).softmax(1).mean(0)
    before = model.norm.running_mean.clone()
    found = metrics.monte_carlo_probabilities(model, x, 20_000)
    assert torch.allclose(found[0], expected, atol=0.01)
    assert not model.dropout.training and model.norm.running_mean.equal(before)


def test_monte_carlo_gives_back_modes_and_random_state():
    model = MLP((5,), dropout=0.5).train()
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    x = torch.zeros(2, 1, 28, 28)
    one, two = (metrics.monte_carlo_probabilities(model, x, 3) for _ in range(2))
    assert torch.rand(3).equal(expected) and one.equal(two)
    assert all(module.training for module in model.modules())


@pytest.mark.parametrize(
    ("p", "word"),
    [
        (torch.tensor([[0.5, 0.6]]), "add up to 1"),
        (torch.tensor([[-0.5, 1.5]]), "0 or more"),
        (torch.tensor([0.5, 0.5]), "shape"),
        (torch.ones(1, 1), "shape"),
        (torch.tensor([[math.nan, 1.0]]), "NaN"),
    ],
)
def test_what_is_no_probability_is_refused(p, word):
    for metric in (
        metrics.reliability,
        metrics.expected_calibration_error,
        metrics.negative_log_likelihood,
    ):
        with pytest.raises(CourseError, match=word):
            metric(p, torch.tensor([0]))


def test_other_wrong_input_is_refused(guesses):
    p, y = guesses
    with pytest.raises(CourseError, match="bins"):
        metrics.reliability(p, y, bins=0)
    with pytest.raises(CourseError, match="labels"):
        metrics.reliability(p, y[:5])
    with pytest.raises(CourseError, match="a label is 5"):
        metrics.negative_log_likelihood(p, y + 1)
    x = torch.zeros(2, 1, 28, 28)
    with pytest.raises(CourseError, match="no dropout"):
        metrics.monte_carlo_probabilities(MLP((5,)), x, 3)
    with pytest.raises(CourseError, match="n is 0"):
        metrics.monte_carlo_probabilities(MLP((5,), dropout=0.5), x, 0)
