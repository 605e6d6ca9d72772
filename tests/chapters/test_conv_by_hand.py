"""What chapter 02 writes out by hand computes what the package computes."""

import by_hand
import pytest
import torch
import torch.nn.functional as F

from course_utils import losses
from course_utils.models import ConvAutoencoder

pytestmark = pytest.mark.notebook


def written(name: str):
    """Return what the chapter writes out under a name."""
    return by_hand.written("02_convolutional_autoencoder", name)[name]


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
