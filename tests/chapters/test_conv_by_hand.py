"""What chapter 02 writes out by hand computes what the package computes."""

import itertools

import by_hand
import pytest
import torch
import torch.nn.functional as F

from course_utils import convolution, losses, recipes
from course_utils.models import ConvAutoencoder
from course_utils.train import parameter_count

pytestmark = pytest.mark.notebook


CHAPTER = "02_convolutional_autoencoder"


def written(name: str, *others: str):
    """Return what the chapter writes out under a name, which may need others."""
    return by_hand.written(CHAPTER, name, *others)[name]


@pytest.fixture
def x():
    """Return seven images of noise."""
    return torch.rand(7, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def pair():
    """Return the chapter's network and the package's, with the same weights."""
    torch.manual_seed(0)
    ours, theirs = written("Net")(), ConvAutoencoder()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def test_network(x):
    ours, theirs = pair()
    for one, other in zip(ours(x), theirs(x), strict=True):
        assert torch.allclose(one, other, atol=1e-6)


def test_loss_and_its_gradients(x):
    ours, theirs = pair()
    one, other = written("loss_fn")(ours, x)["loss"], losses.reconstruction_pm1(theirs, x)["loss"]
    assert one.item() == pytest.approx(other.item(), rel=1e-6)
    assert one.item() == pytest.approx(4 * error_of(theirs, x), rel=1e-5)
    one.backward()
    other.backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, rtol=1e-4, atol=1e-4)


def error_of(model, x) -> float:
    """Return the squared error per image on [0, 1], by numpy."""
    recon = model.reconstruct(x).detach().numpy()
    return float(((recon - x.numpy()) ** 2).sum() / len(x))


def test_the_grey_network_costs_a_unit_a_pixel():
    black = torch.zeros(5, 1, 28, 28)
    assert written("loss_fn")(written("grey"), black)["loss"].item() == 784


def test_convolution(x):
    kernel = torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    by_hand = written("convolve")(x[0, 0], kernel)
    assert torch.allclose(by_hand, F.conv2d(x[:1], kernel[None, None])[0, 0], atol=1e-5)


def test_sizes():
    """One-line formulas of the chapter, and the package's, for every layer that fits."""
    down, up = written("output_size"), written("transposed_size")
    for n, k, s, p in itertools.product((5, 7, 28), (2, 3, 4, 5), (1, 2, 3), (0, 1)):
        assert down(n, k, s, p) == convolution.output_size(n, k, s, p)
        assert up(n, k, s, p) == convolution.transposed_size(n, k, s, p)


def repaired_pair():
    """Return the repaired network, the chapter's and that of its recipe, with the same weights.

    The chapter's layers stand in blocks and have other names, in the same order. Means and
    variances of the normalisation are such that what they make is neither small nor always 0.
    """
    torch.manual_seed(0)
    ours, theirs = written("Repaired", "normed")(), recipes.get("conv_deep").build()
    for layer in theirs.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.uniform_(-0.1, 0.1)
            layer.running_var.uniform_(0.01, 0.04)
    values = theirs.state_dict().values()
    ours.load_state_dict(dict(zip(ours.state_dict(), values, strict=True)))
    return ours, theirs


@pytest.mark.parametrize("training", [True, False])
def test_the_repaired_network(x, training):
    ours, theirs = (net.train(training) for net in repaired_pair())
    assert parameter_count(ours) == parameter_count(theirs) == 556_129
    for one, other in zip(ours(x), theirs(x), strict=True):
        assert torch.allclose(one, other, atol=1e-5)


def test_the_repaired_networks_loss_and_its_gradients(x):
    ours, theirs = (net.eval() for net in repaired_pair())
    one, other = written("repaired_loss")(ours, x)["loss"], losses.reconstruction(theirs, x)["loss"]
    assert one.item() == pytest.approx(other.item(), rel=1e-6)
    assert one.item() == pytest.approx(error_of(theirs, x), rel=1e-5)
    one.backward()
    other.backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, rtol=1e-4, atol=1e-4)


def test_what_is_written_out_is_short():
    found = by_hand.definitions(CHAPTER)
    assert all(by_hand.length(found[name]) <= 25 for name in ("Net", "Repaired"))
    assert all(by_hand.length(found[name]) <= 10 for name in ("loss_fn", "repaired_loss"))
