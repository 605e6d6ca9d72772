"""The exact means behind the check of contrastive divergence, by sums written otherwise."""

import itertools

import pytest
import torch

from course_utils.check import boltzmann, contrastive_divergence
from course_utils.check.calling import Answer
from course_utils.models import RBM


def states(n):
    """Return all states of n units, as lists."""
    return list(itertools.product((0.0, 1.0), repeat=n))


def chance(logits, state):
    """Return the probability of a state, unit by unit."""
    p = 1.0
    for logit, on in zip(logits.tolist(), state, strict=True):
        p *= 1 / (1 + torch.tensor(-logit if on else logit).double().exp().item())
    return p


def test_one_round_is_the_sum_over_all_units_and_dreams():
    W, b, c = (value.double() for value in boltzmann.LIVELY)
    total = torch.zeros_like(W)
    for v in boltzmann.IMAGES.double():
        total += torch.outer((W @ v + c).sigmoid(), v)
        for h in states(3):
            for dream in map(torch.tensor, states(4)):
                dream = dream.double()
                weight = chance(W @ v + c, h) * chance(torch.tensor(h).double() @ W + b, dream)
                total -= weight * torch.outer((W @ dream + c).sigmoid(), dream)
    got = boltzmann.expected(*boltzmann.LIVELY, boltzmann.IMAGES, 1)
    torch.testing.assert_close(got, total / len(boltzmann.IMAGES), atol=1e-6, rtol=1e-6)


def test_a_long_chain_gives_the_slope_of_the_log_likelihood():
    """Autograd of the package's free energy, with the normaliser summed out."""
    W, b, c = boltzmann.LIVELY
    machine = RBM(3, (4,)).double()
    with torch.no_grad():
        machine.weight.copy_(W)
        machine.visible_bias.copy_(b)
        machine.hidden_bias.copy_(c)
    log_z = torch.logsumexp(-machine.free_energy(boltzmann.every(4)), 0)
    likelihood = -machine.free_energy(boltzmann.IMAGES.double()).mean() - log_z
    likelihood.backward()
    got = boltzmann.expected(W, b, c, boltzmann.IMAGES, 400)
    torch.testing.assert_close(got, machine.weight.grad, atol=1e-6, rtol=1e-6)
    assert (boltzmann.expected(W, b, c, boltzmann.IMAGES, 1) - got).abs().max() > 0.02  # biased


@pytest.mark.parametrize("first", range(0, 40, 8))
def test_right_answers_are_not_refused_by_bad_luck(first):
    """Other draws than the ones of the check; every probability that may be drawn is drawn."""

    def all_drawn(W, b, c, v, steps):
        torch.manual_seed(first + steps)
        h = torch.bernoulli(torch.sigmoid(v @ W.T + c))
        positive, dream = h.T @ v, v
        for _ in range(steps):
            dream = torch.bernoulli(torch.sigmoid(h @ W + b))
            h = torch.bernoulli(torch.sigmoid(dream @ W.T + c))
        return (positive - h.T @ dream) / len(v)

    assert boltzmann.drawn_right(Answer(all_drawn)) is None
    assert contrastive_divergence.judge(all_drawn).passed
