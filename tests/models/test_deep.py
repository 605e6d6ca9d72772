"""The deep autoencoder of 2006, against numpy; the machine of its code, against integrals."""

import itertools
import math

import numpy as np
import pytest
import torch

from course_utils import losses
from course_utils.errors import CourseError
from course_utils.models import CodeRBM, DeepAutoencoder

VISIBLE = torch.tensor(list(itertools.product((0.0, 1.0), repeat=4)))  # all images of 4 pixels


def lively() -> CodeRBM:
    """Return a machine of 4 pixels and 2 hidden numbers, its weights of about one."""
    torch.manual_seed(0)
    rbm = CodeRBM(2, (4,))
    with torch.no_grad():
        for p in rbm.parameters():
            p.copy_(torch.randn_like(p))
    return rbm


def integrated(rbm: CodeRBM) -> tuple[np.ndarray, np.ndarray]:
    """Return for all images the integral of exp(-energy) over h on a grid, and the mean of h."""
    w, c, b = (p.detach().double().numpy() for p in (rbm.weight, rbm.hidden_bias, rbm.visible_bias))
    line, step = np.linspace(-14, 14, 561, retstep=True)
    h = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2)
    v = VISIBLE.double().numpy()
    energy = ((h - c) ** 2).sum(1) / 2 - v @ w.T @ h.T - (v @ b)[:, None]
    weights = np.exp(-energy) * step**2
    return weights.sum(1), (weights @ h) / weights.sum(1, keepdims=True)


def test_the_free_energy_of_the_code_is_the_hidden_numbers_integrated_out():
    rbm = lively()
    total, mean = integrated(rbm)
    expected = -np.log(total) + math.log(2 * math.pi)  # the constant that is left out, for 2 units
    assert rbm.free_energy(VISIBLE).detach().numpy() == pytest.approx(expected, abs=1e-4)
    assert rbm.encode(VISIBLE).detach().numpy() == pytest.approx(mean, abs=1e-4)


def test_hidden_numbers_are_drawn_with_variance_one():
    rbm = lively()
    x = VISIBLE[5].expand(40_000, 4)
    with torch.no_grad():
        drawn = rbm.sample_hidden(x)
        assert torch.allclose(drawn.mean(0), rbm.encode(x[:1])[0], atol=0.03)
    assert torch.allclose(drawn.T.cov(), torch.eye(2), atol=0.03)


def test_long_contrastive_divergence_of_the_code_is_the_gradient_of_the_likelihood():
    rbm = lively()
    images = VISIBLE[[3, 5, 9, 15]].repeat(5000, 1)
    losses.contrastive_divergence(rbm, images, steps=30)["loss"].backward()
    estimated = rbm.weight.grad.clone()
    rbm.zero_grad()
    (rbm.free_energy(images).mean() + torch.logsumexp(-rbm.free_energy(VISIBLE), 0)).backward()
    assert (estimated - rbm.weight.grad).norm() < 0.1 * rbm.weight.grad.norm()


def by_hand(model: DeepAutoencoder, x: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return codes and pixels by numpy: a sigmoid behind every layer but the code's."""
    h, pairs = x.flatten(1).double().numpy(), model.pairs()
    layers = [up for up, _ in pairs] + [down for _, down in reversed(pairs)]
    for i, layer in enumerate(layers):
        h = h @ layer.weight.detach().double().numpy().T + layer.bias.detach().double().numpy()
        if i == len(pairs) - 1:
            code = h
        else:
            h = 1 / (1 + np.exp(-h))
    return code, h


def test_the_network_is_that_of_2006():
    torch.manual_seed(0)
    model, x = DeepAutoencoder(), torch.rand(3, 1, 28, 28)
    assert [up.out_features for up, _ in model.pairs()] == [1000, 500, 250, 30]
    assert all(up.weight.shape == down.weight.T.shape for up, down in model.pairs())
    code, pixels = by_hand(model, x)
    assert model.encode(x).detach().numpy() == pytest.approx(code, abs=1e-5)
    assert model.reconstruct(x).detach().flatten(1).numpy() == pytest.approx(pixels, abs=1e-5)


def test_small_weights_are_normal_and_biases_zero():
    torch.manual_seed(0)
    for layer in itertools.chain(*DeepAutoencoder(deviation=0.01).pairs()):
        weight = layer.weight.detach()
        assert weight.std() == pytest.approx(0.01, rel=0.05)
        assert weight.abs().max() > 0.02  # no uniform numbers
        assert not layer.bias.any()


@pytest.mark.parametrize("deviation", [0, -0.1, math.inf, math.nan])
def test_a_deviation_that_cannot_be_is_refused(deviation):
    with pytest.raises(CourseError, match="a number above 0, or None"):
        DeepAutoencoder((4,), 2, deviation)
