"""Softened labels and yes-or-no outputs, against torch.distributions and scikit-learn."""

import pytest
import torch
from sklearn.metrics import log_loss
from torch import nn
from torch.distributions import Bernoulli, Categorical, kl_divergence

from course_utils import losses
from course_utils.runtime import CourseError


class Given(nn.Module):
    """Returns the logits that it was made with, whatever the images."""

    def __init__(self, logits):
        super().__init__()
        self.logits = nn.Parameter(logits)

    def forward(self, x):
        return self.logits


@pytest.fixture
def batch():
    """Return logits of six images, images that nobody looks at, and labels."""
    torch.manual_seed(0)
    return torch.randn(6, 10), torch.rand(6, 1, 28, 28), torch.randint(0, 10, (6,))


def test_smoothing_is_the_divergence_from_the_softened_label(batch):
    """Cross-entropy is entropy plus KL divergence; torch.distributions knows both."""
    logits, x, y = batch
    target = Categorical(torch.full((6, 10), 0.01).scatter(1, y[:, None], 0.91))
    expected = (target.entropy() + kl_divergence(target, Categorical(logits=logits))).mean()
    terms = losses.smoothed_classification(Given(logits), x, y, smoothing=0.1)
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


def test_in_eval_mode_the_labels_are_hard(batch):
    logits, x, y = batch
    terms = losses.smoothed_classification(Given(logits).eval(), x, y, smoothing=0.3)
    expected = log_loss(y, logits.double().softmax(1), labels=list(range(10)))
    assert terms["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_without_smoothing_it_is_classification(batch):
    logits, x, y = batch
    ours = losses.smoothed_classification(Given(logits), x, y, smoothing=0.0)
    assert ours["loss"].equal(losses.classification(Given(logits), x, y)["loss"])


def test_sigmoid_outputs_are_ten_bernoulli_likelihoods(batch):
    logits, x, y = batch
    target = torch.zeros(6, 10).scatter(1, y[:, None], 1.0)
    expected = -Bernoulli(logits=logits).log_prob(target).sum(1).mean()
    terms = losses.one_against_rest(Given(logits), x, y)
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("loss", [losses.smoothed_classification, losses.one_against_rest])
def test_accuracy_counts_the_largest_logits(loss, batch):
    logits, x, _ = batch
    y = logits.argmax(1)
    assert loss(Given(logits), x, y)["accuracy"].item() == 1
    y[:3] = (y[:3] + 1) % 10
    assert loss(Given(logits), x, y)["accuracy"].item() == 0.5


@pytest.mark.parametrize("smoothing", [-0.1, 1.0])
def test_a_smoothing_that_is_no_share_is_refused(smoothing, batch):
    logits, x, y = batch
    with pytest.raises(CourseError, match="smoothing is"):
        losses.smoothed_classification(Given(logits), x, y, smoothing=smoothing)
