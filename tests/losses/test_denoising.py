"""Noise and the losses that take it away, by hand, by counting, and against exact sums."""

import itertools

import pytest
import torch

from course_utils import losses
from course_utils.errors import CourseError
from course_utils.models import RBM, DenoisingMLP
from course_utils.train import evaluate

SHAPE = (1, 3, 3)


class Repeats(torch.nn.Module):
    """Returns what it is given, and remembers it."""

    def reconstruct(self, x):
        self.seen = x
        return x


@pytest.fixture
def x():
    torch.manual_seed(0)
    return torch.rand(2000, *SHAPE)


def test_gaussian_noise_has_its_mean_and_deviation(x):
    noise = losses.corrupted(x, sigma=0.3) - x
    assert noise.mean().abs() < 0.01
    assert noise.std() == pytest.approx(0.3, rel=0.02)
    assert noise.flatten(1).std(0).min() > 0.25  # others in every image


def test_shared_noise_is_one_vector_for_the_batch(x):
    noise = losses.corrupted(x, sigma=0.3, shared=True) - x
    assert torch.allclose(noise, noise[:1].expand_as(noise), atol=1e-6)
    assert noise[0].std() > 0.05


def test_masking_hides_a_share_and_leaves_the_rest(x):
    spoilt = losses.corrupted(x + 1, masked=0.25)
    hidden = spoilt == 0
    assert hidden.float().mean() == pytest.approx(0.25, abs=0.01)
    assert torch.equal(spoilt[~hidden], (x + 1)[~hidden])


def test_without_noise_nothing_happens(x):
    assert torch.equal(losses.corrupted(x), x)
    assert losses.corrupted(x, masked=1.0).abs().sum() == 0


def test_noise_that_cannot_be_is_refused(x):
    with pytest.raises(CourseError, match="sigma is -1; a standard deviation is 0 or more"):
        losses.corrupted(x, sigma=-1)
    with pytest.raises(CourseError, match=r"masked is 1\.2; a share lies in \[0, 1\]"):
        losses.corrupted(x, masked=1.2)
    with pytest.raises(CourseError, match="sigma is nan"):
        losses.corrupted(x, sigma=float("nan"))


def test_the_loss_is_taken_against_the_clean_images(x):
    model = Repeats()
    terms = losses.denoising(model, x, sigma=0.5)
    by_hand = (model.seen - x).square().flatten(1).sum(1).mean()
    assert terms["loss"].item() == pytest.approx(by_hand.item(), rel=1e-5)
    assert terms["sse"].item() == pytest.approx(9 * 0.25, rel=0.05)


def test_a_score_is_the_same_twice(few):
    model = DenoisingMLP((5,))
    from course_utils import data

    batches = data.batches(few, 3)

    def loss(model, x, y):
        return losses.denoising(model, x, y, sigma=0.5, masked=0.2)

    assert evaluate(model, loss, batches) == evaluate(model, loss, batches)


def test_penalties_by_hand(x):
    torch.manual_seed(0)
    model = DenoisingMLP((4,), image_shape=SHAPE, decoder_init="xavier")
    terms = losses.sparse_denoising(model, x, activations=0.3, weights=0.2)
    z = model.encode(x)
    sse = (model.decode(z) - x).square().flatten(1).sum(1).mean()
    size = model.encoder[1].weight.abs().sum()
    expected = sse + 0.3 * z.abs().sum(1).mean() + 0.2 * size
    assert terms["loss"].item() == pytest.approx(expected.item(), rel=1e-5)
    assert terms["l1_weights"].item() == pytest.approx(size.item(), rel=1e-6)
    with pytest.raises(CourseError, match="both are 0 or more"):
        losses.sparse_denoising(model, x, weights=-1)


# ------------------------------------------------------------------- restricted Boltzmann machines


def every(n):
    """Return all binary vectors (2**n, n)."""
    return torch.tensor(list(itertools.product((0.0, 1.0), repeat=n)))


def lively_rbm():
    """Return a machine of 4 pixels and 3 hidden units, small enough to sum over everything."""
    torch.manual_seed(0)
    model = RBM(3, (1, 2, 2))
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(torch.randn_like(p))
    return model


def energies(model, v, h):
    """Return the energies (V, H) of all pairs."""
    return -(v @ model.weight.T @ h.T) - (v @ model.visible_bias)[:, None] - h @ model.hidden_bias


def test_the_free_energy_is_the_hidden_units_summed_out():
    model = lively_rbm()
    v, h = every(4), every(3)
    by_sum = -torch.logsumexp(-energies(model, v, h), dim=1)
    assert torch.allclose(model.free_energy(v.view(-1, 1, 2, 2)), by_sum, atol=1e-5)


def test_conditional_probabilities_are_those_of_the_joint():
    model = lively_rbm()
    v, h = every(4), every(3)
    joint = (-energies(model, v, h)).flatten().softmax(0).view(16, 8)
    on = (joint / joint.sum(1, keepdim=True)) @ h
    assert torch.allclose(model.encode(v.view(-1, 1, 2, 2)), on, atol=1e-5)
    white = (joint / joint.sum(0)).T @ v
    assert torch.allclose(model.pixels(model.decode(h)).flatten(1), white, atol=1e-5)


def test_long_contrastive_divergence_is_the_gradient_of_the_likelihood():
    """With many rounds of sampling its mean comes near the exact gradient, summed out."""
    model = lively_rbm()
    v = every(4)
    images = v[[3, 5, 9, 15]].repeat(5000, 1).view(-1, 1, 2, 2)
    losses.contrastive_divergence(model, images, steps=30)["loss"].backward()
    estimated = model.weight.grad.clone()
    model.zero_grad()
    log_z = torch.logsumexp(-model.free_energy(v.view(-1, 1, 2, 2)), 0)
    (model.free_energy(images).mean() + log_z).backward()
    exact = model.weight.grad
    assert (estimated - exact).norm() < 0.1 * exact.norm()


def test_a_trained_machine_likes_the_images_it_saw(few):
    torch.manual_seed(0)
    model = RBM(30)
    x = few.x.float() / 255
    optimizer = torch.optim.Adam(model.parameters(), lr=0.02)
    before = losses.contrastive_divergence(model, x)["sse"]
    for _ in range(60):
        optimizer.zero_grad()
        losses.contrastive_divergence(model, x)["loss"].backward()
        optimizer.step()
    assert losses.contrastive_divergence(model, x)["sse"] < 0.6 * before
    assert model.free_energy(x).mean() < model.free_energy(torch.rand_like(x)).mean()


def test_a_machine_without_units_is_refused():
    with pytest.raises(CourseError, match="n_hidden is 0"):
        RBM(0)
