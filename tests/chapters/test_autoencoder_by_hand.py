"""What chapter 01 writes out by hand computes what the package computes."""

import by_hand
import pytest
import torch
from torchvision.transforms import ToTensor

from course_utils import codes, data, losses, metrics, recipes
from course_utils.data import Split
from course_utils.models import Autoencoder

pytestmark = pytest.mark.notebook


@pytest.fixture(scope="module")
def written():
    """Return what the chapter writes out, by name."""
    return by_hand.written(
        "01_vanilla_autoencoder", "Net", "InMemory", "loss_fn", "grey", "searched"
    )


@pytest.fixture
def x():
    """Return seven images of noise."""
    return torch.rand(7, 1, 28, 28, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def pair(written):
    """Return the chapter's network and the package's, with the same weights."""
    torch.manual_seed(0)
    ours, theirs = written["Net"](), recipes.get("ae").build()
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def test_network(pair, x):
    ours, theirs = pair
    for one, other in zip(ours(x), theirs(x), strict=True):
        assert torch.equal(one, other)


def test_network_starts_as_the_packages_does(written):
    torch.manual_seed(1)
    ours = written["Net"]()
    torch.manual_seed(1)
    theirs = Autoencoder(output="tanh")
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(p, q)


def test_loss_and_its_gradients(pair, written, x):
    ours, theirs = pair
    one, other = written["loss_fn"](ours, x)["loss"], losses.reconstruction_pm1(theirs, x)["loss"]
    assert one.item() == pytest.approx(other.item(), rel=1e-6)
    recon = theirs.reconstruct(x).detach().numpy()
    assert one.item() == pytest.approx(4 * ((recon - x.numpy()) ** 2).sum() / 7, rel=1e-5)
    one.backward()
    other.backward()
    for p, q in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.allclose(p.grad, q.grad, rtol=1e-4, atol=1e-4)


def test_grey_costs_a_unit_a_pixel(written):
    for shade in (0.0, 1.0):
        x = torch.full((5, 1, 28, 28), shade)
        assert written["loss_fn"](written["grey"], x)["loss"].item() == 784


def test_the_ordinary_images_are_the_packages(written):
    g = torch.Generator().manual_seed(0)
    split = Split(torch.randint(256, (9, 1, 28, 28), generator=g).byte(), torch.arange(9))
    ordinary = written["InMemory"](split, ToTensor())
    assert len(ordinary) == 9
    for i, (image, label) in enumerate(ordinary):
        assert torch.equal(image, data.as_float(split.x[i])) and label == i
        if i == 8:
            break


def test_a_search_finds_the_best_codes_where_they_are_known(written):
    """With a linear decoder of principal components the best codes are the components'."""
    g = torch.Generator().manual_seed(0)
    x = torch.rand(60, 1, 8, 8, generator=g)
    best = metrics.pca(x, 3)
    model = Autoencoder((), 3, "none", "linear", (1, 8, 8)).requires_grad_(False)
    model.decoder[0].weight.copy_(best.directions.T)
    model.decoder[0].bias.copy_(best.mean)
    start = losses.squared_error(model.reconstruct(x), x)
    z = written["searched"](model, x, n_steps=3000, rate=0.02)
    found = losses.squared_error(codes.decoded(model, z), x)
    assert found < start
    assert found.item() == pytest.approx(best.squared_error(x), rel=1e-3)
