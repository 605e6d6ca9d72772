"""The loss of yes-or-no questions."""

import pytest
import torch
from sklearn.metrics import log_loss

from course_utils.errors import CourseError
from course_utils.losses.questions import answers_of, yes_or_no

Y = torch.tensor([0, 1, 2, 3, 3, 0])
X = torch.rand(6, 1, 4, 4, generator=torch.Generator().manual_seed(0))
LOGITS = torch.randn(6, 2, generator=torch.Generator().manual_seed(1))


class Says(torch.nn.Module):
    """A network that answers the same whatever it sees, and keeps what it saw."""

    def forward(self, x):
        self.seen = x
        return LOGITS


def test_a_label_is_a_binary_number_of_answers():
    assert answers_of(Y, LOGITS).tolist() == [[0, 0], [1, 0], [0, 1], [1, 1], [1, 1], [0, 0]]
    with pytest.raises(CourseError, match="labels run from 0 to 4; this model knows 0 to 3"):
        answers_of(torch.tensor([0, 4, 0, 0, 0, 0]), LOGITS)


@pytest.mark.parametrize("weights", [(1, 1), (1.4, 4.2)])
def test_it_is_the_log_loss_of_scikit_learn(weights):
    terms = yes_or_no(Says().eval(), X, Y, weights=weights)
    expected = 0.0
    for i, weight in enumerate(weights):
        answers = Y >> i & 1
        counts = torch.where(answers == 1, weight, 1.0).numpy()
        p = LOGITS[:, i].double().sigmoid().numpy()
        expected += log_loss(
            answers.numpy(), p, sample_weight=counts, labels=[0, 1], normalize=False
        )
    assert float(terms["loss"]) == pytest.approx(expected / 6, rel=1e-5)
    right = ((LOGITS > 0).int() == answers_of(Y, LOGITS)).float().mean()
    assert float(terms["right"]) == pytest.approx(float(right))


def test_with_its_weights_a_network_answers_as_if_both_were_as_frequent():
    """Of three noes and one yes, with the weight 3, the best constant logit is 0."""
    logit = torch.zeros(4, 1, requires_grad=True)
    y = torch.tensor([0, 0, 0, 1])
    net = torch.nn.Module().eval()
    net.forward = lambda x: logit
    yes_or_no(net, X[:4], y, weights=(3.0,))["loss"].backward()
    assert float(logit.grad.sum()) == pytest.approx(0, abs=1e-6)


def test_half_of_the_batches_are_mirrored_in_training_alone():
    net = Says().train()
    mirrored = 0
    torch.manual_seed(0)
    for _ in range(40):
        yes_or_no(net, X, Y)
        assert net.seen.equal(X) or net.seen.equal(X.flip(3))
        mirrored += net.seen.equal(X.flip(3))
    assert 10 < mirrored < 30
    yes_or_no(net, X, Y, shift=1)
    assert net.seen.shape == X.shape and not net.seen.equal(X)
    net.eval()
    for _ in range(10):
        yes_or_no(net, X, Y, shift=1)
        assert net.seen.equal(X)
